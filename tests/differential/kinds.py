"""The intended differences from a llama-server: each is of a written kind, which has a reason.

`docs/differences.md` tells the same to users. What is of no kind is a fault.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.differential.assembled import streamed
from tests.differential.differences import Difference
from tests.differential.requests import FORM

_TEXT_ERRORS = frozenset({"exceed_context_size_error", "server_error"})
_HISTORIES = frozenset({"a thought", "a null name", "a call without arguments"})
# Changes that llama-server takes and that have no effect there.
_HONOURED = frozenset(
    {
        *("a tool by name", "a schema", "tools unused", "a failed call", "a grammar"),
        *("no thinking", "a choice of no tool"),
    }
)
_REFUSED = frozenset(
    {"echo", "a suffix", "the best", "in the background", "an earlier response", "dimensions"}
)
# Without a token, which may end llama-server.
_NO_QUERIES = frozenset(f"query {text!r}" for text in ("", " ", "\u2028"))
_JOINED = frozenset({"two users", "a developer"})
_NO_TEXTS = frozenset({"top_k", "seed", "cache_prompt", "lora", "id_slot"})
_FENCE = "```json"  # may stand before JSON, and is held back until that begins
_NO_TEXT = "\ufffd"  # a byte that is no UTF-8


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs, why that is meant, and whether a difference is of this kind."""

    name: str
    reason: str
    recognises: Callable[[Difference], bool]


def kind_of(difference: Difference) -> Kind | None:
    """The kind of a difference, None where it is a fault."""
    return next((kind for kind in KINDS if kind.recognises(difference)), None)


def _error_form(found: Difference) -> bool:
    if found.at == "status" and found.request.stream and found.own == 200:
        told = streamed(found.request.plan.form, found.own_reply.body)["errors"]
        return [error.get("code") for error in told] == [found.ours]
    if found.at == "error type":
        told = found.own is None or found.own in _TEXT_ERRORS
        return told and found.own_reply.status == found.our_reply.status
    return found.at == "error keys" or found.at.startswith(".errors[]")


def _bounds(found: Difference) -> bool:
    is_bad = found.request.sort == "invalid" or found.request.what in _NO_QUERIES
    return _is_refused(found) and found.own == 200 and is_bad


def _own_mistake(found: Difference) -> bool:
    is_refused = found.at == "status" and (found.own, found.ours) == (500, 400)
    return is_refused and found.error.get("code", "invalid_request") == "invalid_request"


def _nulls(found: Difference) -> bool:
    is_taken = found.at == "status" and (found.own, found.ours) == (400, 200)
    return is_taken and found.request.what.startswith("null ")


def _texts_of_forms(found: Difference) -> bool:
    is_taken = found.at == "status" and (found.own, found.ours) == (400, 200)
    is_form = found.request.plan.writing is FORM
    return is_taken and is_form and not _NO_TEXTS.isdisjoint(found.request.fields)


def _histories(found: Difference) -> bool:
    is_taken = found.at == "status" and found.own in (400, 500) and found.ours == 200
    return is_taken and found.request.what in _HISTORIES


def _model(found: Difference) -> bool:
    told = {"another model": (200, 404), "no model": (200, 400)}.get(found.request.what)
    return found.at == "status" and (found.own, found.ours) == told


def _usage(found: Difference) -> bool:
    fields = found.request.fields
    is_many = (
        isinstance(fields.get("prompt"), list)
        or max(fields.get("n") or 1, fields.get("n_cmpl") or 1) > 1
    )
    return is_many and ".usage." in found.at and found.ours >= found.own


def _honoured(found: Difference) -> bool:
    if found.request.what not in _HONOURED:
        return False
    return found.at != "status" or (_is_refused(found) and found.own == 200)


def _not_honoured(found: Difference) -> bool:
    return _is_refused(found) and found.own == 200 and found.request.what in _REFUSED


def _official_fields(found: Difference) -> bool:
    if found.request.plan.form == "response" and found.at == ".names":
        more = [name for name in found.ours if name not in found.own]
        return bool(more) and all(name.endswith(".done") for name in more)
    is_official = found.request.plan.form in ("response", "message")
    return is_official and "+" in found.at


def _incomplete(found: Difference) -> bool:
    is_response = found.request.plan.form == "response"
    words = {"completed": "incomplete", "response.completed": "response.incomplete"}
    return is_response and isinstance(found.own, str) and words.get(found.own) == found.ours


def _not_streamed(found: Difference) -> bool:
    place = found.at.rpartition(".")[2]
    if found.request.stream:
        return False
    if place == "content" and ".logprobs" in found.at:
        own, ours = (_text_of_tokens(tokens) for tokens in (found.own, found.ours))
        return _is_held_back(found, own, ours)
    if isinstance(found.own, str) and isinstance(found.ours, str):
        return _is_held_back(found, found.own, found.ours)
    return found.ours == [] and _is_held_back(found, "".join(_texts(found.own)), "")


def _is_held_back(found: Difference, own: str, ours: str) -> bool:
    """Whether the end is lost where a stop string, a call, JSON or a character might have begun."""
    fields, rest = found.request.fields, own.removeprefix(ours)
    stops = fields.get("stop") or fields.get("stop_sequences") or []
    stops = [stops] if isinstance(stops, str) else stops
    return own.startswith(ours) and (
        rest.startswith(_NO_TEXT)
        or _FENCE.startswith(rest.strip())
        or any(stop.startswith(rest) for stop in stops)
        or ("tools" in fields and rest.startswith("<tool_call>"))
    )


def _texts(blocks: Sequence[dict[str, Any]]) -> list[str]:
    """Those of a message's blocks, or of a response's items."""
    return [
        text
        for block in blocks
        for text in (block.get("text"), *_texts(block.get("content", ())))
        if text
    ]


def _joined(found: Difference) -> bool:
    return found.at != "status" and found.request.what in _JOINED


def _text_of_tokens(tokens: Sequence[dict[str, str]]) -> str:
    """What they say, without what stands before JSON: a stream has the tokens of a part of it."""
    text = "".join(token["token"] for token in tokens)
    return text.removeprefix(_FENCE).lstrip("`\n ")


def _is_refused(found: Difference) -> bool:
    is_refused = found.at == "status" and found.ours == 400
    return is_refused and bool(found.error.get("param") or not found.request.fields)


KINDS: Sequence[Kind] = (
    Kind(
        "An error has the form of the API that its path belongs to, and an error's status unless a "
        "stream has begun",
        "OpenAI's clients read `param` and a `code` that is a word, Anthropic's read its types. "
        "llama-server sends an object of its own on all paths, and a 200 before a stream has text.",
        _error_form,
    ),
    Kind(
        "A value of a wrong type, or beyond a written bound, is a 400 that names the field",
        "llama-server takes some of them without effect. Others stall or crash it for all clients.",
        _bounds,
    ),
    Kind(
        "A 500 of llama-server for a bad request is a 400",
        "The request is at fault: a client must not send it again, and no breaker counts it.",
        _own_mistake,
    ),
    Kind(
        "`null` means that a field is not given",
        "OpenAI's clients send it so; llama-server refuses some.",
        _nulls,
    ),
    Kind(
        "A text in a form can be a number",
        "A form has nothing but texts. llama-server makes numbers of `temperature` and "
        "`max_tokens` only, and refuses all other numbers that it knows.",
        _texts_of_forms,
    ),
    Kind(
        "Some histories are read that llama-server can't read",
        "Clients of the official APIs send them: a reasoning item without content, a call without "
        "arguments, a null name. Such a conversation could never go on.",
        _histories,
    ),
    Kind(
        "`model` must name a model that is served",
        "A llama-server has one model and takes any name for it.",
        _model,
    ),
    Kind(
        "`usage` counts all answers of a request, and all its prompts",
        "llama-server counts those of the first one only. Payment by tokens needs the sum.",
        _usage,
    ),
    Kind(
        "Some fields that llama-server ignores have their effect",
        "`tool_choice` that names a tool, `tool_choice: none` and `is_error` of messages, "
        "`text.format` of responses: a client that says it means it.",
        _honoured,
    ),
    Kind(
        "System messages become one, and so do neighbouring turns of the user in messages",
        "The templates of many models raise for more, and Anthropic's API joins them, too.",
        _joined,
    ),
    Kind(
        "A field that llamaq can't honour is a 400",
        "`echo`, `suffix`, `best_of`, `background`, `previous_response_id`: the answer would not "
        "be what the client believes.",
        _not_honoured,
    ),
    Kind(
        "Answers have what the official clients need",
        "The types of OpenAI's and Anthropic's clients require fields and events that llama-server "
        "leaves out.",
        _official_fields,
    ),
    Kind(
        "A response that the limit cut is `incomplete`",
        "OpenAI's API says so; llama-server says `completed`.",
        _incomplete,
    ),
    Kind(
        "Answers lack what llama-server's streams lack",
        "llamaq always asks for a stream, because a stream can go on after a lost worker. A stream "
        "loses a tool call or JSON that is cut before it begins, a possible beginning of a stop "
        "string at the limit, and text after bytes that are no UTF-8. Tokens that it held back "
        "come as one, or are left out. If nothing is left of a whole answer, "
        "`x-llamaq-lost-tokens` tells how many tokens it had.",
        _not_streamed,
    ),
)
