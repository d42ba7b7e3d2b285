"""Which addresses others are told."""

import socket
from types import SimpleNamespace

import pytest

from llamaq.addresses import Address, reachable

EVERY = "0.0.0.0"  # noqa: S104


def adapter(name: str, *ips: str | tuple[str, int, int]) -> SimpleNamespace:
    return SimpleNamespace(nice_name=name, ips=[SimpleNamespace(ip=ip) for ip in ips])


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks; the second one has the router."""
    found = [
        adapter("lo", "127.0.0.1", ("::1", 0, 0)),
        adapter("docker0", "172.17.0.1"),
        adapter("eth0", "192.168.1.5", ("fd00::5", 0, 0), ("fe80::5", 0, 2)),
        adapter("wlan0", "169.254.3.3"),
    ]
    ways = {4: "192.168.1.5", 6: "fd00::5"}
    monkeypatch.setattr("llamaq.addresses.ifaddr.get_adapters", lambda: found)
    monkeypatch.setattr("llamaq.addresses._towards_router", ways.__getitem__)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_reached_by_nobody_else(host: str) -> None:
    assert not reachable(host)


@pytest.mark.parametrize("host", ["192.168.1.5", "fd00::5", "box.lan"])
def test_one_address_is_that_one(host: str) -> None:
    assert reachable(host) == [Address(host)]


def test_every_address_is_listed_with_its_interface_and_the_routers_way_first() -> None:
    found = [str(address) for address in reachable(EVERY)]
    assert found == ["192.168.1.5 (eth0)", "172.17.0.1 (docker0)"]
    assert [str(address) for address in reachable("::")] == ["fd00::5 (eth0)"]


def test_this_machines_own_interfaces_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert all(socket.inet_aton(address.host) for address in reachable(EVERY))
