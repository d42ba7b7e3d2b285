"""Tries a model that is split over two ggml-rpc-servers, through the whole of llamaq.

`scripts/try-rpc` runs it. Real programs of llama.cpp run on this machine only. A peer is killed in
the middle of a stream, while nothing runs, and in a way that nobody sees it away. Each time no
request may fail, no answer may differ, and no crash may be counted against a request.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from testing.processes import Program, answers, free_port, llamaq, program
from testing.waiting import wait_until
from tests.rpc.stage import START_S, RpcServer, Stage, ready, stage

_TOKENS = 300
_KILL_AFTER = 60  # pieces of text
_STARTED = time.monotonic()


def main() -> int:
    """Tries all of it; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rpc", description=__doc__)
    parser.add_argument("programs", type=Path, help="folder with the programs of llama.cpp")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="llamaq-rpc-") as name:
        folder = Path(name)
        try:
            with stage(asked.programs.absolute(), folder) as there:
                _try_kept(there)
                _try_attached(there)
        except (AssertionError, OSError, subprocess.SubprocessError):
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)
            raise
    _say("all good")
    return 0


def _try_kept(there: Stage) -> None:
    """A bridge that has started the llama-server itself."""
    first, second = there.peers
    _say("the bridge waits for the peers before it starts the llama-server")
    first.start()
    command, log = llamaq("bridge", "--", *there.server()), there.folder / "bridge.log"
    with program(command, log, {"LLAMAQ_REDIS_URL": there.redis_url}) as bridge:
        wait_until(lambda: f"{second.address} does not answer" in bridge.output, START_S)
        assert "started llama-server" not in bridge.output
        second.start()
        wait_until(lambda: ready(there), START_S)
        _say(f"the model is split: {_shares(there)} MB at the peers")
        whole = "".join(there.ask(1, _TOKENS))
        _say("a peer is killed in the middle of a stream")
        _kill_in_stream(there, bridge, first, whole)
        _say("a peer is killed while nothing runs")
        _kill_idle(there, second)
        _say("a peer is killed and comes back at once")
        _restart_unseen(there, bridge, second)
        _say("the llama-server itself is killed")
        starts = bridge.output.count("started llama-server")
        os.kill(
            int(re.findall(r"started llama-server pid=(\d+)", bridge.output)[-1]), signal.SIGKILL
        )
        assert "".join(there.ask(1, _TOKENS)) == whole
        assert bridge.output.count("started llama-server") == starts + 1


def _kill_in_stream(there: Stage, bridge: Program, victim: RpcServer, whole: str) -> None:
    starts = bridge.output.count("started llama-server")
    pieces = []
    for piece in there.ask(1, _TOKENS, stream=True):
        pieces.append(piece)
        if len(pieces) == _KILL_AFTER:
            victim.running.kill()
            wait_until(lambda: _says_missing(there, victim))
            victim.start()
    assert "".join(pieces) == whole
    assert bridge.output.count("started llama-server") == starts + 1
    assert not there.crashed()


def _kill_idle(there: Stage, victim: RpcServer) -> None:
    victim.running.kill()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(lambda n=n: "".join(there.ask(n, 20))) for n in range(6)]
        wait_until(lambda: _says_missing(there, victim))
        assert f"{victim.address} does not answer" in _status(there)
        victim.start()
        assert all(len(answer.result()) > 10 for answer in asked)
    assert not there.crashed()


def _restart_unseen(there: Stage, bridge: Program, victim: RpcServer) -> None:
    """As a supervisor does that starts it again at once."""
    starts = bridge.output.count("started llama-server")
    victim.running.kill()
    victim.start()
    assert len("".join(there.ask(1, 20))) > 10
    assert bridge.output.count("started llama-server") == starts + 1
    assert not there.crashed()


def _try_attached(there: Stage) -> None:
    """A bridge beside a llama-server that others have started."""
    _say("a llama-server that is not the bridge's")
    crashed = there.crashed()
    port = free_port()
    url, victim = f"http://127.0.0.1:{port}", there.peers[0]
    command = there.server("--host", "127.0.0.1", "--port", str(port))
    arguments = ("--server", url, "--rpc-peers", there.named)
    with program(command, there.folder / "server.log") as server:
        wait_until(lambda: answers(f"{url}/health"), START_S)
        with there.bridge(*arguments):
            assert len("".join(there.ask(1, 20))) > 10
            victim.running.kill()
            wait_until(lambda: _says_missing(there, victim))
            victim.start()
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(lambda: "".join(there.ask(2, 20)))
                wait_until(lambda: "is back: restart this llama-server" in _status(there))
                assert answers(f"{url}/health")  # it looks well, and would abort
                server.kill()
                with program(command, there.folder / "server.log"):
                    assert len(asked.result()) > 10
            assert there.crashed() == crashed


def _says_missing(there: Stage, peer: RpcServer) -> bool:
    worker = there.worker()
    return worker.get("health") == "incomplete" and peer.address in worker.get("reason", "")


def _status(there: Stage) -> str:
    about = {"LLAMAQ_REDIS_URL": there.redis_url, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        llamaq("status"), env=about, capture_output=True, text=True, check=True, timeout=20
    ).stdout


def _shares(there: Stage) -> str:
    shares = [peer.memory_bytes() / 1e6 for peer in there.peers]
    assert min(shares) > 15, f"the model is not split: {shares}"
    return " and ".join(f"{share:.0f}" for share in shares)


def _say(what: str) -> None:
    print(f"== {time.monotonic() - _STARTED:4.0f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
