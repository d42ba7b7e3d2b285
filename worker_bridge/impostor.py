"""Says in words what answers where a llama-server should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker_bridge.health import ProbeResult
from worker_bridge.llama import LlamaServer

_LOOK_S = 2.0
_PATHS = "/", "/props", "/v1/models"
_LLAMA_CPP = "llamacpp"


@dataclass(frozen=True, slots=True)
class Found:
    """The status of an answer (0: none), its text, its JSON value, None where it has none, and
    what kind of answer it was.
    """

    status: int = 0
    text: str = ""
    value: Any = None
    probe: ProbeResult = ProbeResult.SILENT

    def get(self, name: str) -> Any:
        """A field of the JSON object; None where there is none."""
        return self.value.get(name) if isinstance(self.value, dict) else None


async def look_behind(server: LlamaServer) -> str:
    """What this server is, and what to do about it."""
    found = {path: await _found(server, path) for path in _PATHS}
    return explain(found) or _why_silent(found["/props"], server.url)


async def why_away(server: LlamaServer) -> str:
    """Why nothing answers there, and what to do about it; empty where something does."""
    found = await _found(server, "/props")
    return "" if found.status else _why_silent(found, server.url)


async def _found(server: LlamaServer, path: str) -> Found:
    answer = await server.look_at(path, _LOOK_S)
    return Found(answer.status, answer.body.decode(errors="replace"), answer.value, answer.probe)


def explain(found: Mapping[str, Found]) -> str:
    """The sentence for these answers, by path; empty where there are none."""
    if found["/props"].get("role") == "router":
        return (
            "it is a llama-server router, which starts servers for several models. Give each model "
            "a llama-server of its own (-m MODEL), and each of those a bridge"
        )
    if found["/props"].status == 401:
        return "it wants a key: set LLAMAQ_SERVER_KEY to the server's --api-key"
    if name := _other_engine(found):
        return (
            f"it is {name}, not a llama-server. A bridge needs llama.cpp's llama-server: run "
            "`llamaq bridge -- llama-server -m MODEL.gguf --parallel 4`"
        )
    if _LLAMA_CPP in _owners(found["/v1/models"]):
        return "this bridge can't read what its /props says: use a newer llama-server"
    if not any(answer.status for answer in found.values()):
        return ""
    return (
        "it is a web server, but not a llama-server (GET /props: "
        f"{found['/props'].status or 'no answer'}). Check the host, the port and the path of "
        "--server; it is the address without /v1"
    )


def _why_silent(found: Found, url: str) -> str:
    has_tls = url.startswith("https:")
    if found.probe is ProbeResult.REFUSED:
        return "nobody listens there. Start the llama-server, or check the port of --server"
    if found.probe is ProbeResult.UNREACHABLE:
        why = "there is no way to it. Check the host of --server, and firewalls"
    else:
        why = "it does not answer as a web server does. Check the host and the port of --server"
        why += "" if has_tls else ". If it speaks TLS, write https://"
    return f"{why}. If it speaks no TLS, write http://" if has_tls else why


def _other_engine(found: Mapping[str, Found]) -> str:
    owners = _owners(found["/v1/models"])
    if "Ollama is running" in found["/"].text or "library" in owners:
        return "an Ollama"
    if "vllm" in owners:
        return "a vLLM"
    if name := of_refused_path(found["/props"].get("error")):
        return name
    others = sorted(owners - {_LLAMA_CPP})
    return f"another server of the OpenAI API (owned_by {others[0]!r})" if others else ""


def of_refused_path(error: Any) -> str:
    """What says this of a path that it lacks; empty where many may.

    >>> of_refused_path({"code": "not_relayed"})
    'the API of a llamaq'
    """
    if isinstance(error, dict) and error.get("code") == "not_relayed":
        return "the API of a llamaq"
    return "an LM Studio" if isinstance(error, str) and "Unexpected endpoint" in error else ""


def _owners(models: Found) -> set[str]:
    rows = models.get("data")
    rows = rows if isinstance(rows, list) else []
    return {str(row.get("owned_by", ""))[:40] for row in rows if isinstance(row, dict)}
