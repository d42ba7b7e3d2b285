"""What answers `GET /props` on the ports of this machine where llama-servers listen, in words."""

import asyncio
import html
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from worker_bridge.health import ProbeResult
from worker_bridge.impostor import of_refused_path
from worker_bridge.llama import LlamaServer
from worker_bridge.look import Looked
from worker_bridge.port_owner import owners_of

PORTS = range(8080, 8090)
PLACES = f"127.0.0.1:{PORTS[0]}–{PORTS[-1]}"  # noqa: RUF001  # a range, for people

_LOOK_S = 1.0
_MOST_CHARS = 60
_TITLE = re.compile(r"<title[^>]*>([^<]*)<", re.IGNORECASE)
_ABSENT = ProbeResult.REFUSED, ProbeResult.UNREACHABLE


@dataclass(frozen=True, slots=True)
class Seen:
    """What answers on a port: a llama-server that a bridge can serve, or something else.

    `what` says what it is, and of what can't be served also what to do.
    """

    port: int
    is_server: bool
    what: str

    @property
    def url(self) -> str:
        """Its address."""
        return _url(self.port)

    def __str__(self) -> str:
        return f"{self.url} is {self.what}"


async def look_around(ports: Iterable[int] = PORTS) -> Sequence[Seen]:
    """All that answer on these ports of the loopback address, asked at the same time.

    They are asked for `/props`, without a key, and for nothing else. A llama-server of another user
    is none that can be served: whoever has a port first could have the prompts.
    """
    found = await asyncio.gather(*(_look_at(port) for port in ports))
    return [each for each in found if each is not None]


async def _look_at(port: int) -> Seen | None:
    answer = await LlamaServer(_url(port), None).look_at("/props", _LOOK_S)
    if answer.probe in _ABSENT:
        return None
    seen = judge(port, answer)
    return _of_another_user(seen) if seen.is_server and not _is_ours(port) else seen


def _is_ours(port: int) -> bool:
    owners = owners_of(port)
    return not owners or owners <= {os.getuid(), 0}


def _of_another_user(seen: Seen) -> Seen:
    what = f"a llama-server of another user. If you trust it, name it: --server {seen.url}"
    return Seen(seen.port, False, what)


def judge(port: int, answer: Looked) -> Seen:
    """Names the program that gave this answer to `GET /props`."""
    said = answer.value if isinstance(answer.value, dict) else {}
    error = said.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    if "total_slots" in said and "default_generation_settings" in said:
        return Seen(port, True, "a llama-server")
    if answer.status == 503 and kind == "unavailable_error":
        return Seen(port, True, "a llama-server that loads its model")
    if answer.status == 401 and kind == "authentication_error":
        do = f"set LLAMAQ_SERVER_KEY, and name it: --server {_url(port)}"
        return Seen(port, False, f"a llama-server that wants a key: {do}")
    if said.get("role") == "router":
        return Seen(port, False, "a llama-server router: give each model a llama-server of its own")
    return Seen(port, False, f"{_other(answer, said, error)}, not a llama-server")


def _other(answer: Looked, said: dict[str, Any], error: Any) -> str:
    text = answer.body[:65_536].decode(errors="replace")
    if name := of_refused_path(error):
        return name
    if said.get("detail") == "Not Found":
        return "a Python server such as a vLLM"
    if text.strip() == "404 page not found":
        return "a Go server such as an Ollama"
    if title := _TITLE.search(text):
        return f"the web page {_plain(title[1])!r}"
    return f"a web server (GET /props: {answer.status})" if answer.status else "no web server"


def _plain(text: str) -> str:
    words = " ".join(html.unescape(text).split())
    return "".join(filter(str.isprintable, words))[:_MOST_CHARS]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
