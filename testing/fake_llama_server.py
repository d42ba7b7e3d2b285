"""A llama-server whose answers a test scripts, for faults that a real one won't show on demand."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from testing.listener import Listener

Reply = Callable[["Chat"], Awaitable[None]]
"""What becomes of one chat request. Where it returns, the connection is closed."""

SPECIAL = "/v1/embeddings", "/embeddings", "/v1/rerank", "/infill"
"""The paths that not every server has."""

SIDE = "/tokenize"
"""A path that takes no slot; a test scripts its answers where it is among the `endpoints`."""

OWN = "own request"
"""Stands for the path of what a bridge asks for itself."""

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Chat:
    """One chat request while a script answers it, in the server's own bytes."""

    def __init__(self, body: dict[str, Any], model: str, writer: asyncio.StreamWriter) -> None:
        self.body = body
        self._model = model
        self._writer = writer
        self._begun = False

    async def refuse(self, status: int, message: str, **fields: Any) -> None:
        """An error instead of an answer; `fields` are the error's own."""
        error = {"code": status, "message": message, "type": "server_error", **fields}
        await _send(self._writer, status, {"error": error})

    async def progress(self, *, processed: int, cache: int = 0, total: int = 0) -> None:
        """How far the prompt is; `cache` of the tokens processed need no evaluation."""
        choice = {"finish_reason": None, "index": 0, "delta": {"role": "assistant"}}
        progress = {"total": total or processed, "cache": cache, "processed": processed}
        await self.event(self._chunk(choices=[choice], prompt_progress={**progress, "time_ms": 0}))

    async def say(self, text: str, *, model: str | None = None, **fields: Any) -> None:
        """A piece of the answer, in a chunk that names `model`, with more `fields`."""
        choice = {"finish_reason": None, "index": 0, "delta": {"content": text}}
        await self.event(self._chunk(model, choices=[choice], **fields))

    async def finish(self, *, prompt: int = 3, completion: int = 2, cached: int = 0) -> None:
        """The end of a complete answer, with its tokens."""
        await self.event(self._chunk(choices=[{"finish_reason": "stop", "index": 0, "delta": {}}]))
        usage = {
            "completion_tokens": completion,
            "prompt_tokens": prompt,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        await self.event(self._chunk(choices=[], usage=usage))
        await self.event("[DONE]")
        await self.end_body()

    async def fail(self, message: str) -> None:
        """An error event, after which a real server ends the body without `[DONE]`."""
        await self.event(json.dumps({"error": {"code": 500, "message": message}}))
        await self.end_body()

    async def whole(self, body: bytes, *pieces: bytes, size: int = 0) -> None:
        """An answer of one JSON value, in pieces; of another size it breaks off."""
        said = size or len(body) + sum(map(len, pieces))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {said}\r\n\r\n"
        self._writer.write(head.encode())
        for piece in (body, *pieces):
            self._writer.write(piece)
            await self._writer.drain()

    async def event(self, data: str) -> None:
        """Any event."""
        await self.raw(f"data: {data}\n\n".encode())

    async def raw(self, content: bytes) -> None:
        """Bytes of the body as they are; the headers come before the first."""
        head = b"" if self._begun else _STREAM
        self._begun = True
        self._writer.write(head + b"%x\r\n%b\r\n" % (len(content), content))
        await self._writer.drain()

    async def end_body(self) -> None:
        """The end of the body as HTTP has it; without it the connection breaks off."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def hang(self) -> None:
        """Silence until the client goes."""
        await asyncio.Event().wait()

    def _chunk(self, model: str | None = None, **fields: Any) -> str:
        chunk = fields | {"created": 1, "id": "chatcmpl-1", "model": model or self._model}
        return json.dumps(chunk | {"object": "chat.completion.chunk"}, separators=(",", ":"))


async def answer(chat: Chat) -> None:
    """A complete answer: `Hello world`."""
    await chat.say("Hello")
    await chat.say(" world")
    await chat.finish()


class FakeLlamaServer:
    """The server. A test changes its fields while it runs.

    `script` has the replies to the next chats, and may be shared by several servers; when it is
    empty, `reply` is the reply. `context` is per slot. `process` is told as the media marker;
    without it and without `modalities` it is a server of an older build, which tells neither.
    `endpoints` are the paths that it has besides those of every server: the others answer 501.
    While it is `broken` its engine fails what is asked besides chats. The `hanging` paths don't
    answer; `waiting` counts who asks for them. `looks` are the paths that were answered,
    `chats` the bodies that came, `heads` all that came before one. `aliases` are what it says that
    they are, None as older builds do; `meta` is what it says of its weights.
    """

    def __init__(
        self,
        model: str,
        script: deque[Reply] | None = None,
        *,
        context: int = 2048,
        modalities: Collection[str] = (),
        process: str = "",
    ) -> None:
        self.model = model
        self.context = context
        self.modalities = modalities
        self.process = process
        self.slots = 2
        self.endpoints: set[str] = set()
        self.key: str | None = None
        self.aliases: object = None
        self.meta: dict[str, object] | None = None
        self.loading = False
        self.broken = False
        self.hanging: set[str] = set()
        self.script: deque[Reply] = deque() if script is None else script
        self.reply: Reply = answer
        self.chats: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.looks: list[str] = []
        self.waiting = 0
        self.busy = 0
        self._listener = Listener(self._serve)

    @property
    def port(self) -> int:
        """Where it listens; 0 before its first start. A test may choose it."""
        return self._listener.port

    @port.setter
    def port(self, port: int) -> None:
        self._listener.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeLlamaServer"]:
        """Listens, at the same address each time; at the end every connection breaks."""
        await self._listener.open()
        try:
            yield self
        finally:
            await self._listener.close()

    def lose_power(self) -> None:
        """Nobody listens any more, but no connection is told."""
        self._listener.refuse()

    def crash(self) -> None:
        """Every connection breaks; it listens again at once, as if it had been restarted."""
        self._listener.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = [
                line.split(":")[1]
                for line in head.split("\r\n")
                if line.lower()[:15] == "content-length:"
            ]
            body = await reader.readexactly(int(length[0])) if length else b""
            reply = asyncio.create_task(self._reply(head, body, writer))
            gone = asyncio.create_task(reader.read())
            try:
                await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (reply, gone):
                    task.cancel()
                await asyncio.gather(reply, gone, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        if body and json.loads(body).get("stream") is False:
            path = OWN
        self.waiting += 1
        try:
            while path in self.hanging:  # noqa: ASYNC110  # a test changes it at will
                await asyncio.sleep(0.02)
        finally:
            self.waiting -= 1
        self.looks.append(path)
        if self.loading:
            await _send(writer, 503, _error("Loading model"))
        elif path == "/health":
            await _send(writer, 200, {"status": "ok"})
        elif self.key and f"Authorization: Bearer {self.key}\r\n".lower() not in head.lower():
            await _send(writer, 401, _error("Invalid API Key"))
        elif path == "/v1/chat/completions" or (path in self.endpoints and body != b"{}"):
            await self._chat(json.loads(body), writer, slots=int(path != SIDE))
        else:
            await _send(writer, self._status(path), self._about(path))

    def _status(self, path: str) -> int:
        if path in SPECIAL and path not in self.endpoints:
            return 501
        return 500 if path == OWN and self.broken else 200

    def _about(self, path: str) -> Any:
        if path == OWN or path in SPECIAL:
            return _error("Compute error." if path == OWN else "This server does not support it.")
        if path == "/v1/models":
            said = {} if self.aliases is None else {"aliases": self.aliases}
            return {"data": [{"id": self.model, "meta": self.meta, **said}]}
        if path == "/slots":
            return [{"id": i, "is_processing": i < self.busy} for i in range(self.slots)]
        about = {"total_slots": self.slots, "build_info": "b1-fake", "chat_template": ""}
        about |= {"default_generation_settings": {"n_ctx": self.context}}
        return about | self._about_media()

    def _about_media(self) -> dict[str, Any]:
        if not self.process and not self.modalities:
            return {}
        kinds = {kind: kind in self.modalities for kind in ("vision", "video", "audio")}
        return {"modalities": kinds, "media_marker": self.process}

    async def _chat(
        self, body: dict[str, Any], writer: asyncio.StreamWriter, slots: int = 1
    ) -> None:
        self.chats.append(body)
        self.busy += slots
        try:
            reply = self.script.popleft() if self.script else self.reply
            await reply(Chat(body, self.model, writer))
        finally:
            self.busy -= slots


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


async def _send(writer: asyncio.StreamWriter, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
