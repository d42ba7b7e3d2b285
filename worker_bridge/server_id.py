"""A name for one llama-server, by which two bridges notice that they have the same."""

import hashlib
import os
import re
from pathlib import Path

from worker_bridge.props import Props

# llama-server makes it when it starts; one that its operator has set may be that of many servers.
_RANDOM_MARKER = re.compile(r"<__media_\w{16,}__>")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = "/proc/self/ns/net"


def server_id(props: Props, url: str) -> str:
    """The same for two bridges only where they have the same server; empty where nobody can tell.

    Without a marker it is the address, as seen from this machine or container: on two machines
    `http://127.0.0.1:8080` are two servers.
    """
    if _RANDOM_MARKER.fullmatch(props.process):
        return _short("process", props.process)
    try:
        place = _BOOT_ID.read_text(), os.readlink(_NETWORK)
    except OSError:  # not Linux, or shut off
        return ""
    return _short("address", *place, url)


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
