"""Which proxies are trusted to tell where a request comes from, and what they tell. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network

UNREADABLE = "?"
_OF_ONE_HOST = 64  # bits: a host has all IPv6 addresses that share them


def read_proxies(text: str) -> Sequence[Network]:
    """The networks in a list with commas: addresses, or networks in CIDR form.

    >>> [str(each) for each in read_proxies("127.0.0.1, 10.1.0.0/16,::1")]
    ['127.0.0.1/32', '10.1.0.0/16', '::1/128']

    Raises `ValueError`.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return [ip_network(word, strict=False) for word in words]
    except ValueError:
        raise ValueError(
            "must be addresses of proxies or their networks, with commas between, "
            "such as 127.0.0.1,10.0.0.0/8"
        ) from None


class Proxies:
    """Finds who is behind the trusted ones.

    Hosts are named so that each has one name. This machine has none: "".
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = trusted
        self.name = lru_cache(4096)(self._name)
        self.trusts = lru_cache(4096)(self._trusts)

    def _trusts(self, host: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        address = _read(host)
        return address is not None and any(address in network for network in self._trusted)

    def _name(self, host: str) -> str:
        """The name of the host with this address."""
        address = _read(host)
        if address is None:
            return UNREADABLE if host else ""
        if address.is_loopback:
            return ""
        if address.version == 4:
            return str(address)
        return str(ip_network((address, _OF_ONE_HOST), strict=False))

    def behind(self, forwarded: Iterable[str]) -> str:
        """The address for which trusted proxies speak: the last that none of them is; "" for none.

        `forwarded` are the values of `X-Forwarded-For`. What stands further left may be forged.

        >>> Proxies(read_proxies("10.0.0.0/8")).behind(["6.6.6.6, 192.0.2.7:99", "10.0.0.2"])
        '192.0.2.7'
        """
        hosts = [word.strip() for value in forwarded for word in value.split(",")]
        for host in reversed(hosts):
            if host and not self.trusts(host):
                return str(_read(host) or UNREADABLE)
        return ""


def _read(host: str) -> IPv4Address | IPv6Address | None:
    """The address, which a port may follow."""
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
