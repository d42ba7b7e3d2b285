"""The fastest event loop that this machine has: there is no uvloop for Windows."""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end."""
    if find_spec("uvloop"):
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)
