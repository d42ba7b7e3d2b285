"""Where a process listens for programs that scrape its metrics."""

from ipaddress import ip_address
from typing import NamedTuple


class ListenAddress(NamedTuple):
    """An IP address and a port."""

    host: str
    port: int

    def next(self, number: int) -> "ListenAddress":
        """The same address, this many ports further."""
        return self._replace(port=self.port + number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_listen(text: str) -> ListenAddress:
    """Reads ADDR:PORT, an IPv6 address in brackets. Raises `ValueError` with a sentence for people.

    >>> str(read_listen("[::1]:9464"))
    '[::1]:9464'
    """
    host, _, port = text.rpartition(":")
    try:
        found = ListenAddress(str(ip_address(host.strip("[]"))), int(port))
    except ValueError:
        found = ListenAddress("", 0)
    if not 0 < found.port < 65536:
        raise ValueError(
            f"can't listen on {text!r}: give an IP address and a port, such as 127.0.0.1:9464"
        )
    return found
