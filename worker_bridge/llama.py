"""The only client of llama-server."""

import json

from dispatcher.job import CHAT_PATH
from worker_bridge.connection import Connection, Origin, Reader
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

    def post(self, path: str, body: bytes, reader: Reader) -> Connection:
        """A client's request, still to be opened; the reader is called as its answer comes.

        Closing the connection frees the slot.
        """
        return Connection(self._origin, self._origin.request("POST", path, body), reader)

    async def health(self, timeout_s: float) -> ProbeResult:
        """Whether the process answers and its model is loaded; costs the engine nothing."""
        return (await self.look_at("/health", timeout_s)).probe

    async def props(self, timeout_s: float) -> tuple[ProbeResult, Props | None]:
        """What the server says of itself; costs the engine nothing."""
        props = await self.look_at("/props", timeout_s)
        if props.probe is not ProbeResult.OK:
            return props.probe, None
        if props.body == self._said and self._props is not None and self._props.process:
            return ProbeResult.OK, self._props  # the same process has the same model
        models = await self.look_at("/v1/models", timeout_s)
        if models.probe is not ProbeResult.OK:
            return models.probe, None
        try:
            self._props = read_props(props.value, models.value)
            self._said = props.body
            return ProbeResult.OK, self._props
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return ProbeResult.STRANGE, None

    async def busy_slots(self, timeout_s: float) -> tuple[ProbeResult, int]:
        """How many slots are at work. Asks the engine: a wedged one stays silent."""
        answer = await self.look_at("/slots", timeout_s)
        slots = answer.value if answer.probe is ProbeResult.OK else None
        if not isinstance(slots, list):
            return answer.probe, 0
        return answer.probe, sum(bool(slot.get("is_processing")) for slot in slots)

    async def generate(self, timeout_s: float) -> ProbeResult:
        """Asks it for a token, as a client would. A refusal of that request is an answer too."""
        answer = await look(self._origin, "POST", CHAT_PATH, timeout_s, _OWN_REQUEST)
        if answer.status in (0, 200):
            return answer.probe
        return _PROBES.get(judge(answer.status, answer.body).end, ProbeResult.STRANGE)

    async def look_at(self, path: str, timeout_s: float) -> Looked:
        """What it says at this path."""
        return await look(self._origin, "GET", path, timeout_s)
