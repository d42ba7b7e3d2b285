"""What operators and tenants are shown where an invited machine writes garbage: on a real server.

It may write whatever it likes to each key of its model. At d26fdb4 `llamaq status` printed the
escape codes of a worker.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.invitations import Invitation, write_invitation
from dispatcher.keys import MODELS, Keys
from dispatcher.worker_state import FIELDS
from llamaq.status import as_json, as_text, read_status
from llamaq.usage_command import _in_csv, _in_table
from llamaq.usage_work import report

pytestmark = pytest.mark.real

MODEL, EVIL = "spoilt", "\x1b[2J\nevil"
KEYS = Keys(MODEL)


@pytest.fixture
async def redis(real_redis_url: str) -> AsyncIterator[LinkedRedis]:
    client = open_redis(real_redis_url)
    await client.flushall()
    await write_invitation(client, Invitation("bob", MODEL, "0" * 64, 1))
    await client.zadd(MODELS, {MODEL: time.time(), "good": time.time()})
    yield client
    await client.flushall()
    await client.aclose()


def named(*names: str) -> list[str]:
    return [KEYS.named(name) for name in names]


ALL = (
    *named("classes", "waiting", "suspects", "crashes", "counters", "workers", "queue", "loading"),
    *named("gone", "deadlines"),
    *(KEYS.named("turns", f"any|{tier}") for tier in ("priority", "default", "flex")),
    *(
        KEYS.named(name, time.strftime("%Y-%m-%d", time.gmtime()))
        for name in ("usage", "usage_users")
    ),
)
GARBAGE: Sequence[Sequence[str]] = (
    ("SET", "x"),
    ("SADD", EVIL, "b"),
    ("HSET", EVIL, EVIL, "ann|" + EVIL, "requests=9999999999999999 prompt=x"),
    ("ZADD", "inf", EVIL, "1", "any", "2", EVIL + "2"),
    ("ZADD", "1e300", EVIL, "-inf", "any", str(time.time() * 1000 + 60_000), EVIL + "2"),
)


async def test_what_a_worker_says_of_itself_is_shown_as_harmless_text(
    redis: LinkedRedis, real_redis_url: str
) -> None:
    numbers = dict.fromkeys(("slots", "context", "protocol", "foreign", "size_bytes"), "1")
    row = dict.fromkeys(FIELDS, EVIL) | numbers | {"prompt_tps": "1", "decode_tps": "1"}
    row |= {"parameters": "1", "trained_context": "1", "drained": "1"}
    row |= {"paused_until_s": "1", "tokens_per_s": "1"}
    await redis.zadd(KEYS.named("workers"), {"w" + EVIL: time.time() * 1000 + 60_000})
    await redis.hset(KEYS.named("worker", "w" + EVIL), mapping=row)  # type: ignore[misc]
    gone = dict.fromkeys(("how", "server", "host", "address", "health", "reason", "lost"), EVIL)
    await redis.zadd(KEYS.named("gone"), {"g" + EVIL: time.time() * 1000 - 1000})
    await redis.hset(KEYS.named("gone_of", "g" + EVIL), mapping=gone)  # type: ignore[misc]
    text = as_text(await read_status(real_redis_url))
    assert "g_[2J_evil" in text
    assert "_[2J_evil" in text
    assert "\x1b" not in text
    assert "\nevil" not in text


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda words: f"{words[0]} {words[1]!r}"[:20])
async def test_it_is_shown_as_harmless_text_and_hides_no_other_model(
    redis: LinkedRedis, real_redis_url: str, garbage: Sequence[str]
) -> None:
    command, *values = garbage
    for key in ALL:
        await redis.execute_command(command, key, *values)
    status = await read_status(real_redis_url)
    text = as_text(status)
    assert json.loads(as_json(status))
    assert "good: 0 queued" in text
    for by in ("tenant", "user", "day", "model"):
        found = await report("", "", "", by, real_redis_url)
        text += _in_table(found, by)
        assert _in_csv(found["data"], by)
    assert "\x1b" not in text
    assert "\nevil" not in text
