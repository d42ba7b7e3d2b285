"""A stand-in llama-server with embeddings that it makes at a given speed: for benchmarks only.

.venv/bin/python -m bench.standin_embedder PORT SLOTS TOKENS_PER_SECOND CHAT_TOKENS_PER_SECOND SIZE

The first speed is that of all slots together, the second that of each stream of a chat. An input
has a token for four bytes, and waits for a slot inside, in order of arrival, as in
llama-server. SIZE: the numbers in a vector.
"""

import asyncio
import base64
import heapq
import json
import sys
from collections.abc import Sequence

import uvloop

from bench.standin_server import BYTES_PER_TOKEN, HEAD, MODEL, Standin

REFUSED = HEAD.replace(b"200 OK", b"400 Bad Request") + b"Content-Length: 0\r\n\r\n"


class Embedder(Standin):
    """The server."""

    def __init__(self, slots: int, rate: float, chat_rate: float, size: int) -> None:
        super().__init__(slots, chat_rate)
        self._token_s = slots / rate
        self._free_at = [0.0] * slots  # a heap
        self._vector = base64.b64encode(bytes(4 * size)).decode()

    async def post(self, path: str, body: bytes) -> bytes | None:
        """The answer to a request; None for a path that it does not have."""
        if not path.endswith("/embeddings"):
            return None
        texts = json.loads(body).get("input")
        if not texts:
            return REFUSED
        loop = asyncio.get_running_loop()
        ends_at = self._take_slots([len(text) // BYTES_PER_TOKEN for text in texts], loop.time())
        await asyncio.sleep(ends_at - loop.time())
        return self._answer(texts)

    def _look(self, path: str) -> object:
        if path != "/slots":
            return super()._look(path)
        now = asyncio.get_running_loop().time()
        busy = self.busy + sum(at > now for at in self._free_at)
        return [{"is_processing": slot < busy} for slot in range(self.slots)]

    def _take_slots(self, inputs: Sequence[int], now: float) -> float:
        """When the last of the inputs, given their tokens, is done."""
        ends = []
        for tokens in inputs:
            begins = max(now, self._free_at[0])
            ends.append(begins + max(1, tokens) * self._token_s)
            heapq.heapreplace(self._free_at, ends[-1])
        return max(ends)

    def _answer(self, texts: Sequence[str]) -> bytes:
        used = sum(len(text) // BYTES_PER_TOKEN for text in texts)
        items = [
            {"embedding": self._vector, "index": index, "object": "embedding"}
            for index in range(len(texts))
        ]
        usage = {"prompt_tokens": used, "total_tokens": used}
        answer = {"model": MODEL, "object": "list", "usage": usage, "data": items}
        body = json.dumps(answer, separators=(",", ":")).encode()
        return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def main(port: int, slots: int, rate: float, chat_rate: float, size: int) -> None:
    """Serves until it is killed."""
    standin = Embedder(slots, rate, chat_rate, size)
    server = await asyncio.start_server(standin.serve, "127.0.0.1", port, backlog=2000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    _port, _slots, _rate, _chat_rate, _size = sys.argv[1:]
    uvloop.run(main(int(_port), int(_slots), float(_rate), float(_chat_rate), int(_size)))
