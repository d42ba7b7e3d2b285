"""The lines that `llamaq up` prints must work when they are pasted into a shell."""

import json
import shlex
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from redis.asyncio.connection import parse_url

from llamaq.addresses import Address
from llamaq.embedded_redis import ListenAddress
from llamaq.greeting import Greeting, bridge_line, redis_url_at

PASSWORD = "p:@/ '\"$(id)%é"
TOKEN = "eyJ.token"
EVERY = "0.0.0.0"  # noqa: S104


@pytest.fixture(autouse=True)
def has_curl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamaq.greeting.shutil.which", lambda name: f"/usr/bin/{name}")


def greeting(
    host: str = "127.0.0.1",
    redis_url: str = "unix:///data/redis.sock",
    listen: ListenAddress | None = None,
) -> Greeting:
    return Greeting(host, 8484, TOKEN, redis_url, PASSWORD, listen, Path("/data"), True)


def assert_shell_reads(line: str) -> None:
    subprocess.run(["sh", "-n", "-c", line], check=True)
    assert "\n" not in line


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8484"),
        ("0.0.0.0", "http://127.0.0.1:8484"),  # noqa: S104
        ("::", "http://[::1]:8484"),
        ("fe80::1", "http://[fe80::1]:8484"),
        ("box.lan", "http://box.lan:8484"),
    ],
)
def test_curl_line_asks_for_one_streamed_chat(host: str, url: str) -> None:
    line = greeting(host).line_to_try("demo")
    assert_shell_reads(line)
    program, *words = shlex.split(line)
    assert program == "curl"
    assert f"{url}/v1/chat/completions" in words
    assert f"Authorization: Bearer {TOKEN}" in words
    body = json.loads(words[words.index("-d") + 1])
    assert (body["model"], body["stream"], len(body["messages"])) == ("demo", True, 1)


@pytest.mark.parametrize("host", ["::", "fe80::1"])
def test_shell_takes_no_part_of_the_address_for_a_pattern(host: str) -> None:
    assert "'http://[" in greeting(host).line_to_try("demo")


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = f"{self.path}\n{self.headers['Authorization']}\n{body}".encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        pass


def test_machine_without_curl_gets_a_line_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamaq.greeting.shutil.which", lambda _: None)
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.handle_request).start()
        line = replace(greeting(), port=server.server_port).line_to_try('it\'s "x"')
        assert_shell_reads(line)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=10)
    path, bearer, body = done.stdout.splitlines()
    assert (path, bearer) == ("/v1/chat/completions", f"Bearer {TOKEN}")
    assert (json.loads(body)["model"], json.loads(body)["stream"]) == ('it\'s "x"', True)


def bridge_words(line: str) -> tuple[str, list[str]]:
    """The Redis URL and the command of a bridge line, as a shell reads them."""
    assert_shell_reads(line)
    assert line.startswith(" ")  # for the shell's history
    setting, *command = shlex.split(line)
    name, _, url = setting.partition("=")
    assert name == "LLAMAQ_REDIS_URL"
    return url, command


def test_bridge_line_of_this_machine_uses_the_socket() -> None:
    url, command = bridge_words(greeting().bridge_lines()[0])
    assert url == "unix:///data/redis.sock"
    assert command == ["llamaq", "bridge", "--server", "http://127.0.0.1:8080"]


@pytest.mark.parametrize("host", ["192.168.1.5", "fe80::1"])
def test_bridge_line_for_another_machine_has_address_and_password(host: str) -> None:
    url, _ = bridge_words(greeting(listen=ListenAddress(host, 6399)).bridge_lines()[0])
    found = parse_url(url)
    assert (found["host"], found["port"], found["password"]) == (host, 6399, PASSWORD)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_address_for_everyone_is_shown_as_one_that_can_be_reached(host: str) -> None:
    url, _ = bridge_words(greeting(listen=ListenAddress(host, 6399)).bridge_lines()[0])
    assert parse_url(url)["host"] not in ("0.0.0.0", "::", "")  # noqa: S104


@pytest.mark.parametrize(
    ("url", "address", "seen"),
    [
        ("redis://:pw@redis:6379/0", "10.0.0.5", "redis://:pw@10.0.0.5:6379/0"),
        ("redis://:pw@redis:6379/0", "10.0.0.5:7000", "redis://:pw@10.0.0.5:7000/0"),
        ("rediss://a:p%40@redis/3", "box.lan", "rediss://a:p%40@box.lan:6379/3"),
        ("redis://redis:7000", "box.lan", "redis://box.lan:7000"),
        ("redis://redis:7000", "[fe80::1]", "redis://[fe80::1]:7000"),
        ("redis://redis:7000", "[fe80::1]:6400", "redis://[fe80::1]:6400"),
    ],
)
def test_redis_is_named_as_another_machine_sees_it(url: str, address: str, seen: str) -> None:
    assert redis_url_at(url, address) == seen
    assert bridge_words(bridge_line(seen))[0] == seen


def test_redis_on_a_socket_can_not_be_seen_from_elsewhere() -> None:
    with pytest.raises(click.UsageError, match="--lan"):
        redis_url_at("unix:///data/redis.sock", "10.0.0.5")


def test_token_and_passwords_are_shown_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = greeting(redis_url="redis://:hunter2@redis")
    out = shown(capsys, known)
    assert out == "\nllamaq is up: http://127.0.0.1:8484/v1\nA worker serves demo.\n"
    known.show_waiting()
    out = capsys.readouterr().out
    assert out == "llamaq waits for a worker. Its API runs: http://127.0.0.1:8484/v1\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out = shown(capsys, known)
    assert TOKEN in out
    assert "\n".join(known.bridge_lines()[:1]) in out


def test_who_waits_for_a_server_that_was_started_is_told_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace(greeting(), starts=True).show_waiting()
    out = capsys.readouterr().out
    assert out.startswith("llamaq waits until its llama-server has loaded the model. Its API ")


def shown(capsys: pytest.CaptureFixture[str], greeting: Greeting) -> str:
    greeting.show(["demo"], "chat")
    return capsys.readouterr().out


@pytest.mark.usefixtures("two_networks")
def test_lines_for_a_server_that_runs_and_for_one_that_is_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both are printed once, whether a worker is there at once or comes later."""
    known = greeting()
    running, starting = known.bridge_lines()
    assert bridge_words(starting)[1][-6:] == [
        *("--", "llama-server", "-m", "model.gguf", "--parallel", "4")
    ]
    known.show_waiting()
    waiting = capsys.readouterr().out
    known.show(["demo"], "chat", is_new=False)
    later = capsys.readouterr().out
    at_once = shown(capsys, known)
    for line in (running, starting):
        assert [out.count(f"\n{line}\n") for out in (waiting, later, at_once)] == [1, 0, 1]
    assert "is up" not in waiting
    assert TOKEN not in waiting


def test_line_of_this_machine_is_for_a_port_that_no_bridge_finds() -> None:
    assert "8090" in replace(greeting(), finds=True).bridge_lines()[0]
    listen = ListenAddress("192.168.1.5", 6399)
    assert "8080" in replace(greeting(listen=listen), finds=True).bridge_lines()[0]


@pytest.fixture
def two_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks, and a terminal."""
    found = {EVERY: [Address("192.168.1.5", "eth0"), Address("172.17.0.1", "docker0")]}
    monkeypatch.setattr("llamaq.greeting.reachable", lambda host: found.get(host, []))
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("llamaq.greeting.sys", SimpleNamespace(stdout=terminal))


@pytest.mark.usefixtures("two_networks")
def test_addresses_for_others_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, greeting(EVERY, listen=ListenAddress(EVERY, 6399)))
    assert "llamaq is up: http://127.0.0.1:8484/v1\n" in out
    assert "From other machines: http://192.168.1.5:8484/v1 (eth0)\n" in out
    assert "From other machines: http://172.17.0.1:8484/v1 (docker0)\n" in out
    assert "@192.168.1.5:6399/0 llamaq bridge" in out.replace("'", "")
    assert "This is for machines that reach 192.168.1.5 (eth0). For those that reach\n" in out
    assert "- 172.17.0.1 (docker0): llamaq join 172.17.0.1 --data-dir /data\n" in out


@pytest.mark.usefixtures("two_networks")
def test_line_for_tokens_makes_some_that_this_api_accepts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "llamaq token create NAME --data-dir /data\n" in shown(capsys, greeting())
    usual = Path("~/.local/share/llamaq").expanduser()
    assert "token create NAME\n" in shown(capsys, replace(greeting(), data_dir=usual))
    out = shown(capsys, replace(greeting(), kept_secret=False))
    assert "llamaq token create NAME (with the same LLAMAQ_JWT_SECRET)\n" in out


@pytest.mark.usefixtures("two_networks")
def test_lines_to_try_have_a_models_name(capsys: pytest.CaptureFixture[str]) -> None:
    known = greeting()
    out = shown(capsys, known)
    assert f"\nTry it:\n{known.line_to_try('demo')}\n" in out
    assert "8484/v1, the token as API key, model demo\n" in out
    known.show(["e5", "bge"], "embedding")
    out = capsys.readouterr().out
    assert "A worker serves e5, bge.\n" in out
    assert f"\nTry it:\n{known.line_to_try('e5', 'embedding')}\n" in out
    assert "/v1/embeddings" in out
    assert "chat/completions" not in out
    known.show(["x"], "")
    assert "Try it" not in capsys.readouterr().out


def test_secrets_are_not_printed() -> None:
    text = repr(greeting(redis_url="redis://:hunter2@redis"))
    assert not [secret for secret in (TOKEN, PASSWORD, "hunter2") if secret in text]
