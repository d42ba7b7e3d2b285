"""A network that is parted: this machine drops packets between two groups of its own addresses.

It needs root and `nft` (Debian: nftables).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_TABLE = "inet llamaq_failover"


def missing() -> str:
    """What this machine lacks for it; else empty."""
    if os.geteuid() != 0:
        return "it needs root"
    return "" if shutil.which("nft") else "nft is missing: install nftables (Debian)"


@contextmanager
def parted(ones: Sequence[str], others: Sequence[str]) -> Iterator[None]:
    """No packet gets from one group of addresses to the other, as if a cable were pulled."""
    rules = [
        f"ip saddr {{ {', '.join(source)} }} ip daddr {{ {', '.join(target)} }} drop"
        for source, target in ((ones, others), (others, ones))
    ]
    chain = "\n".join(["type filter hook output priority 0;", *rules])
    _nft(f"table {_TABLE} {{\nchain leaving {{\n{chain}\n}}\n}}")
    try:
        yield
    finally:
        _nft(f"delete table {_TABLE}")


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
