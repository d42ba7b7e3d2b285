"""Texts that lie side by side are joined, and say the same as event by event."""

import json
import random

import pytest

from api.chat.completion import Completion
from api.chat.seen import Memory
from api.errors import ApiError
from dispatcher.joined_text import joined

TAIL = '"created":1,"id":"x","model":"m"}'
OTHER_TAIL = '"created":1,"id":"x","model":"m","timings":{"prompt_n":1}}'
KINDS = ("reasoning_content", "content")
WORDS = ("a", 'b"', "c\\", "\n", " word", "é", "", '"}}],"', "\ud83d", "\U0001f600")


def event(delta: str, reason: str = "null", tail: str = TAIL) -> bytes:
    choice = f'{{"finish_reason":{reason},"index":0,"delta":{delta}}}'
    return f'data: {{"choices":[{choice}],{tail}\n\n'.encode()


def text(word: str, tail: str = TAIL, kind: str = "content") -> bytes:
    return event(f'{{"{kind}":{json.dumps(word)}}}', tail=tail)


def some_event(chance: random.Random) -> bytes:
    word, tail = chance.choice(WORDS), chance.choice((TAIL, TAIL, TAIL, OTHER_TAIL))
    said = json.dumps(word)
    odd = (
        text(word, tail, "reasoning_content"),
        event(f'{{"content":null,"role":{said}}}', tail=tail),
        event(f'{{"content":{said},"refusal":{said}}}', tail=tail),
        event(f'{{"refusal":{said}}}', tail=tail),
        event(f'{{"tool_calls":[{{"index":0,"function":{{"name":"f","arguments":{said}}}}}]}}'),
        event("{}", '"stop"'),
        b": alive\n",
        b'data: {"error":{"message":"no"}}\n\n',
    )
    return text(word, tail) if chance.random() < 0.8 else chance.choice(odd)


def test_text_that_lies_side_by_side_becomes_one_event() -> None:
    role, end = event('{"role":"assistant","content":null}'), event("{}", '"stop"')
    said = [text(word) for word in ("a", 'b"', "é\n", "d")] * 3
    rest = ('ab"é\nd' * 3)[1:]
    assert joined(b"".join([role, *said, end])) == role + text("a") + text(rest) + end


def test_each_kind_of_text_is_joined_for_itself() -> None:
    thoughts, words = [[text(word, kind=kind) for word in "abcdef"] for kind in KINDS]
    merged = [text("a", kind=KINDS[0]), text("bcdef", kind=KINDS[0]), text("abcdef")]
    assert joined(b"".join([*thoughts, *words])) == b"".join(merged)


@pytest.mark.parametrize(
    "events",
    [
        b"",
        event('{"refusal":"a"}') * 9,
        event('{"content":"a","refusal":"a"}') * 9,
        (text("a") + event('{"role":"user"}')) * 9,
        (text("a") + text("b", kind="reasoning_content")) * 9,
        text("a") + event('{"content":"\\"}') * 2 + text("n") * 9,
    ],
)
def test_all_else_stays_as_it_is(events: bytes) -> None:
    assert joined(events) == events


@pytest.mark.parametrize("seed", range(40))
def test_much_at_once_says_the_same_as_event_by_event(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(20):
        events = [some_event(chance) for _ in range(chance.randrange(24))]
        at_once, one_by_one = read([joined(b"".join(events))]), read(events)
        assert at_once == one_by_one


def read(parts: list[bytes]) -> object:
    completion, memory = Completion(), Memory()
    for part in parts:
        memory.add(part, 7)
    try:
        for part in parts:
            completion.add(part)
        completion.add(event("{}", '"length"'))
    except ApiError as error:
        return error.message, memory.seen
    return completion.choice(), memory.seen
