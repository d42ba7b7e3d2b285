"""How an answer goes on after its worker was lost in the middle, or why it can't. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from api.chat.messages import prefill
from api.chat.seen import Seen
from api.endpoint import CannotContinue
from api.output_limit import tokens_left
from api.rest import from_the_start, rest_of
from dispatcher.continuation import Continuation
from dispatcher.job import Job

_PLAIN_REASONING = ("none", "deepseek-legacy")  # content holds the reasoning too


def continuation(job: Job, seen: Seen) -> Continuation | None:
    """What is left of a job whose client has seen a part of its answer; None if no text is left.

    `job` is as it was at first. Where no text was seen, the answer starts over, on any worker.
    Raises `CannotContinue`.
    """
    body = json.loads(job.body)
    if seen.finish_reason is not None or tokens_left(body, seen.tokens) == 0:
        return None
    if seen.has_calls:
        raise CannotContinue("it was calling a tool")
    if not seen.content and not seen.reasoning:
        return from_the_start(job)
    _check(body, seen)
    return rest_of(job, _continued(body, seen), seen.tokens)


def _check(body: Mapping[str, Any], seen: Seen) -> None:
    if seen.is_strange:
        raise CannotContinue("a part of it was not as llama-server answers")
    if body.get("grammar"):
        raise CannotContinue("its `grammar` would start over")
    if body.get("reasoning_format") in _PLAIN_REASONING or _is_thought(seen.content):
        raise CannotContinue("its reasoning is a part of its content")


def _is_thought(content: str) -> bool:
    return content.lstrip().startswith("<think>")


def _continued(body: dict[str, Any], seen: Seen) -> dict[str, Any]:
    *before, last = body["messages"]
    own = last["role"] == "assistant"
    said = {**last} if own else {"role": "assistant"}
    said["content"] = (prefill([last]) if own else "") + seen.content
    reasoning = said.get("reasoning_content", "") + seen.reasoning
    if reasoning:
        said["reasoning_content"] = reasoning
    rest = {**body, "messages": [*before, *([] if own else [last]), said]}
    rest |= {"continue_final_message": True, "add_generation_prompt": False}
    rest.pop("echo", None)
    return rest
