"""What the clients talk to: an API, Valkey, a bridge, real llama.cpp servers and a scripted one."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from llamaq import demo_model
from llamaq.demo_words import CHAT_TEMPLATE
from testing.builders import make_token
from testing.processes import START_S, LlamaServer, answers, api, free_port, llamaq, program, valkey
from testing.tiny_ear import write_tiny_ear
from testing.tiny_models import write_tiny_model
from testing.waiting import wait_until

SLOTS = 2
LONG = 65_536  # tokens of the one slot of `long`: a token of the demo model is a byte
CALLS = "{%- if tools and messages[-1].role != 'tool' %}{{- '<|tools|>' }}{%- endif %}\n"


@dataclass(frozen=True, slots=True)
class Stack:
    """Where llamaq is, and what opens it."""

    url: str
    token: str
    logs: Path


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Serves the models tiny, long, embeds and ranks of real servers, and scripted."""
    servers = _real_servers(folder)
    port = free_port()
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        for server in servers:
            stack.enter_context(program(server.command(), folder / f"{server.alias}.log"))
        command = [sys.executable, "-m", "tests.clients.scripted", str(port)]
        stack.enter_context(program(command, folder / "scripted.log"))
        addresses = [*(server.url for server in servers), f"http://127.0.0.1:{port}"]
        for address in addresses:
            wait_until(lambda at=address: answers(f"{at}/health"), START_S)  # type: ignore[misc]
        stack.enter_context(_bridge(redis_url, addresses, folder / "bridge.log"))
        wait_until(lambda: answers(f"{url}/ready"), START_S)
        yield Stack(url, make_token(), folder)


@contextmanager
def _bridge(redis_url: str, addresses: Sequence[str], log: Path) -> Iterator[None]:
    options = [word for address in addresses for word in ("--server", address)]
    with program(llamaq("bridge", *options), log, {"LLAMAQ_REDIS_URL": redis_url}) as running:
        wait_until(lambda: running.output.count("joined worker=") == len(addresses), START_S)
        yield


def _real_servers(folder: Path) -> list[LlamaServer]:
    """`tiny` calls a tool whenever it may; `long` never does, takes a coding agent's prompt, and
    hears.
    """
    paths = {name: folder / f"{name}.gguf" for name in ("tiny", "long", "embeds", "ranks")}
    demo_model.write_demo_model(paths["tiny"])
    with patch.object(demo_model, "CONTEXT_TOKENS", LONG):
        demo_model.write_demo_model(paths["long"], template=CHAT_TEMPLATE.replace(CALLS, ""))
    write_tiny_ear(folder / "ear.gguf")
    hears = ("--mmproj", str(folder / "ear.gguf"))
    write_tiny_model(paths["embeds"])
    write_tiny_model(paths["ranks"], ranks=True)
    options = {
        "tiny": (SLOTS, ()),
        "long": (1, ("--ctx-size", str(LONG), "--batch-size", "2048", *hears)),
        "embeds": (SLOTS, ("--embeddings",)),
        "ranks": (SLOTS, ("--reranking",)),
    }
    return [
        LlamaServer(path, free_port(), name, options[name][0], options=options[name][1])
        for name, path in paths.items()
    ]
