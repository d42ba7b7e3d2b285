"""A stand-in llama-server that generates at a given speed and costs little: for benchmarks only.

.venv/bin/python bench/standin_server.py PORT SLOTS TOKENS_PER_SECOND    (0: as fast as it can)
"""

import asyncio
import json
import sys

MODEL = "standin"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
CHUNK = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"word "}}],'
    b'"created":1,"id":"chatcmpl-standin","model":"standin","system_fingerprint":"b1-standin",'
    b'"object":"chat.completion.chunk","timings":{"cache_n":0,"prompt_n":9,"prompt_ms":1.5,'
    b'"predicted_n":%d,"predicted_ms":20.25,"predicted_per_second":50.125}}\n\n'
)
LAST = (
    b'data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1,'
    b'"id":"chatcmpl-standin","model":"standin","object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[],"created":1,"id":"chatcmpl-standin","model":"standin",'
    b'"object":"chat.completion.chunk","usage":{"completion_tokens":%d,"prompt_tokens":9,'
    b'"total_tokens":%d}}\n\ndata: [DONE]\n\n'
)


class Standin:
    """The server: `slots` and `rate` (tokens per second and stream) are as told."""

    def __init__(self, slots: int, rate: float) -> None:
        self.slots = slots
        self.rate = rate
        self.busy = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            if path.endswith("/chat/completions"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await self._chat(json.loads(await reader.readexactly(length)), writer)
            else:
                writer.write(_json(self._look(path)))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _look(self, path: str) -> object:
        return {
            "/health": {"status": "ok"},
            "/props": {
                "total_slots": self.slots,
                "default_generation_settings": {"n_ctx": 4096},
            },
            "/v1/models": {"data": [{"id": MODEL}]},
            "/slots": [{"is_processing": slot < self.busy} for slot in range(self.slots)],
        }[path]

    async def _chat(self, body: dict[str, int], writer: asyncio.StreamWriter) -> None:
        tokens = body.get("max_tokens", 100)
        clock = asyncio.get_running_loop().time
        self.busy += 1
        try:
            writer.write(HEAD)
            due = clock()
            for number in range(1, tokens + 1):
                writer.write(_chunked(CHUNK % number))
                due += 1 / self.rate if self.rate else 0
                await (asyncio.sleep(max(0.0, due - clock())) if self.rate else writer.drain())
                if writer.is_closing():
                    return
            writer.write(_chunked(LAST % (tokens, tokens + 9)) + b"0\r\n\r\n")
        finally:
            self.busy -= 1


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


async def main(port: int, slots: int, rate: float) -> None:
    """Serves until it is killed."""
    server = await asyncio.start_server(Standin(slots, rate).serve, "127.0.0.1", port, backlog=2000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
