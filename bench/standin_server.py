"""A stand-in llama-server that generates at a given speed and costs little: for benchmarks only.

.venv/bin/python bench/standin_server.py PORT SLOTS TOKENS_PER_SECOND [PROMPT_TOKENS_PER_SECOND]

The speeds are those of each slot; 0: as fast as it can. A prompt has a token for four bytes. Each
token of an answer is the request's seed and a number, so a test sees tokens that are missing,
doubled or another request's. A continued answer has the next number. As in llama-server, a request
without a free slot waits inside until its turn comes. GET /account tells how many requests were at
work at most, how many waited inside at most, and when each began and ended.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass
from typing import Any

import uvloop

MODEL = "standin"
BYTES_PER_TOKEN = 4
TIMINGS = (
    b'"timings":{"cache_n":0,"prompt_n":%d,"prompt_ms":%.3f,'
    b'"predicted_n":%d,"predicted_ms":%.3f,"predicted_per_second":%.3f}'
)
ABOUT = b'"created":1,"id":"chatcmpl-standin","model":"standin","system_fingerprint":"b1-standin",'
CHUNK = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"%%b"}}],'
    b"%b"
    b'"object":"chat.completion.chunk",%%b}\n\n'
) % ABOUT
LAST = (
    b'data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],'
    b"%b"
    b'"object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[],'
    b"%b"
    b'"object":"chat.completion.chunk","usage":{"completion_tokens":%%d,"prompt_tokens":%%d,'
    b'"total_tokens":%%d},%%b}\n\ndata: [DONE]\n\n'
) % (ABOUT, ABOUT)
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
NOT_SERVED = b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
STREAM = HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(slots=True)
class Figures:
    """Of one request: its `seed`, tokens, and times of the monotonic clock in seconds.

    `said` are the tokens of its answer that stand in the request already.
    """

    seed: int
    prompt: int
    tokens: int
    came_s: float
    said: int = 0
    started_s: float = 0
    first_s: float = 0
    ended_s: float = 0
    generated: int = 0

    def timings(self, now_s: float) -> bytes:
        """What llama-server would say of it now."""
        prompt_ms = max(0.001, (self.first_s - self.started_s) * 1000)
        ms = max(0.001, (now_s - self.first_s) * 1000)
        done = self.generated
        return TIMINGS % (self.prompt, prompt_ms, done, ms, done * 1000 / ms)

    def token(self, number: int) -> str:
        """The token of this number, counted from where the request begins."""
        return f"{self.seed}-{self.said + number} "

    def row(self) -> list[float]:
        """As GET /account tells it."""
        return [self.seed, self.came_s, self.started_s, self.ended_s, self.prompt, self.tokens]


class Standin:
    """The server: `slots`, and what each generates and reads of prompts in a second.

    Where there are `steps`, each token of a stream is one of them: whoever releases one gets it.
    """

    steps: asyncio.Semaphore | None = None

    def __init__(self, slots: int, rate: float, prompt_rate: float = 0) -> None:
        self.slots = slots
        self.busy = 0
        self._pause_s = 1 / rate if rate else 0.0
        self._prompt_pause_s = 1 / prompt_rate if prompt_rate else 0.0
        self._free = asyncio.Semaphore(slots)  # first come, first served
        self._process = f"<__media_{secrets.token_hex(16)}__>"
        self._inside = self._most_busy = self._most_inside = 0
        self._ended: list[Figures] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            body = await read_body(head, reader)
            if path.endswith("/chat/completions"):
                await self._chat(json.loads(body), writer)
            elif head.startswith(b"POST"):
                writer.write(await self.post(path, body) or NOT_SERVED)
            else:
                writer.write(_json(self._look(path)))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def post(self, path: str, body: bytes) -> bytes | None:
        """The answer to a request that is no chat; None for a path that it does not have."""
        return _json({"tokens": list(body[:16])}) if path == "/tokenize" else None

    def _look(self, path: str) -> object:
        return {
            "/health": {"status": "ok"},
            "/props": {
                "total_slots": self.slots,
                "default_generation_settings": {"n_ctx": 4096},
                "build_info": "b1-standin",
                "media_marker": self._process,
                "modalities": {"vision": False, "audio": False},
            },
            "/v1/models": {"data": [{"id": MODEL}]},
            "/slots": [{"is_processing": slot < self.busy} for slot in range(self.slots)],
            "/account": {
                "slots": self.slots,
                "most_busy": self._most_busy,
                "most_waiting": max(0, self._most_inside - self.slots),
                "ended": [figures.row() for figures in self._ended],
            },
        }[path]

    async def _chat(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        prompt = sum(len(message["content"]) for message in body["messages"]) // BYTES_PER_TOKEN
        tokens = body.get("max_tokens", 100)
        goes_on = body.get("continue_final_message")
        said = len(body["messages"][-1]["content"].split()) if goes_on else 0
        figures = Figures(body.get("seed", -1), max(1, prompt), tokens, clock(), said)
        self._inside += 1
        self._most_inside = max(self._most_inside, self._inside)
        try:
            async with self._free:
                self.busy += 1
                self._most_busy = max(self._most_busy, self.busy)
                figures.started_s = clock()
                try:
                    complete = await self._work(figures, writer if body.get("stream") else None)
                finally:
                    self.busy -= 1
        finally:
            self._inside -= 1
        if complete:
            self._ended.append(figures)
            writer.write(_end(figures) if body.get("stream") else _whole(figures))

    async def _work(self, figures: Figures, stream: asyncio.StreamWriter | None) -> bool:
        """Generates, and writes it into the `stream` if there is one; False if nobody listens."""
        clock = asyncio.get_running_loop().time
        due_s = figures.started_s + figures.prompt * self._prompt_pause_s
        if stream is not None:
            stream.write(STREAM)
        for number in range(figures.tokens):
            if self.steps is not None:
                await self.steps.acquire()
            elif due_s > clock():
                await asyncio.sleep(due_s - clock())
            elif stream is not None:
                await stream.drain()
            now_s = clock()
            figures.first_s = figures.first_s or now_s
            figures.generated = number + 1
            if stream is not None:
                if stream.is_closing():
                    return False
                token = figures.token(number).encode()
                stream.write(_chunked(CHUNK % (token, figures.timings(now_s))))
            due_s += self._pause_s
        figures.ended_s = clock()
        return True


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """The body of a request, empty where it has none."""
    _, found, rest = head.lower().partition(b"content-length:")
    return await reader.readexactly(int(rest.split(b"\r\n")[0])) if found else b""


def _end(figures: Figures) -> bytes:
    said, read = figures.tokens, figures.prompt
    return (
        _chunked(LAST % (said, read, said + read, figures.timings(figures.ended_s))) + b"0\r\n\r\n"
    )


def _whole(figures: Figures) -> bytes:
    text = "".join(map(figures.token, range(figures.tokens)))
    message = {"role": "assistant", "content": text}
    choice = {"finish_reason": "length", "index": 0, "message": message}
    said, read = figures.tokens, figures.prompt
    usage = {"completion_tokens": said, "prompt_tokens": read, "total_tokens": said + read}
    return _json({"choices": [choice], "model": MODEL, "usage": usage})


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    about = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return HEAD + about + body


async def main(port: int, slots: int, rate: float, prompt_rate: float) -> None:
    """Serves until it is killed."""
    standin = Standin(slots, rate, prompt_rate)
    server = await asyncio.start_server(standin.serve, "127.0.0.1", port, backlog=2000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    rates = [float(word) for word in (*sys.argv[3:], "0")][:2]
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *rates))
