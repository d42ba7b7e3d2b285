import socket

import pytest

from worker_bridge.launcher import find_free_port, plan_launch

BARE = ("llama-server", "-m", "x.gguf", "--parallel", "4")


@pytest.mark.parametrize(
    ("options", "added", "url"),
    [
        ([], ["--host", "127.0.0.1", "--port", "9000"], "http://127.0.0.1:9000"),
        (["--port", "8080"], ["--host", "127.0.0.1"], "http://127.0.0.1:8080"),
        (["--port=8080"], ["--host", "127.0.0.1"], "http://127.0.0.1:8080"),
        (["--host", "10.0.0.5"], ["--port", "9000"], "http://10.0.0.5:9000"),
        (["--host=10.0.0.5"], ["--port", "9000"], "http://10.0.0.5:9000"),
        (["--host", "0.0.0.0", "--port", "1"], [], "http://127.0.0.1:1"),  # noqa: S104
        (["--host", "::", "--port", "1"], [], "http://[::1]:1"),
        (["--host", "::1", "--port", "1"], [], "http://[::1]:1"),
        (["--host=fe80::2"], ["--port", "9000"], "http://[fe80::2]:9000"),
    ],
)
def test_address_is_the_one_named_or_a_free_one_of_this_machine(
    options: list[str], added: list[str], url: str
) -> None:
    launch = plan_launch([*BARE, *options], 9000)
    assert launch.command == (*BARE, *options, *added)
    assert launch.url == url


@pytest.mark.parametrize("options", [["--parallel", "4"], ["-np", "4"], ["--parallel=4"]])
def test_named_number_of_slots_needs_no_warning(options: list[str]) -> None:
    assert plan_launch(["llama-server", *options], 9000).warnings == ()


@pytest.mark.parametrize("options", [[], ["--parallel"], ["--no-parallel", "4"]])
def test_missing_number_of_slots_is_warned_of(options: list[str]) -> None:
    (warning,) = plan_launch(["llama-server", *options], 9000).warnings
    assert "--parallel" in warning


def test_free_port_can_be_listened_on() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", find_free_port()))
