"""Finds out which endpoints a server has: that depends on how it was started, and on its model."""

import asyncio

from dispatcher.job import CHAT_PATH
from dispatcher.needs import COMPLETION, EMBEDDINGS, INFILL, NATIVE_EMBEDDINGS, RERANK
from worker_bridge.connection import Origin
from worker_bridge.health import ProbeResult
from worker_bridge.look import Looked, look

_PATHS = {EMBEDDINGS: "/v1/embeddings", RERANK: "/v1/rerank", INFILL: "/infill"}
_NO = 404, 405, 501
_UNKNOWN = 0, 401, 503  # it is not there, wants another key, or still loads its model
_NO_POOLING = b"Pooling type"  # says OpenAI's path of a server that has no pooling
_NO_TEXT = b"does not support logits"  # says one that has a model of embeddings only


async def read_endpoints(
    origin: Origin, question: bytes, timeout_s: float
) -> tuple[ProbeResult, frozenset[str]]:
    """The words of `dispatcher.needs` for what the server has. Wakes one that is asleep.

    An empty request tells: it is refused before the engine hears of it. One that may have a model
    of embeddings only is asked for a token too, by the chat that `question` is.
    """
    asked = [look(origin, "POST", path, timeout_s, b"{}") for path in _PATHS.values()]
    answers = dict(zip(_PATHS, await asyncio.gather(*asked), strict=True))
    for answer in answers.values():
        if answer.status in _UNKNOWN or answer.probe is ProbeResult.SILENT:
            return answer.probe, frozenset()
    found = {word for word, answer in answers.items() if answer.status not in _NO}
    if EMBEDDINGS in found:
        found.add(NATIVE_EMBEDDINGS)
        if _NO_POOLING in answers[EMBEDDINGS].body:
            found.remove(EMBEDDINGS)
    if not found or makes_text(await look(origin, "POST", CHAT_PATH, timeout_s, question)):
        found.add(COMPLETION)
    return ProbeResult.OK, frozenset(found)


def makes_text(answer: Looked) -> bool:
    """Whether the server that gave this answer can chat. One that answers late may."""
    return answer.status != 500 or _NO_TEXT not in answer.body
