"""Where two answers to one request differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any

from tests.differential.assembled import streamed, whole
from tests.differential.requests import Request
from tests.differential.stage import Reply

TOLERANCE = 2e-3
"""Of numbers that a server works out: their rounding depends on what else it works out."""

OPENAI = {"message", "type", "param", "code"}
ANTHROPIC = {"type", "message"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: a request, both replies, and the place with what stands there in each."""

    request: Request
    own_reply: Reply
    our_reply: Reply
    at: str
    own: Any
    ours: Any

    @property
    def error(self) -> Mapping[str, Any]:
        """What llamaq says is wrong, empty where it has an answer."""
        return _error(self.our_reply)

    def __str__(self) -> str:
        said = self.error.get("message", "")
        return f"{self.request} | {self.at}: {self.own!r:.200} → {self.ours!r:.200} {said}"


def differences(request: Request, own: Reply, ours: Reply) -> Iterator[Difference]:
    """All of them, none where llamaq answers as the server does."""

    def found(at: str, one: Any, other: Any) -> Difference:
        return Difference(request, own, ours, at, one, other)

    if ours.status >= 400 and not _has_form(request, ours):
        yield found("error form", None, ours.body)
    if ours.status >= 500 and _error(ours).get("code") == "internal_error":
        yield found("mistake of llamaq's own", own.status, ours.status)
    elif own.status != ours.status:
        yield found("status", own.status, ours.status)
    elif own.status >= 400:
        told, said = _error(own), _error(ours)
        yield found("error keys", sorted(told), sorted(said))
        if told.get("type") != said.get("type"):
            yield found("error type", told.get("type"), said.get("type"))
    elif own.type.split(";")[0] != ours.type.split(";")[0]:
        yield found("content type", own.type, ours.type)
    else:
        one, other = (_told(request, reply) for reply in (own, ours))
        yield from (found(*each) for each in _unlike("", one, other))


def _told(request: Request, reply: Reply) -> Any:
    is_stream = reply.type.startswith("text/event-stream")
    return streamed(request.plan.form, reply.body) if is_stream else whole(reply.body)


def _error(reply: Reply) -> Mapping[str, Any]:
    try:
        error = whole(reply.body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _has_form(request: Request, reply: Reply) -> bool:
    is_message = request.plan.path.startswith("/v1/messages")
    outer = {"type", "error", "request_id"} if is_message else {"error"}
    inner = ANTHROPIC if is_message else OPENAI
    return inner <= _error(reply).keys() and whole(reply.body).keys() == outer


def _unlike(at: str, own: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(own, dict) and isinstance(ours, dict):
        for name in own.keys() | ours.keys():
            missing = object
            one, other = own.get(name, missing), ours.get(name, missing)
            if one is missing or other is missing:
                sign = "+" if one is missing else "-"
                yield f"{at}{sign}{name}", own.get(name), ours.get(name)
            else:
                yield from _unlike(f"{at}.{name}", one, other)
    elif isinstance(own, list) and isinstance(ours, list) and len(own) == len(ours):
        for one, other in zip(own, ours, strict=True):
            yield from _unlike(f"{at}[]", one, other)
    elif not _same(own, ours):
        yield at, own, ours


def _same(own: Any, ours: Any) -> bool:
    if isinstance(own, float) or isinstance(ours, float):
        numbers = isinstance(own, int | float) and isinstance(ours, int | float)
        return numbers and isclose(own, ours, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(own) is type(ours) and bool(own == ours)
