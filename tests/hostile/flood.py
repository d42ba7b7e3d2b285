"""One tenant sends thousands of large jobs; another one sends one a second, and must not notice."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from bench.load_generator import Exchange
from testing.builders import make_token
from tests.hostile.attacker import attacking
from tests.hostile.good import Seen, question
from tests.hostile.stage import Stage
from tests.overload.finding import Finding, percentile
from tests.overload.loads import ask

_ALONE_S = 20.0
_LONGEST_S = 400.0

Say = Callable[[str], None]


async def flood(on: Stage, say: Say) -> list[Finding]:
    """Runs it, until the flood is over."""
    await one_a_second(on, 3, lambda: False, say)
    alone = await one_a_second(on, _ALONE_S, lambda: False, say)
    say(f"alone: {alone}")
    with attacking(on, "flood", _LONGEST_S, seed=0) as hostile:
        beside = await one_a_second(on, _LONGEST_S, hostile.is_over, say)
        say(f"flood: {await hostile.answered()}")
    say(f"beside: {beside}")
    wait_s = percentile(beside.first_s, 1) - percentile(alone.first_s, 0.5)
    return [
        Finding("flood: one a second: whole", len(beside.whole_s)),
        Finding("flood: ... 429 or 503", beside.refused, most=0),
        Finding("flood: ... failures", beside.failed.total(), most=0),
        Finding("flood: one job's time, s", alone.max_s),
        Finding("flood: longest wait beyond that alone, s", wait_s, most=alone.max_s),
    ]


async def one_a_second(on: Stage, seconds: float, is_over: Callable[[], bool], say: Say) -> Seen:
    """Streams, each begun when it is due; until then, or sooner if it is over."""
    seen, began, token = Seen(), time.monotonic(), make_token(sub="good")
    asking: list[Awaitable[Exchange]] = []
    for number in itertools.count(1):
        asking.append(asyncio.create_task(ask(on.port, question(token))))
        await asyncio.sleep(began + number - time.monotonic())
        if is_over() or number >= seconds:
            break
    for exchange in await asyncio.gather(*asking):
        seen.note(exchange, say)
    return seen
