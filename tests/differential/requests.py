"""Requests to compare by: valid ones, odd ones that are valid all the same, and invalid ones."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from testing.builders import BOUNDARY, make_form
from testing.tiny_ear import sound

Json = dict[str, Any]

TEXTS = ("Hi", "Tell me a story.", "grün 日本 🎉", "a" * 200, "line\nline\ttab", "שלום", "e\u0301")
ODD_TEXTS = ("", " ", "\u0000", "\ufeff", "<|im_end|>", "\u202e", "}{", "%s%n", "\u2028")


@dataclass(frozen=True, slots=True)
class Values:
    """What a field may hold, and what it may not; `beside` are other fields that it needs."""

    good: Sequence[Any]
    bad: Sequence[Any] = ()
    beside: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Writing:
    """How the fields of a request are written. `odd` are other ways, and `broken` is unreadable."""

    media_type: str
    write: Callable[[Json], bytes]
    odd: Mapping[str, Callable[[Json], bytes]]
    broken: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """How requests for an endpoint are made.

    `needed` makes what each request has. `odd` and `invalid` are changes of it by their names; in
    them `...` takes a field away. `form` is that of its streams, "" where it has none. A request
    that is not JSON has another `writing`.
    """

    path: str
    model: str
    form: str
    needed: Callable[[Random], Json]
    fields: Mapping[str, Values]
    odd: Mapping[str, Json]
    invalid: Mapping[str, Json]
    writing: Writing | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """`sort` is valid, odd or invalid; `what` says which change made it so."""

    plan: Plan
    sort: str
    what: str
    fields: Json
    body: bytes

    @property
    def media_type(self) -> str:
        """That of its body."""
        return (self.plan.writing or JSON).media_type

    @property
    def stream(self) -> bool:
        """Whether a stream is to come back."""
        return self.fields.get("stream") is True

    def __str__(self) -> str:
        return f"{self.plan.path} {self.sort}: {self.what}"


def requests(plan: Plan, count: int, seed: int) -> Iterator[Request]:
    """So many requests: a third of each sort, each change in turn, the same for the same seed."""
    random = Random(f"{plan.path} {seed}")  # noqa: S311
    makers = (_valid, _odd, _invalid)
    for number in range(count):
        maker, turn = makers[number % len(makers)], number // len(makers)
        fields = plan.needed(random)
        if plan.form and random.random() < 0.5:
            fields["stream"] = True
        yield maker(plan, fields, random, turn)


def _valid(plan: Plan, fields: Json, random: Random, turn: int) -> Request:
    names = list(plan.fields)
    chosen = {names[turn % len(names)]} if names else set()
    chosen |= set(random.sample(names, min(len(names), random.randrange(3))))
    for name in sorted(chosen):
        values = plan.fields[name]
        good = random.choice(values.good)
        fields = changed(fields, {**(values.beside or {}), name: good})
    return _request(plan, "valid", ", ".join(sorted(chosen)), fields)


def _odd(plan: Plan, fields: Json, random: Random, turn: int) -> Request:
    changes: list[tuple[str, Json]] = [*plan.odd.items(), *_COMMON_ODD.items()]
    cold = {"temperature": 0} if "temperature" in fields else {}  # for who takes its seed away
    if plan.writing is None:  # a form knows no null
        changes += [(f"null {name}", {**cold, name: None}) for name in plan.fields]
    ways = (plan.writing or JSON).odd
    number = turn % (len(changes) + len(ways))
    if number < len(ways):
        what, write = list(ways.items())[number]
        return Request(plan, "odd", what, fields, write(fields))
    what, change = changes[number - len(ways)]
    return _request(plan, "odd", what, changed(fields, change))


def _invalid(plan: Plan, fields: Json, random: Random, turn: int) -> Request:
    changes: list[tuple[str, Json]] = [*plan.invalid.items()]
    changes += [
        (f"bad {name}", {**(values.beside or {}), name: bad})
        for name, values in plan.fields.items()
        for bad in values.bad
    ]
    Random(len(changes)).shuffle(changes)  # noqa: S311
    broken = (plan.writing or JSON).broken
    number = turn % (len(changes) + len(broken))
    if number < len(broken):
        what, body = list(broken.items())[number]
        return Request(plan, "invalid", what, {}, body)
    what, change = changes[number - len(broken)]
    return _request(plan, "invalid", what, changed(fields, change))


def _request(plan: Plan, sort: str, what: str, fields: Json) -> Request:
    return Request(plan, sort, what, fields, (plan.writing or JSON).write(fields))


def changed(fields: Json, change: Mapping[str, Any]) -> Json:
    """The fields after a change, in which `...` takes one away."""
    both = {**deepcopy(fields), **change}
    return {name: value for name, value in both.items() if value is not ...}


def _json(fields: Json) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


_ENCODINGS: Mapping[str, Callable[[Json], bytes]] = {
    "escapes": lambda fields: json.dumps(fields).encode(),
    "blanks": lambda fields: b" \n\t" + json.dumps(fields, indent=3).encode() + b"\r\n ",
    "byte order mark": lambda fields: b"\xef\xbb\xbf" + _json(fields),
    "a name twice": lambda fields: b'{"temperature": 1.5,' + _json(fields)[1:],
}
_NOT_JSON: Mapping[str, bytes] = {
    "no body": b"",
    "half an object": b'{"model": "tiny"',
    "a comma too many": b'{"model": "tiny",}',
    "a list": b"[]",
    "a string": b'"model"',
    "null": b"null",
    "not a number": b'{"model": "tiny", "temperature": NaN}',
    "no UTF-8": b'{"model": "\xff\xfe"}',
    "half a surrogate": b'{"model": "\\ud800"}',
    "two objects": b"{}{}",
    "a tail": b'{"model": "tiny"} x',
    "form": b"model=tiny&prompt=a",
}
JSON = Writing("application/json", _json, _ENCODINGS, _NOT_JSON)


def _form(fields: Json) -> bytes:
    """A form knows no null, and of lists and objects only what they are as JSON."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
        if value is not None and not isinstance(value, bytes)
    }
    files = {name: value for name, value in fields.items() if isinstance(value, bytes)}
    return make_form(texts, **files)


FORM = Writing(
    f"multipart/form-data; boundary={BOUNDARY}",
    _form,
    {
        "an epilogue": lambda fields: _form(fields) + b"the end",
        "types of parts": lambda fields: _form(fields).replace(
            b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1
        ),
    },
    {
        "no body": b"",
        "JSON": b'{"model": "hears"}',
        "no parts": b"--%b--\r\n" % BOUNDARY.encode(),
        "half a form": _form({"model": "hears", "file": sound()})[:-99],
        "a part without a name": _form({"file": sound()}).replace(b'name="file"; ', b""),
    },
)
_COMMON_ODD: Mapping[str, Json] = {
    "unknown field": {"x_unknown": 1},
    "unknown object": {"extra_body": {"a": [{"b": None}]}},
    "metadata": {"metadata": {"who": "me"}},
    "a user": {"user": "someone"},
    "a service tier": {"service_tier": "auto"},
    "an unknown service tier": {"service_tier": "scale"},
    "no cache": {"cache_prompt": False},
    "a slot": {"id_slot": 0},
    "adapters": {"lora": []},
    "another model": {"model": "gpt-4o"},
    "no model": {"model": ...},
}
