"""The only client of llama-server."""

import json
from dataclasses import replace

from dispatcher.job import CHAT_PATH
from dispatcher.needs import COMPLETION, TRANSCRIPTION
from worker_bridge.connection import Connection, Origin, Reader
from worker_bridge.endpoints import read_endpoints
from worker_bridge.ends import End
from worker_bridge.health import ProbeResult
from worker_bridge.look import Looked, look
from worker_bridge.props import Props, read_props
from worker_bridge.verdict import judge

_OWN_REQUEST = json.dumps(
    {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1,
        "cache_prompt": False,
        "stream": False,
    }
).encode()
_OWN_INPUT = json.dumps({"content": "Hi"}).encode()
_PROBES = {
    **dict.fromkeys((End.REJECTED, End.TOO_LONG, End.UNREADABLE), ProbeResult.OK),
    **dict.fromkeys((End.WORKER, End.UNSURE), ProbeResult.FAILED),
}


class LlamaServer:
    """One llama-server at `url`, which wants `key` as its bearer token.

    Each request has a connection of its own: the server closes idle ones as it likes, and a request
    on a connection that is being closed can't be told from one that failed.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._origin = Origin.of(self.url, key)
        self._said = b""  # by its /props
        self._props: Props | None = None
        self._endpoints: dict[tuple[str, str], frozenset[str]] = {}  # by process and model

    def post(self, path: str, body: bytes, reader: Reader, traceparent: str = "") -> Connection:
        """A client's request, still to be opened; the reader is called as its answer comes.

        Closing the connection frees the slot. With a `traceparent` the server is told that.
        """
        request = self._origin.request("POST", path, body, traceparent)
        return Connection(self._origin, request, reader)

    async def health(self, timeout_s: float) -> ProbeResult:
        """Whether the process answers and its model is loaded; costs the engine nothing."""
        return (await self.look_at("/health", timeout_s)).probe

    async def props(self, timeout_s: float) -> tuple[ProbeResult, Props | None]:
        """What the server says of itself; costs the engine nothing, but for a new process.

        See `read_endpoints`.
        """
        props = await self.look_at("/props", timeout_s)
        if props.probe is not ProbeResult.OK:
            # One that does not tell its process may be another one when it is back.
            self._endpoints = {known: each for known, each in self._endpoints.items() if known[0]}
            return props.probe, None
        if props.body == self._said and self._props is not None and self._props.process:
            return ProbeResult.OK, self._props  # the same process has the same model
        models = await self.look_at("/v1/models", timeout_s)
        if models.probe is not ProbeResult.OK:
            return models.probe, None
        try:
            told = read_props(props.value, models.value)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return ProbeResult.STRANGE, None
        return await self._with_endpoints(told, props.body, timeout_s)

    async def _with_endpoints(
        self, told: Props, said: bytes, timeout_s: float
    ) -> tuple[ProbeResult, Props | None]:
        """Asks each process once for its endpoints: several may share one address."""
        known = told.process, told.model_id
        if known not in self._endpoints:
            probe, endpoints = await read_endpoints(self._origin, _OWN_REQUEST, timeout_s)
            if probe is not ProbeResult.OK:
                return probe, None
            self._endpoints[known] = endpoints
        endpoints = self._endpoints[known]
        if "audio" in told.modalities and COMPLETION in endpoints:
            endpoints |= {TRANSCRIPTION}
        self._props = replace(told, endpoints=endpoints)
        self._said = said
        return ProbeResult.OK, self._props

    async def busy_slots(self, timeout_s: float) -> tuple[ProbeResult, int]:
        """How many slots are at work. Asks the engine: a wedged one stays silent."""
        answer = await self.look_at("/slots", timeout_s)
        slots = answer.value if answer.probe is ProbeResult.OK else None
        if not isinstance(slots, list):
            return answer.probe, 0
        return answer.probe, sum(bool(slot.get("is_processing")) for slot in slots)

    async def generate(self, timeout_s: float) -> ProbeResult:
        """Asks it for a token, as a client would, or for an embedding where it makes no text.

        A refusal of that request is an answer too.
        """
        chats = self._props is None or COMPLETION in self._props.endpoints
        path, body = (CHAT_PATH, _OWN_REQUEST) if chats else ("/embeddings", _OWN_INPUT)
        answer = await look(self._origin, "POST", path, timeout_s, body)
        if answer.status in (0, 200) or answer.probe is ProbeResult.SILENT:
            return answer.probe
        return _PROBES.get(judge(answer.status, answer.body).end, ProbeResult.STRANGE)

    async def look_at(self, path: str, timeout_s: float) -> Looked:
        """What it says at this path."""
        return await look(self._origin, "GET", path, timeout_s)
