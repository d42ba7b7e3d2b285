"""The RPC peers of a llama-server: how they are watched. What becomes of jobs: test_crashes.py."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from llamaq.__main__ import main
from testing.fake_rpc_peer import FakePeer
from testing.waiting import until
from worker_bridge import kept_process, rpc_peer
from worker_bridge import rpc_peers as several
from worker_bridge.health import Health, ProbeResult
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.kept_process import KeptProcess
from worker_bridge.launcher import rpc_peers
from worker_bridge.llama import LlamaServer
from worker_bridge.revival import heed_losses
from worker_bridge.rpc_peer import read_peers
from worker_bridge.rpc_peers import RpcPeers, until_all_answer
from worker_bridge.server_state import ServerState
from worker_bridge.settings import BridgeSettings

TWO = "--server", "http://a", "--server", "http://b"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "_TICK_S", 0.1)
    monkeypatch.setattr(kept_process, "_FIRST_PAUSE_S", 0.05)


@pytest.fixture
def peer() -> Iterator[FakePeer]:
    peer = FakePeer()
    yield peer
    peer.die()


@pytest.fixture
async def peers(peer: FakePeer) -> AsyncIterator[RpcPeers]:
    peers = RpcPeers(read_peers(peer.address))
    yield peers
    peers.let_go()


async def works(peers: RpcPeers, process: str = "p1") -> str:
    """What they say while their llama-server works."""
    await peers.look(ProbeResult.OK, process, asleep=False)
    return peers.why


async def lost(peers: RpcPeers) -> None:
    async with asyncio.timeout(30):
        await peers.lost.wait()
    peers.lost.clear()


@pytest.mark.parametrize(
    "bad", ["gpu2", "gpu2:0", "gpu2:65536", "a b:1", "http://a:1", "a:1,a:1", "::1:50052", ":1"]
)
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|stands there twice"):
        BridgeSettings(rpc_peers=bad)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can look without a trace")
async def test_peer_sees_nothing_of_the_looks_before_its_server_works(
    peer: FakePeer, peers: RpcPeers
) -> None:
    for _ in range(6):
        await peers.look(ProbeResult.REFUSED, "", asleep=False)
        assert peers.why == ""
    assert peer.waiting() == []


async def test_one_connection_watches_a_peer_and_ends_before_another_server_needs_it(
    peer: FakePeer, peers: RpcPeers
) -> None:
    for _ in range(6):
        assert await works(peers) == ""
    (line,) = peer.waiting()
    line.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.recv(1)
    await peers.look(ProbeResult.SILENT, "p1", asleep=False)  # a busy server
    with pytest.raises(BlockingIOError):
        line.recv(1)
    await peers.look(ProbeResult.REFUSED, "p1", asleep=False)
    line.settimeout(30)
    assert await asyncio.to_thread(line.recv, 1) == b""
    line.close()
    assert not peers.lost.is_set()


@pytest.mark.parametrize(
    "looks", [[(ProbeResult.OK, True)], [(ProbeResult.SILENT, False)] * 2], ids=["asleep", "wakes"]
)
async def test_server_that_sleeps_has_its_peers_to_itself(
    peer: FakePeer, peers: RpcPeers, looks: list[tuple[ProbeResult, bool]]
) -> None:
    await works(peers)
    (line,) = peer.waiting()
    for found, asleep in looks:
        await peers.look(found, "p1", asleep=asleep)
    line.settimeout(30)
    assert await asyncio.to_thread(line.recv, 1) == b""
    line.close()
    assert await works(peers) == ""
    assert peer.waiting() == []  # it may fall asleep again, before that is seen
    await works(peers, "p2")
    (line,) = peer.waiting()
    peers.let_go()
    line.close()


async def test_peer_that_comes_back_at_once_is_lost_until_its_server_is_another_process(
    peer: FakePeer, peers: RpcPeers
) -> None:
    await works(peers)
    peer.die()
    peer.start()
    await lost(peers)
    for _ in range(2):
        said = await works(peers)
        assert (
            said == f"its RPC peer {peer.address} was lost and is back: restart this llama-server"
        )
    peer.die()
    assert await works(peers) == (
        f"its RPC peer {peer.address} does not answer (connection refused): "
        "start ggml-rpc-server there, then restart this llama-server"
    )
    peer.start()
    assert await works(peers, "p2") == ""


async def test_restart_is_seen_of_builds_that_tell_no_process(
    peer: FakePeer, peers: RpcPeers
) -> None:
    await works(peers, "")
    peer.die()
    peer.start()
    await lost(peers)
    assert "restart this llama-server" in await works(peers, "")
    await peers.look(ProbeResult.LOADING, "", asleep=False)
    assert await works(peers, "") == ""


async def test_peer_that_is_not_there_when_its_server_works_is_lost(
    peer: FakePeer, peers: RpcPeers
) -> None:
    peer.die()
    assert "connection refused" in await works(peers)
    await lost(peers)
    peer.start()
    assert "was lost" in await works(peers)


async def test_peer_that_can_not_be_watched_is_no_reason_to_stop(
    peer: FakePeer, peers: RpcPeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have connected to it: it can't be told apart from one that is slow."""
    monkeypatch.setattr(rpc_peer, "_ATTACH_S", 0.1)
    monkeypatch.setattr(rpc_peer, "_KNOCK_S", 0.1)
    full = [socket.create_connection(("127.0.0.1", peer.port)) for _ in range(2)]
    assert await works(peers) == ""
    assert await works(peers) == ""
    peer.die()
    assert "connection refused" in await works(peers)
    await lost(peers)
    for each in full:
        each.close()


async def test_peer_that_takes_one_connection_only_is_no_reason_to_stop(
    peer: FakePeer, peers: RpcPeers
) -> None:
    await works(peers)
    (line,) = peer.waiting()
    line.close()
    await asyncio.sleep(0.05)
    assert await works(peers) == ""
    assert not peers.lost.is_set()


async def test_name_that_nobody_knows_is_told_and_nothing_is_lost() -> None:
    peers = RpcPeers(read_peers("no-such-host.invalid:50052"))
    assert "no-such-host.invalid:50052 does not answer" in await works(peers)
    assert not peers.lost.is_set()


async def test_start_waits_for_all_peers(peer: FakePeer, caplog: pytest.LogCaptureFixture) -> None:
    other = FakePeer()
    other.die()
    waiting = asyncio.create_task(until_all_answer(read_peers(f"{peer.address},{other.address}")))

    await until(lambda: "llama-server has to wait" in caplog.text)
    assert other.address in caplog.text
    assert peer.address not in caplog.text
    assert not waiting.done()
    other.start()
    await asyncio.wait_for(waiting, 30)
    other.die()


async def test_server_that_is_ours_starts_again_when_its_peer_is_back(
    peer: FakePeer, peers: RpcPeers, tmp_path: Path
) -> None:
    state, starts = ServerState("http://127.0.0.1:1"), tmp_path / "starts"
    command = ["sh", "-c", f"echo x >> {starts}; exec sleep 60"]
    process = KeptProcess("server", command, os.environ, 1)
    monitor = HealthMonitor(LlamaServer(state.url, None), state, peers)
    running = asyncio.create_task(process.run(lambda: until_all_answer(read_peers(peer.address))))
    heeding = asyncio.create_task(heed_losses(peers, state, monitor, process))

    def has_started(times: int) -> Callable[[], object]:
        async def check() -> bool:
            return starts.exists() and starts.read_text() == "x\n" * times

        return check

    await until(has_started(1))
    await works(peers)
    peer.die()
    await asyncio.wait_for(process.ended.wait(), 30)
    assert (state.health, peer.address in state.reason) == (Health.INCOMPLETE, True)
    await asyncio.sleep(0.2)
    assert starts.read_text() == "x\n"
    peer.start()
    await until(has_started(2))
    heeding.cancel()
    await process.stop()
    await running


def test_command_tells_its_peers() -> None:
    assert rpc_peers(["llama-server", "--rpc=a:1,b:2"], {"LLAMA_ARG_RPC": "c:3"}) == "a:1,b:2"
    assert rpc_peers(["llama-server"], {"LLAMA_ARG_RPC": "c:3"}) == "c:3"
    assert rpc_peers(["llama-server"], {}) == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bridge", "--rpc-peers", "gpu2"], "LLAMAQ_RPC_PEERS: 'gpu2' is no HOST:PORT"),
        (["bridge", "--", "llama-server", "--rpc", "gpu2"], "'gpu2' is no HOST:PORT"),
        (["bridge", "--rpc-peers", "a:1", "--rpc-peers", "b:1"], "are given twice"),
        (["bridge", "--server", "http://a", "--rpc-peers", "http://b=c:1"], "http://a=c:1"),
        (["bridge", *TWO, "--rpc-peers", "c:1"], "--rpc-peers http://a=c:1"),
        (["bridge", *TWO], "LLAMAQ_RPC_PEERS is for one server"),
        (["up", *TWO, "--rpc-peers", "c:1"], "--rpc-peers http://a=c:1"),
        (["up", "--rpc-peers", "c:1"], "--rpc-peers goes with --server"),
        (["up", "--server", "http://a", "--rpc-peers", "c"], "'c' is no HOST:PORT"),
    ],
)
def test_peers_that_can_not_be_meant_are_refused(arguments: list[str], said: str) -> None:
    about = {"LLAMAQ_REDIS_URL": "redis://127.0.0.1:1", "LLAMAQ_RPC_PEERS": "z:1"}
    refused = CliRunner().invoke(main, arguments, env=about)
    assert refused.exit_code == 2
    assert said in refused.output
