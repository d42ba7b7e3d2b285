"""Requests to compare by: valid ones, odd ones that are valid all the same, and invalid ones."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

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
class Plan:
    """How requests for an endpoint are made.

    `needed` makes what each request has. `odd` and `invalid` are changes of it by their names; in
    them `...` takes a field away. `form` is that of its streams, "" where it has none.
    """

    path: str
    model: str
    form: str
    needed: Callable[[Random], Json]
    fields: Mapping[str, Values]
    odd: Mapping[str, Json]
    invalid: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Request:
    """`sort` is valid, odd or invalid; `what` says which change made it so."""

    plan: Plan
    sort: str
    what: str
    fields: Json
    body: bytes

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
    return Request(plan, "valid", ", ".join(sorted(chosen)), fields, _json(fields))


def _odd(plan: Plan, fields: Json, random: Random, turn: int) -> Request:
    changes: list[tuple[str, Json]] = [*plan.odd.items(), *_COMMON_ODD.items()]
    cold = {"temperature": 0} if "temperature" in fields else {}  # for who takes its seed away
    changes += [(f"null {name}", {**cold, name: None}) for name in plan.fields]
    texts = len(_ENCODINGS)
    number = turn % (len(changes) + texts)
    if number < texts:
        what, encode = list(_ENCODINGS.items())[number]
        return Request(plan, "odd", what, fields, encode(fields))
    what, change = changes[number - texts]
    fields = changed(fields, change)
    return Request(plan, "odd", what, fields, _json(fields))


def _invalid(plan: Plan, fields: Json, random: Random, turn: int) -> Request:
    changes: list[tuple[str, Json]] = [*plan.invalid.items()]
    changes += [
        (f"bad {name}", {**(values.beside or {}), name: bad})
        for name, values in plan.fields.items()
        for bad in values.bad
    ]
    Random(len(changes)).shuffle(changes)  # noqa: S311
    number = turn % (len(changes) + len(_NOT_JSON))
    if number < len(_NOT_JSON):
        what, body = list(_NOT_JSON.items())[number]
        return Request(plan, "invalid", what, {}, body)
    what, change = changes[number - len(_NOT_JSON)]
    fields = changed(fields, change)
    return Request(plan, "invalid", what, fields, _json(fields))


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
