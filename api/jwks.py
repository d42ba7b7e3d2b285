"""The keys of an identity provider: its JSON Web Key Set, fetched off the path of requests."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from api.token_keys import BadKey, TokenKey, read_jwks

EVERY_S = 300.0
"""How often the keys are fetched, so that a key that was removed is believed no more."""

AGAIN_S = 10.0
"""The same after a failure."""

APART_S = 5.0
"""The shortest time between two fetches."""

MOST_WAITING = 128
MOST_BYTES = 2**18
_ANSWER_S = 5.0
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

log = logging.getLogger("llamaq.jwks")


class CannotFetch(Exception):
    """The keys can't be fetched; the message says why, as the end of a sentence."""


class Jwks:
    """The keys at `url`. What was fetched last is kept while the provider is away."""

    def __init__(self, url: str, fetch: "Callable[[str], Awaitable[bytes]] | None" = None) -> None:
        self.keys: Sequence[TokenKey] = ()
        self.is_away = True
        self.on_change: Callable[[], None] = lambda: None
        self._url = url
        self._fetch = fetch or fetch_bounded
        self._text = b""
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._waiting = 0

    async def run(self) -> None:
        """Keeps the keys fresh, for ever."""
        while True:
            await self.look_again()
            await asyncio.sleep(AGAIN_S if self.is_away else EVERY_S)

    async def look_again(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Returns when the keys were fetched after this was called, or those known are enough.

        Callers share one fetch. Where too many wait for it already it returns at once.
        """
        if self._waiting >= MOST_WAITING:
            return
        asked_at = time.monotonic()
        self._waiting += 1
        try:
            async with self._looking:
                if self._looked_at < asked_at and not is_enough():
                    await asyncio.sleep(self._looked_at + APART_S - time.monotonic())
                    await self._look()
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            text = await self._fetch(self._url)
            if text != self._text:
                self.keys, self._text = read_jwks(text), text
                log.info("%s has %d keys for tokens", self._url, len(self.keys))
                self.on_change()
        except (CannotFetch, BadKey) as error:
            self.is_away = True
            kept = f"the {len(self.keys)} known ones stay" if self.keys else "there are none yet"
            log.error("The keys of %s can't be read, %s: it %s", self._url, kept, error)
        else:
            self.is_away = False


async def fetch_bounded(url: str) -> bytes:
    """What is at `url`, in bounds of time and size. It follows no redirect.

    Raises `CannotFetch`.
    """
    import httpx  # slow to load, and most have no identity provider

    text, is_far = b"", url.startswith("https:")  # no proxy leads to this machine
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            httpx.AsyncClient(timeout=_ANSWER_S, trust_env=is_far) as client,
            client.stream("GET", url, headers=_HEADERS) as answer,
        ):
            if answer.status_code != 200:
                raise CannotFetch(f"answers with status {answer.status_code}")
            async for piece in answer.aiter_raw():
                text += piece
                if len(text) > MOST_BYTES:
                    raise CannotFetch(f"has more than {MOST_BYTES} bytes")
    except TimeoutError:
        raise CannotFetch(f"does not answer within {_ANSWER_S:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise CannotFetch(f"can't be reached: {error or type(error).__name__}") from error
    return text
