"""The addresses under which other machines may reach this one."""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import ifaddr

EVERYWHERE = "0.0.0.0"  # noqa: S104
_DOCUMENTATION = {4: "192.0.2.1", 6: "2001:db8::1"}  # RFC 5737, RFC 3849: nobody is there


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address or a host's name; `interface` is empty where none had to be looked for."""

    host: str
    interface: str = ""

    def __str__(self) -> str:
        return f"{self.host} ({self.interface})" if self.interface else self.host


def in_url(host: str) -> str:
    """A host as a URL has it.

    >>> in_url("::1")
    '[::1]'
    """
    return f"[{host}]" if ":" in host else host


def here(host: str) -> str:
    """The address by which programs on this machine reach what listens on `host`.

    >>> here("0.0.0.0"), here("gpu1")
    ('127.0.0.1', 'gpu1')
    """
    return {EVERYWHERE: "127.0.0.1", "::": "::1"}.get(host, host)


def reachable(listens_on: str) -> Sequence[Address]:
    """Where others reach what listens on this host. The address towards the router comes first.

    Empty where only this machine can.
    """
    try:
        address = ip_address(listens_on)
    except ValueError:
        return [] if listens_on == "localhost" else [Address(listens_on)]
    if address.is_loopback:
        return []
    if not address.is_unspecified:
        return [Address(listens_on)]
    first = _towards_router(address.version)
    return sorted(_interfaces(address.version), key=lambda own: own.host != first)


def _interfaces(version: int) -> Iterator[Address]:
    for adapter in ifaddr.get_adapters():
        for own in adapter.ips:
            address = ip_address(own.ip if isinstance(own.ip, str) else own.ip[0])
            only_near = address.is_loopback or address.is_link_local
            if address.version == version and not only_near:
                yield Address(str(address), adapter.nice_name)


def _towards_router(version: int) -> str:
    """The address of this machine on its way out, or nothing; no packet is sent for it."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_DOCUMENTATION[version], 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
