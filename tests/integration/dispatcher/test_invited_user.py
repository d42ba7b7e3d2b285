"""What an invited machine can read and do in Redis, and what it can't: on a real server.

At d26fdb4 the line for another machine held the password of Redis itself: its owner could read
every prompt, run KEYS, EVAL and REPLICAOF, and answer the requests of every model (H5).
"""

import re
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

import pytest
from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import Invitation
from dispatcher.invited_user import COMMANDS
from dispatcher.invited_users import admit, expel, machines_admitted
from dispatcher.keys import NAMES
from dispatcher.link import Link
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_login import with_login
from dispatcher.script_text import SCRIPTS, script_text

pytestmark = pytest.mark.real

OF_APIS = {
    *("admit", "api_heartbeat", "begin_once", "call_off", "cancel", "drain", "enqueue", "free_key"),
    "hold",
    *("keep_answer", "position", "renew_keys", "resume", "roster", "used", "used_by_each"),
    *("waiting_by_tier", "weigh", "wipe"),
}
OF_BRIDGES = {
    *("claim", "emit", "finish", "look", "oldest_waiting", "reap", "register", "release", "renew"),
}
SAID_BY_BRIDGES = {"bzpopmin", "evalsha", "get", "hgetall", "hmget", "ping"}

_CALLED = re.compile(r"(?:call|try)\('([A-Z]+)'|\{'([A-Z]+)', PREFIX")

MODEL = "m*[a]?"  # no pattern, though it looks like one
PASSWORD = "secret"


@pytest.fixture
async def bob(real_redis: LinkedRedis, real_redis_url: str) -> AsyncIterator[Link]:
    """The machine `bob`, invited to one model, as it is logged in."""
    invitation = Invitation("bob", MODEL, sha256(PASSWORD.encode()).hexdigest(), 1)
    await admit(real_redis, invitation)
    client = open_redis(with_login(real_redis_url, "invited-bob", PASSWORD))
    yield client.link
    await client.aclose()
    await expel(real_redis, "bob")


def own(name: str) -> str:
    return f"llamaq:{{{MODEL}}}:{name}"


async def allowed(bob: Link, *commands: Sequence[str]) -> list[str]:
    """Those of the commands that Redis does not refuse."""
    found = []
    for command in commands:
        try:
            await bob.call(*command)
        except RedisUnavailable as error:
            if "NOPERM" in error.message:
                continue
        except ResponseError as error:
            if "permission" in str(error) or "DEBUG" in str(error):  # it is shut off for all
                continue
        found.append(" ".join(command))
    return found


def test_what_is_allowed_is_what_bridges_and_their_scripts_say() -> None:
    assert set(SCRIPTS) == OF_APIS | OF_BRIDGES
    said = set(SAID_BY_BRIDGES)
    for script in OF_BRIDGES:
        found = _CALLED.findall(script_text(script, 0, PROTOCOL))
        said |= {(first or second).lower() for first, second in found}
    assert said == set(COMMANDS)


async def test_keys_of_its_model_are_its_own(bob: Link) -> None:
    asked = [("EXISTS", own(ending)) for ending in NAMES.values()]
    assert await allowed(bob, *asked) == [" ".join(words) for words in asked]
    await bob.call("SET", own("body:j"), "a prompt", "PX", 60_000)
    assert await bob.call("GET", own("body:j")) == b"a prompt"
    await bob.call("DEL", own("body:j"))


OTHER_KEYS = [
    *("llamaq:models", "llamaq:aliases", f"llamaq:aliases:{{{MODEL}}}", "llamaq:invited"),
    *("llamaq:writable", "llamaq:revoked", "llamaq:{tenant:ann}:limits", "somebody:elses"),
    *("llamaq:{other}:body:j", "llamaq:{m*[a]x}:body:j", "llamaq:{mxa?}:body:j"),
]


async def test_other_keys_are_refused(bob: Link) -> None:
    for key in OTHER_KEYS:
        asked = [("GET", key), ("SET", key, "1"), ("DEL", key), ("ZADD", key, "1", "m")]
        asked += [("BZPOPMIN", own("bell"), key, "1"), ("HGETALL", key), ("EXISTS", own("a"), key)]
        assert await allowed(bob, *asked) == [], key


OTHER_COMMANDS = [
    *("FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "INFO", "MONITOR"),
    *("CONFIG GET *", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "DEBUG SLEEP 1", "SAVE"),
    *("SCRIPT LOAD x", "SCRIPT FLUSH", "SCRIPT EXISTS x", "EVAL x 0", "EVAL_RO x 0"),
    *("FUNCTION LIST", "FUNCTION LOAD x", "FCALL f 0", "MODULE LIST", "SHUTDOWN NOSAVE"),
    *("ACL LIST", "ACL WHOAMI", "ACL SETUSER me", "CLIENT LIST", "CLIENT KILL TYPE normal"),
    *("CLIENT PAUSE 1000", "SELECT 1", "SWAPDB 0 1", "REPLICAOF host 1", "FAILOVER"),
    *("SUBSCRIBE c", "PSUBSCRIBE *", "PUBLISH c x", "SLOWLOG GET", "LATENCY DOCTOR"),
    *("CLUSTER INFO", "WAIT 1 1", "MULTI", "BGSAVE", "BGREWRITEAOF", "LASTSAVE", "COMMAND"),
]
ON_ITS_OWN_KEYS = [
    *("RENAME {0} {1}", "COPY {0} {1}", "DUMP {0}", "RESTORE {0} 0 x", "MOVE {0} 1"),
    *("XREAD STREAMS {0} 0", "XRANGE {0} - +", "SUNIONSTORE {0} {1}", "APPEND {0} x"),
    *("SETRANGE {0} 536870911 x", "LPUSH {0} x", "BITOP NOT {0} {1}", "PERSIST {0}"),
    *("OBJECT ENCODING {0}", "MEMORY USAGE {0}", "SORT {0}", "MIGRATE h 1 {0} 0 1"),
]


async def test_what_no_bridge_needs_is_refused(bob: Link) -> None:
    texts = OTHER_COMMANDS + [text.format(own("a"), own("b")) for text in ON_ITS_OWN_KEYS]
    assert await allowed(bob, *(text.split() for text in texts)) == []


async def test_scripts_that_are_loaded_reach_no_further(bob: Link, real_redis: LinkedRedis) -> None:
    loaded = await real_redis.script_load("return redis.call(unpack(ARGV))")
    assert await bob.call("EVALSHA", loaded, 1, own("a"), "GET", own("a")) is None
    begins = "EVALSHA", loaded, "1", own("a")
    asked = [("GET", "llamaq:{other}:body:j"), ("KEYS", "*"), ("FLUSHALL",), ("SET", "x", "1")]
    assert await allowed(bob, *((*begins, *words) for words in asked)) == []
    assert await allowed(bob, ("EVALSHA", loaded, "1", "llamaq:{other}:queue", "TIME")) == []


async def test_no_script_takes_arguments_without_end(bob: Link, real_redis: LinkedRedis) -> None:
    for script in sorted(OF_APIS | OF_BRIDGES):
        text = script_text(script, 0, PROTOCOL)
        loaded = await real_redis.script_load(text)
        words = "EVALSHA", loaded, 1, own("")
        with pytest.raises((ResponseError, RedisUnavailable), match=r"too many|NOPERM|permission"):
            await bob.call(*words, *range(20_001))


@pytest.mark.parametrize("facts", ["1e15", "-1e15", "inf", "nan", "2", "-1"])
async def test_renewal_with_forged_counts_ends(
    bob: Link, real_redis: LinkedRedis, facts: str
) -> None:
    """With `facts` 1e15 a script ran for ever, and Redis did nothing else any more."""
    loaded = await real_redis.script_load(script_text("renew", 0, PROTOCOL))
    await bob.call("HSET", own("worker:w"), "epoch", "e")
    words = "w", "e", 4000, 1, 1, 5000, facts, "server", "x"
    with pytest.raises(ResponseError, match="its facts are not complete"):
        await bob.call("EVALSHA", loaded, 1, own(""), *words)
    await bob.call("DEL", own("worker:w"))


async def test_only_its_secret_lets_it_in_until_it_is_removed(
    bob: Link, real_redis: LinkedRedis, real_redis_url: str
) -> None:
    hashed = sha256(PASSWORD.encode()).hexdigest()
    for password in ("", "other", hashed):
        stranger = open_redis(with_login(real_redis_url, "invited-bob", password))
        with pytest.raises(RedisUnavailable, match=r"login|permissions|NOAUTH"):
            await stranger.link.call("PING")
        await stranger.aclose()
    kept = str(await real_redis.link.call("ACL", "GETUSER", "invited-bob"))
    assert (hashed in kept, f"'{PASSWORD}'" in kept) == (True, False)
    assert await machines_admitted(real_redis) == {"bob"}
    blocked = bob.call("BZPOPMIN", own("bell"), 30)
    await expel(real_redis, "bob")
    with pytest.raises(RedisUnavailable):
        await blocked
    with pytest.raises(RedisUnavailable, match="refuses our login"):
        await bob.call("PING")
    assert await machines_admitted(real_redis) == set()
