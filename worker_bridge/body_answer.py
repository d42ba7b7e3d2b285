"""An answer that is one JSON value: passed on as it comes, and not read."""

import re
import time

from dispatcher.cost import Usage
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from worker_bridge.answer import Answer
from worker_bridge.ends import Result
from worker_bridge.stop import Phase

_USAGE = re.compile(rb'"usage":\{"prompt_tokens":(\d+)(?:,"total_tokens":\d+)?[,}]')
_KEPT_BYTES = 256  # what a piece may have of a name or a figure that ends in the next one


class BodyAnswer(Answer):
    """An answer whose headers come when it is complete: nothing tells when its slot began."""

    def __init__(
        self, wants: frozenset[Want], outgoing: Outgoing, model_id: str, model: str
    ) -> None:
        super().__init__(wants, outgoing, model_id, model)
        self.phase = Phase.PROMPT

    def take(self, data: bytes) -> Result | None:
        """See `Answer`."""
        self.moved_at = time.monotonic()
        data = self._rest + data
        if self._status != 200:
            self._rest = data
            return None
        cut = max(0, len(data) - _KEPT_BYTES)
        self._note_usage(data)
        self._rest = data[cut:]
        if cut:
            self._show(data[:cut])
        return None

    def end(self) -> Result:
        """See `Answer`."""
        if self._status != 200:
            return super().end()
        self._show(self._rest)
        return self._done()

    def _note_usage(self, data: bytes) -> None:
        if found := _USAGE.search(data):
            self.meter.told = Usage(int(found[1]))
