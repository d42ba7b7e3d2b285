"""One answer while it grows, for all who want it."""

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.types import Message

Headers = list[tuple[bytes, bytes]]

_AHEAD_BYTES = 2**16


class _News:
    """Wakes one who waits for it."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class Follower:
    """One client that reads the answer. `is_gone` says that it has left, or reads too slowly."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = deque(parts)
        self.unread_bytes = sum(map(len, parts))
        self.is_gone = False
        self.news = _News()

    def put(self, part: bytes, most_bytes: int) -> None:
        """The answer goes on. A client with more than `most_bytes` to read is given up."""
        if self.unread_bytes > most_bytes:
            self.leave()
        else:
            self.parts.append(part)
            self.unread_bytes += len(part)
            self.news.tell()

    def take(self) -> bytes:
        """The next part that it has not read; there is one."""
        part = self.parts.popleft()
        self.unread_bytes -= len(part)
        return part

    def leave(self) -> None:
        """It wants no more."""
        self.is_gone = True
        self.news.tell()


class Recording:
    """An answer from its beginning, as long as it is `whole`: until `forget`.

    One who makes it adds to it, any number of clients follow. `headers` are None until they are
    known; `status` and `code` are those of a failure in its middle. `error` is what it failed by,
    if that came before it. `unwanted` is called when its last follower has left.
    """

    def __init__(self, most_unread_bytes: int) -> None:
        self.headers: Headers | None = None
        self.whole: list[bytes] | None = []
        self.size_bytes = 0
        self.is_over = self.is_replayed = False
        self.status: int | None = None
        self.code: str | None = None
        self.error: Exception | None = None
        self.followers: set[Follower] = set()
        self.unwanted: Callable[[], None] | None = None
        self._most_unread_bytes = most_unread_bytes
        self._is_abandoned = False
        self._pace, self._end = _News(), _News()

    def begin(self, headers: Headers) -> None:
        """These are its headers."""
        self.headers = headers
        self._tell()

    def add(self, part: bytes, *, is_last: bool = False) -> None:
        """It goes on."""
        self.is_over = self.is_over or is_last
        self.size_bytes += len(part)
        if self.whole is not None:
            self.whole.append(part)
        for follower in self.followers:
            follower.put(part, self._most_unread_bytes)

    def fail(self, error: Exception) -> None:
        """There is no answer, or no more of it."""
        if not self.is_over:
            self.is_over, self.error = True, error
            self._tell()

    def forget(self) -> None:
        """From now on nobody can follow it from its beginning."""
        self.whole = None

    def join(self) -> Follower:
        """A new follower. The recording must be `whole`."""
        follower = Follower(self.whole or [])
        self.followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """A follower reads no more."""
        self.followers.discard(follower)
        self.keep_pace()
        if not self.followers and not self.is_over and self.unwanted is not None:
            self.unwanted()

    def keep_pace(self) -> None:
        """A follower has read something."""
        self._pace.tell()

    async def paced(self) -> None:
        """Returns when one of the followers has read nearly all, or there is none."""
        while self.followers and all(f.unread_bytes > _AHEAD_BYTES for f in self.followers):
            await self._pace.wait()

    def abandon(self) -> None:
        """Nobody wants it: its maker hears that the client has left."""
        self._is_abandoned = True
        self._end.tell()
        self._pace.tell()

    async def receive(self) -> Message:
        """What the one who makes it hears of its client (ASGI): only that it has left."""
        while not self._is_abandoned:
            await self._end.wait()
        return {"type": "http.disconnect"}

    def _tell(self) -> None:
        for follower in self.followers:
            follower.news.tell()
