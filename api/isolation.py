"""Hides what tells of the caches that tenants share: `LLAMAQ_ISOLATE_CACHE`. Pure.

Looking for a key in the bytes is safe: inside a JSON string a backslash precedes every quote.
"""

import re
from collections.abc import Callable
from typing import Any

from api.endpoint import Endpoint, Splice
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.job import BODY, Job, Want

TELLING = frozenset({Want.PROGRESS, Want.TIMINGS})
"""What no client is shown: how fast its prompt is read tells how much of it was cached."""

_TIMINGS = re.compile(rb'"timings":\{[^{}]*\},|,?"timings":\{[^{}]*\}')
_COUNT = re.compile(rb'("cached_tokens":)\d+')
_SLOT = re.compile(rb'("id_slot":)\d+')


def hidden(events: bytes) -> bytes:
    """The events, changed so that no part of the prompt seems to come from a cache.

    >>> hidden(b'{"id_slot":1,"usage":{"cached_tokens":9},"timings":{"cache_n":9}}')
    b'{"id_slot":-1,"usage":{"cached_tokens":0}}'
    """
    events = _TIMINGS.sub(b"", events)
    return _SLOT.sub(rb"\1-1", _COUNT.sub(rb"\g<1>0", events))


def isolated(endpoint: Endpoint[Any]) -> Callable[[Job], Splice]:
    """Makes the splices of an endpoint, which hide what tells of caches.

    Answers of one JSON value tell nothing of them.
    """
    if endpoint.form == BODY:
        return endpoint.splice
    return lambda job: _Isolated(endpoint.splice(job))


class _Isolated:
    """A splice (`api.endpoint.Splice`) that shows what another one shows, but nothing of caches."""

    def __init__(self, splice: Splice) -> None:
        self._splice = splice

    @property
    def is_spliced(self) -> bool:
        return self._splice.is_spliced

    @property
    def seen_tokens(self) -> int:
        return self._splice.seen_tokens

    def note_prompt(self, event: bytes) -> None:
        self._splice.note_prompt(event)

    def show(self, events: bytes, tokens: int) -> bytes:
        return hidden(self._splice.show(events, tokens))

    def lose(self) -> Continuation | None:
        return self._splice.lose()

    def shown(self, tokens: int) -> Shown | None:
        return self._splice.shown(tokens)

    def end(self) -> bytes:
        return hidden(self._splice.end())
