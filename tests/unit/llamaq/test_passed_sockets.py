"""The sockets that systemd passes: which ones are taken, and what others see of them."""

import logging
import os
import socket
from collections.abc import Callable, Iterator

import click
import pytest

from api.settings import ApiSettings
from llamaq.listening import BACKLOG, backlog_of
from llamaq.passed_sockets import at_their_address, passed_sockets
from testing.builders import SECRET

Pass = Callable[[socket.socket], None]
LOOPBACK = ("127.0.0.1", 0)


@pytest.fixture
def pass_on(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Passes a copy of a socket to this process."""

    def pass_on(passed: socket.socket) -> None:
        monkeypatch.setattr("llamaq.passed_sockets._FIRST", os.dup(passed.fileno()))
        told = {"LISTEN_PID": os.getpid(), "LISTEN_FDS": 1}
        told |= {"LISTEN_FDNAMES": "x.socket", "LISTEN_PIDFDID": 7}
        for name, value in told.items():
            monkeypatch.setenv(name, str(value))

    return pass_on


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(LOOPBACK, backlog=7) as listening:
        yield listening


def test_listening_socket_is_taken_and_no_program_hears_of_it(
    pass_on: Pass, listening: socket.socket
) -> None:
    pass_on(listening)
    (taken,) = passed_sockets()
    assert taken.getsockname() == listening.getsockname()
    assert not taken.get_inheritable()
    assert [name for name in os.environ if name.startswith("LISTEN_")] == []
    assert passed_sockets() == []
    taken.close()


def test_sockets_of_another_process_are_left_alone(
    pass_on: Pass, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_on(listening)
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    assert passed_sockets() == []
    assert "LISTEN_FDS" not in os.environ


def test_without_systemd_there_are_none() -> None:
    assert passed_sockets() == []


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_STREAM),  # it does not listen
    ],
)
def test_other_sockets_are_refused(pass_on: Pass, family: int, kind: int) -> None:
    with socket.socket(family, kind) as other:
        pass_on(other)
        with pytest.raises(click.UsageError, match="no listening TCP socket"):
            passed_sockets()


def test_what_is_no_socket_is_refused(pass_on: Pass, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with socket.socket() as any_socket:
        pass_on(any_socket)
    monkeypatch.setattr("llamaq.passed_sockets._FIRST", reading)
    with pytest.raises(click.UsageError, match=f"descriptor {reading}, which is no listening TCP"):
        passed_sockets()
    os.close(reading)
    os.close(writing)


def settings(**told: object) -> ApiSettings:
    return ApiSettings(jwt_secret=SECRET, **told)  # type: ignore[arg-type]


def test_address_is_that_of_the_socket_and_another_one_is_told(
    listening: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = listening.getsockname()[1]
    with caplog.at_level(logging.WARNING):
        found = at_their_address(settings(), [listening])
        assert (found.host, found.port) == ("127.0.0.1", port)
        assert at_their_address(settings(host="127.0.0.1", port=port), [listening]) == found
        assert caplog.messages == []
        assert at_their_address(settings(host="gpu1", port=port), [listening]) == found
    (said,) = caplog.messages
    assert said.endswith(f":{port}: --host gpu1, --port {port} is not used")


@pytest.mark.parametrize(("alone", "host"), [(True, "::"), (False, "0.0.0.0")])  # noqa: S104
def test_socket_for_ipv6_and_ipv4_is_reached_by_ipv4(*, alone: bool, host: str) -> None:
    with socket.socket(socket.AF_INET6) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
        both.bind(("::", 0))
        assert at_their_address(settings(), [both]).host == host


def test_backlog_is_that_of_the_socket(listening: socket.socket) -> None:
    assert backlog_of(listening) == 7
    with socket.socket(socket.AF_UNIX) as other:
        assert backlog_of(other) == BACKLOG
