"""Makes of llama-server's stream the text completion that it would have given in one piece. Pure.

Its usage counts all prompts and choices, where llama-server tells that of its first choice alone.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from api.completions.request import CompletionRequest
from api.completions.text_chunk import NAMES, TEXT
from api.growing_choice import ChunkAssembly, GrowingChoice, whole_answer
from api.growing_text import Text
from api.usage import added_usage, merge_usage

Json = dict[str, Any]


class Completion(GrowingChoice):
    """One choice, growing as its events arrive."""

    TEXT = TEXT
    NAMES = NAMES

    def __init__(self) -> None:
        self._text = Text()
        super().__init__({b"text": self._text})

    def choice(self, index: int = 0) -> Json:
        """The finished choice; `WorkerFailed` if the stream ended before it was."""
        return {
            "text": str(self._text),
            "index": index,
            "logprobs": {"content": self._logprobs} if self._logprobs else None,
            "finish_reason": self._finish(),
        }

    def _take(self, choice: Json) -> None:
        self._text.add(choice["text"])


def merge(each: int, completions: Sequence[Completion]) -> Json:
    """One answer whose choices are `completions`, `each` of one prompt after the other."""
    usages = [completion.usage for completion in completions]
    of_prompts = [merge_usage(usages[at : at + each]) for at in range(0, len(usages), each)]
    return whole_answer(completions, "text_completion", added_usage(of_prompts))


def assembly(asked: CompletionRequest) -> ChunkAssembly[Completion]:
    """That of the answer to this request."""
    return ChunkAssembly(Completion, asked.choices, partial(merge, asked.each))
