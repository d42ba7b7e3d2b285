"""Small HTTP servers that answer as other programs do in the place of a llama-server."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

Pages = dict[str, tuple[int, Any]]
"""Status and body by path; what is not there is a 404."""

OLLAMA: Pages = {
    "/": (200, "Ollama is running"),
    "/props": (404, "404 page not found"),
    "/v1/models": (200, {"object": "list", "data": [{"id": "llama3", "owned_by": "library"}]}),
}
VLLM: Pages = {
    "/props": (404, {"detail": "Not Found"}),
    "/health": (200, ""),
    "/version": (200, {"version": "0.11.0"}),
    "/v1/models": (200, {"object": "list", "data": [{"id": "qwen", "owned_by": "vllm"}]}),
}
ROUTER: Pages = {
    "/health": (200, {"status": "ok"}),
    "/props": (200, {"role": "router", "max_instances": 4, "build_info": "b9"}),
    "/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llamacpp"}]}),
}
_NO_KEY = {"message": "Invalid API Key", "type": "authentication_error", "code": 401}
LOCKED: Pages = {"/health": (200, {"status": "ok"}), "/props": (401, {"error": _NO_KEY})}
_LOADING = {"message": "Loading model", "type": "unavailable_error", "code": 503}
LOADING: Pages = {"/props": (503, {"error": _LOADING})}
LM_STUDIO: Pages = {"/props": (200, {"error": "Unexpected endpoint or method. (GET /props)"})}
OPEN_WEBUI: Pages = {"/props": (200, "<html><title>Open\x1b WebUI</title>")}
LLAMAQ: Pages = {"/props": (501, {"error": {"message": "…", "code": "not_relayed"}})}
OLD: Pages = {
    "/health": (200, {"status": "ok"}),
    "/props": (200, {}),
    "/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llamacpp"}]}),
}
SWAP: Pages = {"/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llama-swap"}, 7]})}
WEB: Pages = {"/": (200, "<html>Welcome")}
ODD: Pages = {"/": (200, "[]"), "/props": (200, [1]), "/v1/models": (200, {"data": 3})}


@asynccontextmanager
async def serving(pages: Mapping[str, tuple[int, Any]]) -> AsyncIterator[str]:
    """Serves these pages; yields the URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, page = pages.get(head.split(" ")[1], (404, ""))
        body = (page if isinstance(page, str) else json.dumps(page)).encode()
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(f"HTTP/1.1 {status} Status\r\n{length}".encode() + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as listener:
        yield f"http://127.0.0.1:{port_of(listener)}"


def port_of(listener: asyncio.Server) -> int:
    return int(listener.sockets[0].getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def saying(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Answers each piece that comes, whatever the protocol; yields its port."""

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while piece := connection.recv(65_536):
                connection.sendall(answer(piece))

    def listen(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def plain_web_server() -> Iterator[int]:
    """What says in the words of HTTP that it did not understand."""
    with saying(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        yield port
