"""Four real llama.cpp servers, and llamaq before them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from llamaq.demo_model import write_demo_model
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, free_port, llamaq, program, valkey
from testing.tiny_ear import write_tiny_ear
from testing.tiny_models import write_tiny_model
from testing.waiting import wait_until

_BATCH = ("--batch-size", "512")
SLOTS = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `type` is that of its content."""

    status: int
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the servers are, by the names of their models, and where llamaq is."""

    servers: Mapping[str, LlamaServer]
    url: str

    def both(self, model: str, path: str, body: bytes, media_type: str) -> tuple[Reply, Reply]:
        """What the server of a model says itself, and what llamaq says."""
        headers = {"Content-Type": media_type}
        own = self._ask(self.servers[model].url + path, body, headers)
        headers["Authorization"] = f"Bearer {make_token()}"
        return own, self._ask(self.url + path, body, headers)

    def _ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        at = urlsplit(url)
        assert at.hostname
        # llama-server may close a connection that it has just offered to keep.
        sent = {"Connection": "close", **headers}
        with closing(HTTPConnection(at.hostname, at.port, timeout=60)) as connection:
            connection.request("POST", at.path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheader("content-type", ""), answer.read())


def _options(folder: Path) -> Mapping[str, tuple[str, ...]]:
    return {
        "tiny": (),
        "embeds": ("--embeddings", *_BATCH),
        "ranks": ("--reranking", *_BATCH),
        "hears": ("--mmproj", str(folder / "ear.gguf")),
    }


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """All of it, ready to be asked; its logs are in `folder`."""
    for name in ("tiny", "hears"):
        write_demo_model(folder / f"{name}.gguf")
    write_tiny_ear(folder / "ear.gguf")
    for name in ("embeds", "ranks"):
        write_tiny_model(folder / f"{name}.gguf", ranks=name == "ranks")
    servers = {
        name: LlamaServer(
            folder / f"{name}.gguf", free_port(), name, SLOTS, exact=True, options=options
        )
        for name, options in _options(folder).items()
    }
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for name, server in servers.items():
            stack.enter_context(program(server.command(), folder / f"{name}.log"))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        for server in servers.values():
            wait_until(lambda at=server.url: answers(f"{at}/health"), 60)  # type: ignore[misc]
        named = [word for server in servers.values() for word in ("--server", server.url)]
        command, log = llamaq("bridge", *named), folder / "bridge.log"
        running = stack.enter_context(program(command, log, {"LLAMAQ_REDIS_URL": redis_url}))
        wait_until(lambda: running.output.count("joined worker=") == len(servers), 60)
        yield Stage(servers, url)
