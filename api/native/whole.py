"""Makes of the events of an answer what llama-server would have said in one piece. Pure."""

from collections.abc import Sequence
from typing import Any

from api.failure import ended_early
from api.json_text import compact, read
from api.native.request import NativeRequest
from api.native.response_fields import Json, chosen_fields
from api.sse import data_of, split
from dispatcher.errors import WorkerFailed


class Growing:
    """One answer, growing as its events arrive."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._tokens: list[int] = []
        self._probabilities: list[Sequence[Any]] = []
        self._last: Json = {}

    def add(self, events: bytes) -> None:
        """Takes whole events."""
        for one in split(events):
            event = read(data_of(one))
            if event.get("stop"):
                self._last = event
            else:
                self._texts.append(event.get("content", ""))
                self._tokens += event.get("tokens", ())
                self._probabilities.append(event.get("completion_probabilities", ()))

    def whole(self, index: int, asked: NativeRequest) -> Json:
        """The answer. Raises `WorkerFailed` where it lacks its end, or tokens that are wanted."""
        if not self._last:
            raise ended_early()
        if asked.return_tokens and len(self._tokens) != self._last.get("tokens_predicted"):
            raise WorkerFailed(  # a stream tells none of the tokens that end within a character
                "Some characters of this answer have several tokens, which llama-server does not "
                "tell one by one. Please leave `return_tokens` out."
            )
        whole = {**as_asked(self._last, asked), "index": index, "content": "".join(self._texts)}
        whole["tokens"] = self._tokens if asked.return_tokens else []
        if settings := whole.get("generation_settings"):
            whole["generation_settings"] = {**settings, "stream": False}
        if probabilities := self._shown_probabilities():
            whole["completion_probabilities"] = probabilities
        return chosen_fields(whole, asked.response_fields)

    def _shown_probabilities(self) -> list[Any]:
        """Those of all tokens but of the word that stopped the answer."""
        told = self._probabilities
        if self._last.get("stop_type") == "word":
            # Its last token may end other text, those before it were held back.
            end = len(told) - 1
            while end > 0 and not self._texts[end - 1]:
                end -= 1
            told = told[:end]
        return [each for several in told for each in several]


class NativeAssembly:
    """The whole answer (`api.endpoint.Assembly`): a list where several were asked for."""

    lost_tokens = 0

    def __init__(self, asked: NativeRequest) -> None:
        self._asked = asked
        self._growing = [Growing() for _ in range(asked.choices)]

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._growing[choice].add(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._growing[choice] = Growing()

    def body(self) -> bytes:
        """See `Assembly`."""
        answers = [one.whole(i, self._asked) for i, one in enumerate(self._growing)]
        return compact(answers if len(answers) > 1 else answers[0])


def as_asked(last: Json, asked: NativeRequest) -> Json:
    """The last event, without what only we have asked for."""
    settings = last.get("generation_settings")
    if settings is None:
        return last
    timed = {"timings_per_token": asked.timings_per_token}
    return {**last, "generation_settings": {**settings, **timed}}
