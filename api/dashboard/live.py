"""What the open pages are shown: read once a second for all of them, and never for none."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from api.errors import unavailable
from api.json_text import compact
from api.sse import named_event
from dispatcher.beat import until_beat_s
from dispatcher.errors import RedisUnavailable
from dispatcher.tasks import log_failure

MOST_PAGES = 64
"""Of one process; a page that is hidden counts for none."""
_EVERY_S = 1.0

log = logging.getLogger("llamaq.dashboard")


class Page:
    """One page that is open. It gets the newest of what there is, however slowly it reads."""

    def __init__(self) -> None:
        self._newest: bytes | None = b""
        self._news = asyncio.Event()

    def show(self, event: bytes | None) -> None:
        """The page gets this event next. None ends it."""
        if self._newest is not None:
            self._newest = event
            self._news.set()

    def end(self) -> None:
        """Nobody looks at it any more."""
        self.show(None)

    async def events(self) -> AsyncIterator[bytes]:
        """All of them, until it ends."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._newest is None:
                return
            yield self._newest


class Live:
    """Reads what the pages show, while there are any. `read` returns it as JSON."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read
        self._pages: set[Page] = set()
        self._reading: asyncio.Task[None] | None = None
        self._is_over = False

    @property
    def is_reading(self) -> bool:
        """Whether anybody looks."""
        return self._reading is not None

    def open(self) -> Page:
        """A new page. Raises `ApiError` 503 where there are too many, or the API ends."""
        if self._is_over or len(self._pages) >= MOST_PAGES:
            why = "The API is about to end." if self._is_over else "Too many dashboards are open."
            raise unavailable(f"{why} Try again in a moment.", "dashboard_busy")
        page = Page()
        self._pages.add(page)
        if self._reading is None:
            self._reading = asyncio.create_task(self._run())
            self._reading.add_done_callback(log_failure)
        return page

    def leave(self, page: Page) -> None:
        """The page is closed. With the last one the reading ends."""
        self._pages.discard(page)
        if not self._pages and self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def close(self) -> None:
        """The API ends: so do all pages, which then look for another one."""
        self._is_over = True
        for page in tuple(self._pages):
            page.end()

    async def _run(self) -> None:
        # A cancellation may get lost in redis-py.
        while self._reading is asyncio.current_task():
            event = await self._look()
            for page in tuple(self._pages):
                page.show(event)
            await asyncio.sleep(until_beat_s(_EVERY_S))

    async def _look(self) -> bytes:
        try:
            return named_event("snapshot", await self._read())
        except RedisUnavailable as error:
            return _trouble(error.message)
        except Exception:
            log.exception("The dashboard can't be shown")
            return _trouble("The API can't read the state of the queue. Its log says more.")


def _trouble(message: str) -> bytes:
    return named_event("trouble", compact({"message": message}))
