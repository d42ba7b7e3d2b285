"""Passes on the answer to a request to rerank. Pure."""

from api.bodies import named
from api.rerank.request import RerankRequest


class RerankAssembly:
    """The whole answer (`api.endpoint.Assembly`), as the server has written it."""

    lost_tokens = 0

    def __init__(self, asked: RerankRequest) -> None:
        self._model = asked.named
        self._parts: list[bytes] = []

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._parts.append(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._parts.clear()

    def body(self) -> bytes:
        """See `Assembly`."""
        return named(b"".join(self._parts), self._model)
