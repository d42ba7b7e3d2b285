"""What `llamaq up` checks before it starts anything."""

import errno
import os
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from llamaq.__main__ import main
from llamaq.embedded_redis import ListenAddress
from llamaq.greeting import Greeting
from llamaq.home import Home
from llamaq.up_plan import UpPlan
from testing.processes import free_port
from worker_bridge.local_servers import Seen


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what is set, and without what a run of `up` leaves behind."""
    for name in ("LLAMAQ_REDIS_URL", "REDIS_URL", "LLAMAQ_JWT_SECRET", "LLAMAQ_LEASE_S"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    found(monkeypatch)


def found(monkeypatch: pytest.MonkeyPatch, *seen: Seen) -> list[None]:
    """What is found on this machine; each element of what is returned is a look."""
    looks: list[None] = []

    async def look_around() -> list[Seen]:
        looks.append(None)
        return list(seen)

    monkeypatch.setattr("llamaq.up_servers.look_around", look_around)
    return looks


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def up(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["up", "--data-dir", str(folder), *arguments])


def assert_refused(result: Result, code: int, said: str) -> None:
    assert result.exit_code == code
    assert said in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_models_that_are_not_there_are_told_before_anything_starts(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert_refused(up(tmp_path / "data", "--models", str(none)), 1, f"{none}: there is no such")
    assert not (tmp_path / "data").exists()


def test_models_without_a_llama_server_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gguf").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LLAMAQ_MODELS", str(tmp_path))
    assert_refused(up(tmp_path / "data"), 1, "llama-server: there is no such program. Install")


def test_once_needs_the_demonstration(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--once"), 2, "--demo")


def test_port_in_use_is_told_before_anything_starts(tmp_path: Path, taken_port: int) -> None:
    assert_refused(up(tmp_path, "--port", str(taken_port)), 1, f"127.0.0.1:{taken_port}")
    assert not (tmp_path / "redis").exists()


def test_host_that_is_not_this_machines_is_told(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--host", "192.0.2.1"), 1, "192.0.2.1")


def test_host_that_nobody_knows_is_told(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--host", "no.such.host.invalid"), 1, "no.such.host.invalid")


def test_bad_address_for_redis_is_told(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--redis-listen", "everywhere"), 2, "0.0.0.0")  # noqa: S104


def test_port_of_redis_in_use_is_told_before_anything_starts(
    tmp_path: Path, taken_port: int
) -> None:
    address = f"127.0.0.1:{taken_port}"
    result = up(tmp_path, "--redis-listen", address)
    assert_refused(result, 1, f"can't listen on {address}")
    assert "--redis-listen" in result.stderr
    assert not (tmp_path / "redis").exists()


def test_address_for_redis_that_is_not_this_machines_is_told(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--redis-listen", "192.0.2.1"), 1, "can't listen on 192.0.2.1:6379")


def test_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_refused(up(tmp_path / "file" / "data"), 1, "choose another folder with --data-dir")


def test_full_disk_is_told_and_leaves_no_half_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_no_space(descriptor: int, mode: str) -> IO[str]:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("llamaq.home.os.fdopen", find_no_space)
    result = up(tmp_path)
    assert_refused(result, 1, f"no space is left to write {tmp_path}: free some")
    assert list(tmp_path.iterdir()) == []


def test_only_the_embedded_redis_can_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMAQ_REDIS_URL", "redis://elsewhere")
    assert_refused(up(tmp_path, "--redis-listen", "0.0.0.0"), 2, "LLAMAQ_REDIS_URL")  # noqa: S104


Started = list[tuple[UpPlan, Greeting]]
EVERY = "0.0.0.0"  # noqa: S104


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would be started."""
    seen: Started = []

    def record(plan: UpPlan) -> None:
        greeting, _ = pickle.loads(plan.greeting)  # noqa: S301
        seen.append((plan, greeting))

    monkeypatch.setattr("llamaq.up_command.start", record)
    return seen


def host_of(plan: UpPlan) -> str:
    return plan.environments["api"]["LLAMAQ_HOST"]


def test_lan_opens_the_api_and_redis_with_a_password(tmp_path: Path, started: Started) -> None:
    assert up(tmp_path, "--lan", "--port", str(free_port())).exit_code == 0
    plan, greeting = started[0]
    assert (host_of(plan), greeting.redis_listen) == (EVERY, ListenAddress(EVERY, 6379))
    assert plan.redis
    assert f"bind {EVERY}\n" in plan.redis.config
    assert "requirepass" in plan.redis.config
    assert Home(tmp_path).redis_listen.read_text() == f"{EVERY}:6379\n"


def test_socket_of_systemd_is_where_the_api_listens_and_what_people_are_told(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is taken, by systemd. That doesn't matter."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        descriptor, port = os.dup(passed.fileno()), passed.getsockname()[1]
        monkeypatch.setattr("llamaq.passed_sockets._FIRST", descriptor)
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        result = up(tmp_path, "--no-find", "--lan")
    assert result.exit_code == 0, result.stderr
    plan, greeting = started[0]
    assert plan.sockets == [descriptor]
    os.close(descriptor)
    assert greeting.local_url == f"http://127.0.0.1:{port}"
    assert (tmp_path / "api_url").read_text() == f"{greeting.local_url}\n"
    assert (host_of(plan), plan.environments["api"]["LLAMAQ_PORT"]) == ("127.0.0.1", str(port))
    assert "--host 0.0.0.0 is not used" in result.stderr
    for environment in plan.environments.values():
        assert [name for name in environment if name.startswith("LISTEN_")] == []


def test_redis_is_reached_over_tls_alone_where_that_is_wanted(
    tmp_path: Path, started: Started
) -> None:
    assert up(tmp_path, "--lan", "--redis-tls", "--port", str(free_port())).exit_code == 0
    plan, greeting = started[0]
    assert plan.redis
    assert "port 0\n" in plan.redis.config
    assert "requirepass" in plan.redis.config
    assert list(plan.redis_tls[2:5]) == ["llamaq.redis_door", EVERY, "6379"]
    assert greeting.redis_ca == Home(tmp_path).redis_ca.read_text().strip()
    assert f":6379/0?ca_sha256={greeting.redis_ca}'" in greeting.bridge_lines()[0]
    assert "rediss://:" in greeting.bridge_lines()[0]
    assert up(tmp_path, "--lan", "--port", str(free_port())).exit_code == 0
    assert (started[1][0].redis_tls, started[1][1].redis_ca) == ((), "")
    assert not Home(tmp_path).redis_ca.exists()


def test_tls_alone_opens_nothing(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, "--redis-tls"), 2, "--redis-listen or --lan")


def test_lan_leaves_what_was_said_more_exactly(tmp_path: Path, started: Started) -> None:
    said = ("--host", "127.0.0.1", "--redis-listen", "127.0.0.1:6400")
    assert up(tmp_path, "--lan", *said, "--port", str(free_port())).exit_code == 0
    plan, greeting = started[0]
    assert (host_of(plan), greeting.redis_listen) == ("127.0.0.1", ListenAddress("127.0.0.1", 6400))


def test_lan_opens_only_the_api_where_another_redis_is_used(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMAQ_REDIS_URL", "redis://:pw@box")
    assert up(tmp_path, "--lan", "--port", str(free_port())).exit_code == 0
    plan, greeting = started[0]
    assert (host_of(plan), plan.redis, greeting.redis_listen) == (EVERY, None, None)
    assert "redis://:pw@box" in greeting.bridge_lines()[0]


def test_all_servers_have_one_bridge(tmp_path: Path, started: Started) -> None:
    servers = ["--server", "http://127.0.0.1:1", "--server", "http://127.0.0.1:2"]
    for given in (servers, ["--no-find"]):
        assert up(tmp_path, *given, "--port", str(free_port())).exit_code == 0
    assert [plan.bridges for plan, _ in started] == [[servers], []]


@pytest.fixture
def llama_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that starts one, whose program and model are there."""
    (tmp_path / "a.gguf").touch()
    (tmp_path / "llama-server").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return ["llama-server", "-m", str(tmp_path / "a.gguf"), "--parallel", "4"]


def test_server_that_is_started_has_a_bridge_beside_that_of_servers_that_run(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch, llama_server: list[str]
) -> None:
    looks = found(monkeypatch)
    runs = ["--server", "http://127.0.0.1:1"]
    for given in ([], runs):
        result = up(tmp_path, *given, "--port", str(free_port()), "--", *llama_server)
        assert result.exit_code == 0, result.stderr
    own = ["--", *llama_server]
    assert [plan.bridges for plan, _ in started] == [[own], [runs, own]]
    assert [greeting.starts for _, greeting in started] == [True, True]
    assert looks == []


def test_command_beside_models_is_what_loads_them(
    tmp_path: Path, started: Started, llama_server: list[str]
) -> None:
    loads = ["--", *llama_server[:1], "-ngl", "99"]
    options = ["--models", str(tmp_path), "--port", str(free_port())]
    assert up(tmp_path, *options, *loads).exit_code == 0
    assert started[0][0].bridges == [["--models", str(tmp_path), *loads]]
    assert started[0][1].starts is False  # it loads none before one is asked for


def test_options_of_the_command_need_no_dashes_before_it(
    tmp_path: Path, started: Started, llama_server: list[str]
) -> None:
    assert up(tmp_path, "--port", str(free_port()), *llama_server).exit_code == 0
    assert started[0][0].bridges == [["--", *llama_server]]


def test_command_that_can_not_start_is_told_before_anything_starts(
    tmp_path: Path, llama_server: list[str]
) -> None:
    none = str(tmp_path / "none.gguf")
    result = up(tmp_path / "data", "--", "llama-server", "-m", none)
    assert_refused(result, 1, f"{none}: there is no such model file. Name a GGUF file with -m")
    result = up(tmp_path / "data", "--", "llama-servre", *llama_server[1:])
    assert_refused(result, 1, "name its server: llamaq up -- /path/to/llama-server -m model.gguf")
    assert not (tmp_path / "data").exists()


FOUND = Seen(8080, True, "a llama-server")
STRANGER = Seen(8080, False, "an LM Studio, not a llama-server")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([FOUND], "Found a llama-server at http://127.0.0.1:8080.\n"),
        ([], "No llama-server answers on 127.0.0.1:8080–8089. llamaq starts all the same"),  # noqa: RUF001
        ([], "it joins by itself: llama-server -m model.gguf --parallel 4\n"),
        ([STRANGER], "http://127.0.0.1:8080 is an LM Studio, not a llama-server.\nNo llama-serv"),
        ([STRANGER], "it joins by itself: llama-server -m model.gguf --parallel 4 --port 8081\n"),
        ([STRANGER], "llamaq up --server URL\n"),
        ([], "llamaq up -- llama-server -m model.gguf --parallel 4\n"),
    ],
)
def test_up_without_a_server_tells_what_it_found_and_goes_on_looking(
    tmp_path: Path,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[Seen],
    said: str,
) -> None:
    found(monkeypatch, *seen)
    result = up(tmp_path, "--port", str(free_port()))
    assert (result.exit_code, said in result.stderr) == (0, True)
    plan, greeting = started[0]
    assert (plan.bridges, greeting.finds) == ([["--find"]], True)
    assert greeting.expects is (seen == [FOUND])


def test_machine_without_llama_server_is_told(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = up(tmp_path, "--port", str(free_port()))
    assert "no llama-server on its PATH. Install llama.cpp" in result.stderr
    assert "llamaq up --demo" in result.stderr


@pytest.mark.parametrize("given", [["--no-find"], ["--server", "http://127.0.0.1:1"]])
def test_up_does_not_look_around_where_it_is_told_what_to_serve(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    looks = found(monkeypatch, FOUND)
    assert up(tmp_path, *given, "--port", str(free_port())).exit_code == 0
    monkeypatch.setenv("LLAMAQ_SERVER", "http://127.0.0.1:1")
    assert up(tmp_path, "--port", str(free_port())).exit_code == 0
    assert started[1][0].bridges == [["--server", "http://127.0.0.1:1"]]
    assert looks == []


@pytest.mark.parametrize(
    ("before", "behind", "level"),
    [
        ((), (), "info"),
        (("--log-level", "warning"), (), "warning"),
        (("--log-level", "warning"), ("--log-level", "debug"), "debug"),
    ],
)
def test_log_level_is_heeded_before_and_behind_the_word_up(
    tmp_path: Path, started: Started, before: tuple[str], behind: tuple[str], level: str
) -> None:
    options = ("--no-find", "--data-dir", str(tmp_path), "--port", str(free_port()))
    assert CliRunner().invoke(main, [*before, "up", *behind, *options]).exit_code == 0
    assert started[0][0].log_level == level


def test_up_that_is_closed_forgets_where_it_listened(tmp_path: Path, started: Started) -> None:
    up(tmp_path, "--lan", "--port", str(free_port()))
    up(tmp_path, "--port", str(free_port()))
    assert not Home(tmp_path).redis_listen.exists()


@pytest.mark.parametrize("secret", ["", "x" * 32])
def test_token_line_names_the_folder_only_where_its_secret_is_used(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    Home(tmp_path).jwt_secret.write_text("y" * 32)  # of an earlier run
    monkeypatch.setenv("LLAMAQ_JWT_SECRET", secret)
    assert up(tmp_path, "--port", str(free_port())).exit_code == 0
    assert started[0][1].kept_secret is not bool(secret)


def test_bad_settings_are_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMAQ_LEASE_S", "0")
    monkeypatch.setenv("LLAMAQ_JWT_SECRET", "hunter2")
    result = up(tmp_path)
    assert_refused(result, 2, "LLAMAQ_LEASE_S")
    assert "LLAMAQ_JWT_SECRET" in result.stderr
    assert "hunter2" not in result.stderr
