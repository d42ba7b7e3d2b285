"""The link to Redis: whatever the server does, each caller gets its own answer or hears of it."""

import asyncio
import gc
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisFull, RedisUnavailable
from dispatcher.wire import MOST_UNSENT_BYTES
from testing.processes import valkey
from testing.relay import Relay, relay_to

SILENCE_S = 0.25
PUSH = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
KEY = "llamaq:{m}:test"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[LinkedRedis]:
    client = open_redis(url, silence_s=SILENCE_S)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def client(redis: Redis, redis_url: str) -> AsyncIterator[LinkedRedis]:
    async with client_of(redis_url) as client:
        yield client
        await client.delete(KEY)


@pytest.fixture
async def real(real_redis_url: str) -> AsyncIterator[LinkedRedis]:
    """A client of the real server alone."""
    async with client_of(real_redis_url) as client:
        yield client
        await client.flushall()


@asynccontextmanager
async def served_by(handle: Handle, path: Path) -> AsyncIterator[LinkedRedis]:
    """A client of a server that does what a real one doesn't do on demand."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handle(reader, writer)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_unix_server(accept, path)
    async with client_of(f"unix://{path}") as client:
        yield client
    server.close()
    await asyncio.gather(*tasks)


async def outcomes(*answers: Awaitable[object]) -> list[object]:
    """What each of them gives; of `RedisUnavailable` and the like the type."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else one for one in found]


async def test_commands_of_a_tick_are_one_write_and_are_answered_in_order(
    client: LinkedRedis,
) -> None:
    await client.link.call("PING")
    writes: list[bytes] = []
    wire = client.link._wire
    assert wire
    write, wire._transport = wire._transport, Recorded(wire._transport, writes)
    assert await outcomes(*(client.link.call("INCR", KEY) for _ in range(50))) == [*range(1, 51)]
    wire._transport = write
    assert len(writes) == 1


class Recorded:
    """A transport whose writes are kept."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport, self._writes = transport, writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


async def test_command_that_fails_concerns_nobody_else(real: LinkedRedis) -> None:
    call = real.link.call
    answers = await outcomes(call("INCR", KEY), call("LPUSH", KEY, 1), call("INCR", KEY))
    assert answers == [1, ResponseError, 2]
    with pytest.raises(TypeError):
        call("SET", KEY, None)
    assert await call("INCR", KEY) == 3


async def test_answers_may_come_byte_by_byte(client: LinkedRedis, relay: Relay) -> None:
    relay.pieces = True
    async with client_of(relay.url) as pieces:
        call = pieces.link.call
        await outcomes(*(call("RPUSH", KEY, f"{number}\r\n") for number in range(20)))
        read = await call("LRANGE", KEY, 0, -1)
    assert read == [b"%d\r\n" % number for number in range(20)]


async def test_answer_that_is_cut_fails_all_that_wait_and_nothing_is_sent_again(
    client: LinkedRedis, relay: Relay
) -> None:
    async with client_of(relay.url) as cut:
        await cut.link.call("PING")
        relay.cut_next_reply()
        answers = await outcomes(*(cut.link.call("INCR", KEY) for _ in range(3)))
        assert RedisUnavailable in answers
        assert int(await cut.link.call("GET", KEY)) <= 3  # the fake may not get to the last ones


async def test_cancelled_caller_disturbs_no_other(client: LinkedRedis, relay: Relay) -> None:
    async with client_of(relay.url) as held:
        await held.link.call("PING")
        relay.hold_replies()
        first, left, last = (held.link.call("INCR", KEY) for _ in range(3))
        await relay.held.wait()
        left.cancel()
        relay.let_go()
        assert [await first, await last] == [1, 3]


async def test_all_that_wait_are_refused_together_when_redis_is_silent(
    client: LinkedRedis, relay: Relay
) -> None:
    async with client_of(relay.url) as silent:
        await silent.link.call("PING")
        relay.hold_replies()
        async with asyncio.timeout(30):
            answers = await outcomes(*(silent.link.call("PING") for _ in range(1000)))
        assert answers == [RedisUnavailable] * 1000
        relay.let_go()
        async with asyncio.timeout(30):
            while await outcomes(silent.link.call("PING")) != [b"PONG"]:
                pass  # a busy machine may take longer to connect again


async def test_slow_server_is_waited_for(tmp_path: Path) -> None:
    """Each answer takes most of the time-out; all together take much longer."""

    async def answer_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            await asyncio.sleep(SILENCE_S / 2)
            writer.write(b"+OK\r\n")
        await reader.read()

    async with served_by(answer_slowly, tmp_path / "slow.sock") as slow:
        assert await outcomes(*(slow.link.call("PING") for _ in range(4))) == [b"OK"] * 4


async def test_server_that_only_reads_is_waited_for_and_gets_no_more_than_it_can_take(
    tmp_path: Path,
) -> None:
    """The rest waits in line; what its callers have given up is not sent."""
    size, number = 60_000, 60
    sent = asyncio.Event()
    came = 0

    async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        await sent.wait()
        while came < (number - 1) * size:
            came += len(await reader.read(300_000))
            await asyncio.sleep(SILENCE_S / 8)
        writer.write(b"+OK\r\n" * (number - 1))
        came += len(await reader.read())

    async with served_by(read_slowly, tmp_path / "reading.sock") as slow:
        answers = [slow.link.call("SET", str(n), b"x" * size) for n in range(number)]
        while not sent.is_set():
            await asyncio.sleep(0.01)
            if slow.link._wire and slow.link._wire.full:
                sent.set()
        assert slow.link._wire
        unsent = slow.link._wire._transport.get_write_buffer_size()
        assert unsent <= MOST_UNSENT_BYTES + size
        answers.pop().cancel()
        assert await outcomes(*answers) == [b"OK"] * (number - 1)
    assert came < number * size


async def test_answer_that_nobody_waits_for_ends_the_connection(tmp_path: Path) -> None:
    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"+OK\r\n+WHAT\r\n")
        await reader.read()

    async with served_by(answer_twice, tmp_path / "twice.sock") as twice:
        assert await twice.link.call("PING") == b"OK"
        await asyncio.sleep(0)
        assert twice.link._wire is None
        assert await twice.link.call("PING") == b"OK"


async def test_what_does_not_speak_as_redis_does_is_told(tmp_path: Path) -> None:
    async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with served_by(answer_http, tmp_path / "http.sock") as http:
        with pytest.raises(RedisUnavailable, match="does not speak as Redis does"):
            await http.link.call("PING")


async def test_attempt_to_connect_that_fails_leaves_nothing_to_the_collector(
    tmp_path: Path,
) -> None:
    """The greeting holds all scripts. The collector counts objects and no bytes: it may be late."""

    async def load(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        writer.write(b"-LOADING the dataset is in memory soon\r\n")
        with suppress(ConnectionError):
            await reader.read()

    async with served_by(load, tmp_path / "loading.sock") as client:
        client.link.load("return 1 --" + "x" * 2**20)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(8):
                with pytest.raises(RedisUnavailable, match="LOADING"):
                    await client.link.call("PING")
            assert tracemalloc.get_traced_memory()[0] < 2**22
        finally:
            tracemalloc.stop()
            gc.enable()


async def test_one_attempt_to_connect_at_a_time_and_all_who_wait_for_it_fail_with_it(
    tmp_path: Path,
) -> None:
    attempts: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(await reader.read(1000))
        await asyncio.sleep(0.1)

    async with served_by(hang_up, tmp_path / "mute.sock") as mute:
        mute.link.load(PUSH)
        answers = [mute.link.call("PING") for _ in range(50)]
        await asyncio.sleep(0.05)
        answers += [mute.link.call("PING") for _ in range(50)]
        assert await outcomes(*answers) == [RedisUnavailable] * 100
    assert len(attempts) == 1
    assert b"LOAD" in attempts[0]
    assert b"PING" not in attempts[0]


async def test_absent_server_is_unavailable() -> None:
    async with client_of("redis://127.0.0.1:1") as client:
        with pytest.raises(RedisUnavailable, match="can't be reached"):
            await client.link.call("PING")


async def test_closed_link_fails_what_waits_and_connects_no_more(
    real: LinkedRedis, real_redis_url: str
) -> None:
    async with client_of(real_redis_url) as other:
        before = len(await other.client_list())
        closed = open_redis(real_redis_url)
        await closed.link.call("PING")
        waiting = [closed.link.call("BLPOP", KEY, 1), closed.link.call("SET", KEY, b"x" * 70_000)]
        await closed.aclose()
        assert await outcomes(*waiting, closed.link.call("PING")) == [RedisUnavailable] * 3
        assert len(await other.client_list()) == before


async def test_dropped_link_fails_what_waits_and_connects_again(client: LinkedRedis) -> None:
    waiting = client.link.call("PING")
    client.link.drop()
    assert await outcomes(waiting, client.link.call("PING")) == [RedisUnavailable, b"PONG"]


@pytest.mark.parametrize("is_dropped", [False, True])
async def test_socket_that_connects_when_its_link_is_closed_is_closed_too(
    real_redis_url: str, is_dropped: bool
) -> None:
    """However far it has come."""
    gc.collect()  # what other tests left open
    files = psutil.Process().num_fds()
    for ticks in range(12):
        client = open_redis(real_redis_url)
        waiting = client.link.call("PING")
        for _ in range(ticks):
            await asyncio.sleep(0)
        if is_dropped:
            client.link.drop()
        await client.aclose()
        assert psutil.Process().num_fds() <= files, ticks
        await outcomes(waiting)


async def test_commands_after_a_script_flush_fail_and_never_run_in_another_order(
    client: LinkedRedis,
) -> None:
    scripts = [client.link.load(f"{PUSH} -- {number}") for number in range(2)]

    def push() -> list[asyncio.Future[object]]:
        called = zip(scripts, "ab", strict=True)
        return [client.link.call("EVALSHA", script, 1, KEY, word) for script, word in called]

    assert await outcomes(*push()) == [1, 2]
    await client.script_flush()
    assert await outcomes(*push()) == [RedisUnavailable] * 2
    assert await outcomes(*push()) == [3, 4]
    assert await client.lrange(KEY, 0, -1) == [b"a", b"b"] * 2


async def test_script_is_there_on_both_connections_before_it_is_run(client: LinkedRedis) -> None:
    large = b"x" * 100_000
    assert await client.link.call("RPUSH", KEY, large) == 1
    script = client.link.load(f"{PUSH} -- another")
    calls = (client.link.call("EVALSHA", script, 1, KEY, arg) for arg in (large, b"small"))
    assert sorted(await asyncio.gather(*calls)) == [2, 3]


async def test_large_commands_delay_no_others(real: LinkedRedis, real_redis_url: str) -> None:
    await real.link.call("PING")
    async with client_of(real_redis_url) as other:
        before = len(await other.client_list())
        large = real.link.call("SET", KEY, b"x" * 20_000_000)
        small = real.link.call("PING")
        done, _ = await asyncio.wait([large, small], return_when=asyncio.FIRST_COMPLETED)
        assert small in done
        assert await large == b"OK"
        assert len(await other.client_list()) == before + 1


async def test_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    with valkey(tmp_path) as url:
        client = open_redis(url)
        script = client.link.load(PUSH)
        assert await client.link.call("EVALSHA", script, 1, KEY, "a") == 1
    with pytest.raises(RedisUnavailable, match="can't be reached"):
        await client.link.call("PING")
    with valkey(tmp_path):
        assert await client.link.call("EVALSHA", script, 1, KEY, "b") == 1
        await client.aclose()


async def test_demoted_server_is_left_and_found_again(real: LinkedRedis) -> None:
    call = real.link.call
    await real.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        answers = await outcomes(call("GET", KEY), call("SET", KEY, 1), call("GET", KEY))
        assert answers[1:] == [RedisUnavailable] * 2
    finally:
        await real.execute_command("REPLICAOF", "NO", "ONE")
    assert await call("SET", KEY, 1) == b"OK"


async def test_full_server_refuses_what_it_can_not_keep_and_nothing_else(real: LinkedRedis) -> None:
    call = real.link.call
    await real.config_set("maxmemory", "1")
    try:
        assert await outcomes(call("SET", KEY, 1), call("PING")) == [RedisFull, b"PONG"]
    finally:
        await real.config_set("maxmemory", "0")


async def test_user_with_the_documented_rights_works(
    real: LinkedRedis, real_redis_url: str
) -> None:
    await real.execute_command(*["ACL", "SETUSER", "ann", "on", ">secret", "~llamaq:*", "+@all"])
    try:
        url = f"unix://ann@{real_redis_url.removeprefix('unix://')}?password=secret&db=3"
        async with client_of(url) as client:
            script = client.link.load(PUSH)
            assert await client.link.call("EVALSHA", script, 1, KEY, "a") == 1
            assert await client.link.call("CLIENT", "INFO")
            with pytest.raises(RedisUnavailable, match="NOPERM"):
                await client.link.call("SET", "other", 1)
        async with client_of(url.replace("secret", "wrong")) as stranger:
            with pytest.raises(RedisUnavailable, match="refuses our login: WRONGPASS"):
                await stranger.link.call("PING")
    finally:
        await real.execute_command("ACL", "DELUSER", "ann")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, and `server.pem` and `server.key` for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-days", "2"]

    def run(*args: str) -> None:
        subprocess.run([*make, *args], cwd=folder, check=True, capture_output=True)

    run("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    run(
        *("-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-CA", "ca.pem", "-CAkey", "ca.key"),
    )
    return folder


@asynccontextmanager
async def over_tls(redis_url: str, authority: Path, folder: Path) -> AsyncIterator[int]:
    """The port of a TLS server before Redis."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    async with relay_to(redis_url, folder / "relay.sock", tls=context) as relay:
        yield relay.port


async def test_tls_with_an_authority_of_ones_own(
    client: LinkedRedis, redis_url: str, authority: Path, tmp_path: Path
) -> None:
    async with over_tls(redis_url, authority, tmp_path) as port:
        url = f"rediss://localhost:{port}"
        async with client_of(f"{url}?ssl_ca_certs={authority / 'ca.pem'}") as trusting:
            large = trusting.link.call("SET", KEY, b"x" * 3_000_000)
            assert await outcomes(trusting.link.call("PING"), large) == [b"PONG", b"OK"]
        async with client_of(url) as doubting:
            with pytest.raises(RedisUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await doubting.link.call("PING")


class Asker:
    """Asks again as soon as an answer comes, and not any more once it has three."""

    def __init__(self, client: LinkedRedis) -> None:
        self.seen: list[object] = []
        self.over = asyncio.Event()
        self._link = client.link

    def ask(self) -> None:
        self._link.ask(self, "ECHO", f"{len(self.seen)}")

    def done(self) -> bool:
        return self.over.is_set()

    def set_result(self, answer: object) -> None:
        self.seen.append(answer)
        if len(self.seen) < 3:
            self.ask()
        else:
            self.over.set()

    def set_exception(self, error: Exception) -> None:
        self.seen.append(type(error))
        self.over.set()


async def test_who_asks_for_itself_may_ask_again_at_once(client: LinkedRedis) -> None:
    asker = Asker(client)
    asker.ask()
    other = client.link.call("ECHO", "other")
    await asyncio.gather(asker.over.wait(), other)
    assert (asker.seen, other.result()) == ([b"0", b"1", b"2"], b"other")


async def test_who_asks_for_itself_hears_of_the_end(client: LinkedRedis) -> None:
    await client.link.close()
    asker = Asker(client)
    asker.ask()
    assert asker.seen == [RedisUnavailable]
