"""`llamaq up` and its demonstration, as a person at a terminal uses them."""

import os
import pty
import re
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from testing.builders import make_token
from testing.certificates import write_certificate
from testing.processes import LlamaServer, answers, free_port, llamaq, program, pss_kb
from testing.waiting import wait_until

pytestmark = pytest.mark.real


def paste(line: str) -> str:
    """What a shell prints for this line."""
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_demo_shows_one_chat_and_ends(tmp_path: Path) -> None:
    port = str(free_port())
    command = llamaq("up", "--demo", "--once", "--data-dir", str(tmp_path), "--port", port)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert f"llamaq is up: http://127.0.0.1:{port}/v1" in done.stdout
    answer = done.stdout.partition("> Tell me a story.\n")[2]
    assert re.match(r"[a-z. ]{5,}", answer), done.stdout
    assert "Answered by demo" in answer
    assert "eyJ" not in done.stdout + done.stderr  # no token where no person reads it


class Terminal:
    """A program on a terminal, and what it has shown there."""

    def __init__(self, command: list[str]) -> None:
        ours, theirs = pty.openpty()
        os.set_blocking(ours, False)
        self._descriptor = ours
        self._shown = b""
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def text(self) -> str:
        try:
            while piece := os.read(self._descriptor, 65536):
                self._shown += piece
        except OSError:  # nothing more for now
            pass
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        os.close(self._descriptor)


SECRETS = {
    "LLAMAQ_JWT_ISSUER": "the-issuer",
    "LLAMAQ_SERVER_KEY": "the-server-key",
    "LLAMAQ_DATA_DIR": "/nonexistent",
    "LLAMAQ_TLS_KEY_PASSWORD": "the-password",
    "LLAMAQ_QUEUE_WAIT_S": "200",
    "LLAMAQ_STALL_TOKEN_S": "50",
    "LLAMAQ_LEASE_S": "3",
    "CUDA_VISIBLE_DEVICES": "0",
    "LLAMA_ARG_N_GPU_LAYERS": "1",
}


def seen_by(process: psutil.Process) -> dict[str, str]:
    """What is ours or the user's own of the environment that it was started with."""
    names = ("LLAMA", "REDIS", "CUDA")
    return {name: value for name, value in process.environ().items() if name.startswith(names)}


def assert_each_sees_what_it_needs(processes: list[psutil.Process], users: set[str]) -> None:
    """At d26fdb4 (M1) all of them had all secrets."""
    queue = {"LLAMAQ_REDIS_URL", "LLAMAQ_LEASE_S", "LLAMAQ_LOG_LEVEL"} | users
    queue |= {"LLAMAQ_LOG_FORMAT", "LLAMAQ_METRICS_LISTEN"}
    api = {"JWT_SECRET", "JWT_ISSUER", "QUEUE_WAIT_S", "HOST", "PORT"}
    api |= {"TLS_CERT", "TLS_KEY", "TLS_KEY_PASSWORD"}
    needed = {
        "valkey-server": set[str](),  # it writes over the memory that /proc shows
        "llamaq api": queue | {f"LLAMAQ_{name}" for name in api},
        "llamaq bridge": queue
        | {f"LLAMAQ_{name}" for name in ("SERVER_KEY", "STALL_TOKEN_S", "MODELS", "DATA_DIR")},
        "llamaq.demo_server": users | {"LLAMA_API_KEY"},
    }
    for process in processes:
        command = " ".join(process.cmdline()).partition(" -- ")[0]
        (kind,) = (kind for kind in needed if kind in command)
        assert (kind, set(seen_by(process))) == (kind, needed[kind])


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    cert, key = write_certificate(tmp_path, password=SECRETS["LLAMAQ_TLS_KEY_PASSWORD"])
    options = ["--data-dir", str(tmp_path), "--port", str(free_port()), "--tls-cert", str(cert)]
    terminal = Terminal(llamaq("up", "--demo", *options, "--tls-key", str(key)))
    yield terminal
    terminal.close()


def test_printed_line_works_when_pasted_and_one_ctrl_c_ends_everything(
    demo: Terminal, tmp_path: Path
) -> None:
    """Over TLS, as for a machine that others reach."""
    wait_until(lambda: "Answered by demo" in demo.text(), 60)
    assert "llamaq is up: https://127.0.0.1:" in demo.text()
    line = demo.text().partition("\nTry it:\n")[2].partition("\n")[0]
    assert paste(line).rstrip().endswith("data: [DONE]")
    assert "LLAMAQ_REDIS_URL=" in demo.text()
    for name in ("jwt_secret", "redis_url"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    up = psutil.Process(demo.process.pid)
    wait_until(lambda: len(up.children(recursive=True)) == 6)  # the one that greets has ended
    below = up.children(recursive=True)  # Redis, API, two bridges, two servers
    assert pss_kb(demo.process.pid) < 30_000  # it has become a program that loads little
    assert_each_sees_what_it_needs(below, {"CUDA_VISIBLE_DEVICES", "LLAMA_ARG_N_GPU_LAYERS"})
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert not [process for process in below if process.is_running()]
    assert "Traceback" not in demo.text()


def test_printed_bridge_line_joins_from_elsewhere(tmp_path: Path, models: dict[str, Path]) -> None:
    port, redis_port, server_port = free_port(), free_port(), free_port()
    folder = ["--data-dir", str(tmp_path / "up")]
    options = ["--port", str(port), *folder]
    joining = shlex.join(llamaq("join", *folder))
    up = Terminal(llamaq("up", "--no-find", *options, "--redis-listen", f"127.0.0.1:{redis_port}"))
    server = [*llamaq()[:2], "llamaq.demo_server", "-m", str(models["tiny"]), "--parallel", "2"]
    with program([*server, "--port", str(server_port)], tmp_path / "server.log"):
        wait_until(lambda: "model.gguf --parallel 4" in up.text(), 60)
        assert "llamaq waits for a worker." in up.text()
        assert not [word for word in ("MODEL", "is up", "curl") if word in up.text()]
        lines = [x for x in up.text().splitlines() if x.startswith(" LLAMAQ_REDIS_URL=")]
        assert paste(joining).splitlines() == lines
        line = lines[0]
        assert f"127.0.0.1:{redis_port}" in line
        assert not answers(f"http://127.0.0.1:{port}/ready")
        pasted = line.replace("llamaq bridge", " ".join(llamaq("bridge")))
        pasted = pasted.replace("8080", str(server_port))
        with program(["sh", "-c", f"exec env {pasted}"], tmp_path / "bridge.log"):
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), 30)
            shown = subprocess.run(llamaq("status", *folder), capture_output=True, text=True)
            assert "slots 0/2" in shown.stdout
            wait_until(lambda: "model tiny\n" in up.text(), 10)
            assert "llamaq is up: " in up.text()
            assert "A worker serves tiny." in up.text()
            assert '"model": "tiny"' in up.text()
    up.close()


def test_up_starts_a_llama_server_and_is_up_when_that_has_its_model(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    loads = tmp_path / "loads"
    os.mkfifo(loads)  # it does not go on before somebody writes
    starting = tmp_path / "llama-server"
    starting.write_text(
        f'#!/bin/sh\nread go <{loads}\nexec {shlex.join(llamaq()[:2])} llamaq.demo_server "$@"\n'
    )
    starting.chmod(0o755)
    options = ["--data-dir", str(tmp_path / "up"), "--port", str(free_port())]
    command = [str(starting), "-m", str(models["tiny"]), "--parallel", "2"]
    up = Terminal(llamaq("up", *options, *command))
    wait_until(lambda: "llamaq waits until its llama-server has loaded the model" in up.text(), 60)
    assert "is up" not in up.text()
    loads.write_text("\n")
    wait_until(lambda: "model tiny\n" in up.text(), 30)
    line = up.text().partition("\nTry it:\n")[2].partition("\n")[0]
    assert paste(line).rstrip().endswith("data: [DONE]")
    below = psutil.Process(up.process.pid).children(recursive=True)
    assert "llamaq.demo_server" in str([process.cmdline() for process in below])
    up.close()
    assert not [process for process in below if process.is_running()]


def test_second_up_on_the_same_folder_is_refused(demo: Terminal, tmp_path: Path) -> None:
    wait_until(lambda: (tmp_path / "redis_url").exists(), 60)
    second = subprocess.run(
        llamaq("up", "--data-dir", str(tmp_path), "--port", str(free_port())),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert "another `llamaq up`" in second.stderr


def test_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = llamaq("up", "--data-dir", str(tmp_path), "--port", str(taken.getsockname()[1]))
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    assert "--port" in refused.stderr


def ask(url: str, token: str, *, stream: bool) -> tuple[str, float]:
    """How a long answer ends, and when."""
    body = {"model": "small", "stream": stream, "max_tokens": 1500, "ignore_eos": True}
    body["messages"] = [{"role": "user", "content": "Hi"}]
    headers = {"Authorization": f"Bearer {token}"}
    client = httpx.Client(base_url=url, headers=headers, timeout=60)
    try:
        with client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            text = "".join(answer.iter_text())
    except httpx.HTTPError as error:
        text = repr(error)
    return text, time.monotonic()


def test_every_client_gets_an_end_and_nothing_is_left_when_up_is_killed(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    server = LlamaServer(models["small"], free_port(), "small", 2)
    url = f"http://127.0.0.1:{free_port()}"
    options = ["--data-dir", str(tmp_path / "up"), "--port", url.rpartition(":")[2]]
    with (
        server.running(tmp_path / "server.log"),
        program(llamaq("up", "--server", server.url, *options), tmp_path / "up.log") as up,
        ThreadPoolExecutor(6) as clients,
    ):
        wait_until(lambda: answers(f"{url}/ready"), 60)
        token = make_token(secret=(tmp_path / "up" / "jwt_secret").read_text().strip())
        below = psutil.Process(up.process.pid).children(recursive=True)
        asked = [clients.submit(ask, url, token, stream=number < 4) for number in range(6)]
        wait_until(lambda: busy_slots(server) == 2)
        killed = time.monotonic()
        up.kill()
        ends = [each.result(60) for each in asked]
        _, alive = psutil.wait_procs(below, timeout=10)
    assert max(at for _, at in ends) - killed < 10
    assert sum("has to stop now" in text for text, _ in ends) >= 2
    assert alive == []


def busy_slots(server: LlamaServer) -> int:
    return sum(slot["is_processing"] for slot in httpx.get(f"{server.url}/slots").json())
