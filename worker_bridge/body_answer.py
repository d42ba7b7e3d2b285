"""An answer that is one JSON value: passed on as it comes, and not read."""

import re
import time

from dispatcher.cost import Usage
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from worker_bridge.answer import Answer
from worker_bridge.ends import Result
from worker_bridge.stop import Phase

_USAGE = re.compile(rb'"usage":\{[^{}]*?"prompt_tokens":(\d{1,12})[,}]')
_KEPT_BYTES = 128  # what a piece may have of a usage that ends in the next one
_BYTES_PER_TOKEN = 4


class BodyAnswer(Answer):
    """An answer whose headers come when it is complete: nothing tells when its slot began.

    Its server may work at it in several slots at once. Until it says what that has cost, the size
    of the request tells: a server goes on with a request that was dropped.
    """

    def __init__(
        self, wants: frozenset[Want], outgoing: Outgoing, model_id: str, model: str
    ) -> None:
        super().__init__(wants, outgoing, model_id, model)
        self.phase = Phase.ANSWER
        self._has_usage = False

    def asked(self, size_bytes: int) -> None:
        """See `Answer`."""
        self.meter.told = Usage(size_bytes // _BYTES_PER_TOKEN)

    def begin(self, status: int) -> None:
        """See `Answer`."""
        self._status = status
        if status != 200:
            self.meter.told = None

    def take(self, data: bytes) -> Result | None:
        """See `Answer`."""
        self.moved_at = time.monotonic()
        if self._status != 200:
            self._rest += data
            return None
        if not self._has_usage:
            self._find_usage(self._rest + data)
        self._outgoing.add_text(data, 0, self._pace)
        return None

    def end(self) -> Result:
        """See `Answer`."""
        return self._done() if self._status == 200 else super().end()

    def _find_usage(self, data: bytes) -> None:
        self._rest = data[-_KEPT_BYTES:]
        if found := _USAGE.search(data):
            self._has_usage = True
            self.meter.told = Usage(int(found[1]))
