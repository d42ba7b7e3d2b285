"""A short request to the server, and its whole answer."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from worker_bridge.connection import Connection, Origin
from worker_bridge.health import ProbeResult

_LARGEST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Looked:
    """An answer; `probe` says what kind of look it was, and the status is 0 without one.

    One that broke off counts as silence, whatever came of it.
    """

    probe: ProbeResult
    status: int = 0
    body: bytes = b""

    @property
    def value(self) -> Any:
        """The JSON value of the body; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


async def look(
    origin: Origin, method: str, path: str, timeout_s: float, body: bytes | None = None
) -> Looked:
    """Asks, and waits up to `timeout_s` for the whole answer."""
    whole = _Whole()
    connection = Connection(origin, origin.request(method, path, body), whole)
    try:
        async with asyncio.timeout(timeout_s):
            connection.open()
            return await whole.answer
    except ConnectionRefusedError:
        return Looked(ProbeResult.REFUSED)
    except TimeoutError:
        return Looked(ProbeResult.SILENT)
    except OSError as error:
        return Looked(ProbeResult.REFUSED if _is_refused(error) else ProbeResult.UNREACHABLE)
    finally:
        connection.close()


class _Whole:
    """Reads an answer as a whole."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Looked] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._pieces: list[bytes] = []
        self._bytes = 0

    def begun(self, status: int) -> None:
        self._status = status

    def received(self, data: bytes) -> None:
        self._bytes += len(data)
        self._pieces.append(data)
        if self._bytes > _LARGEST_BYTES:
            self._end(Looked(ProbeResult.STRANGE, self._status))

    def complete(self) -> None:
        probe = _PROBES.get(self._status, ProbeResult.STRANGE)
        self._end(Looked(probe, self._status, b"".join(self._pieces)))

    def broken(self, how: str) -> None:
        self._end(Looked(ProbeResult.SILENT, self._status, b"".join(self._pieces)))

    def not_reached(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _end(self, answer: Looked) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


_PROBES = {
    200: ProbeResult.OK,
    401: ProbeResult.UNAUTHORIZED,
    503: ProbeResult.LOADING,
}


def _is_refused(error: OSError) -> bool:
    """Of a name with several addresses asyncio makes one error."""
    text = str(error)
    refused = text.count("Connect call failed") or text.count("Connection refused")
    return text.startswith("Multiple exceptions") and refused == text.count("[Errno ")
