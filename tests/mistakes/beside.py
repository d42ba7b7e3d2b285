"""What must answer while a command runs in this thread."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any


class Beside:
    """An event loop in a thread of its own, for what must answer while a command runs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def beside(work: AbstractAsyncContextManager[Any]) -> Iterator[tuple[Any, Beside]]:
    """Does this work there; yields what it yields, and the loop."""
    loop = Beside()
    try:
        yield loop.do(work.__aenter__()), loop
        loop.do(work.__aexit__(None, None, None))
    finally:
        loop.close()
