"""Two real ggml-rpc-servers, a llama-server that is split over them, and llamaq before it."""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

from redis import Redis

from llamaq.demo_model import write_demo_model
from testing.builders import make_token
from testing.processes import Program, answers, api, free_port, llamaq, program, valkey
from testing.waiting import wait_until

MODEL = "split"
START_S = 30.0
_SPLIT = ("-ngl", "99", "--device", "RPC0,RPC1", "--tensor-split", "1,1")
# It rounds less: a greedy answer is the same whether its beginning was generated or read.
_EXACT = ("--flash-attn", "off", "--cache-type-k", "f32", "--cache-type-v", "f32")
_OTHER = ("--parallel", "2", "-c", "4096", "--threads", "1", "--no-ui", "--batch-size", "256")


@dataclass(slots=True)
class RpcServer:
    """A ggml-rpc-server that can die and come back, at the same address."""

    command: Sequence[str]
    port: int
    log: Path
    stack: ExitStack
    running: Program = field(init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ("-H", "127.0.0.1", "-p", str(self.port), "-t", "1")
        self.running = self.stack.enter_context(program([*self.command, *arguments], self.log))
        wait_until(self._listens, START_S)

    def _listens(self) -> bool:
        with socket() as wire:
            return wire.connect_ex(("127.0.0.1", self.port)) == 0

    def memory_bytes(self) -> int:
        """What it holds in memory of its own."""
        status = Path(f"/proc/{self.running.process.pid}/status").read_text()
        (kilobytes,) = re.findall(r"RssAnon:\s+(\d+)", status)
        return int(kilobytes) * 1024


@dataclass(frozen=True, slots=True)
class Stage:
    """All of it. `url` is the API's, `redis` a client of its Redis."""

    programs: Path
    folder: Path
    peers: tuple[RpcServer, RpcServer]
    url: str
    redis_url: str
    redis: Redis

    @property
    def model(self) -> Path:
        return self.folder / f"{MODEL}.gguf"

    @property
    def named(self) -> str:
        """The peers, as llama-server is told of them."""
        return ",".join(peer.address for peer in self.peers)

    def server(self, *options: str) -> list[str]:
        """The command line of the llama-server."""
        program = str(self.programs / "llama-server-vulkan")
        about = ("-m", str(self.model), "--alias", MODEL, "--rpc", self.named)
        return [program, *about, *_SPLIT, *_EXACT, *_OTHER, *options]

    @contextmanager
    def bridge(self, *arguments: str) -> Iterator[Program]:
        """A bridge that has joined."""
        log, about = self.folder / "bridge.log", {"LLAMAQ_REDIS_URL": self.redis_url}
        before = log.read_text().count("joined worker=") if log.exists() else 0
        with program(llamaq("bridge", *arguments), log, about) as running:
            wait_until(lambda: running.output.count("joined worker=") > before, START_S)
            yield running

    def worker(self) -> Mapping[str, str]:
        """What Redis knows of the only worker that is there."""
        ids = self.redis.zrange(f"llamaq:{{{MODEL}}}:workers", 0, -1)
        if not ids:
            return {}
        row = self.redis.hgetall(f"llamaq:{{{MODEL}}}:worker:{ids[-1].decode()}")
        return {name.decode(): value.decode() for name, value in row.items()}

    def crashed(self) -> set[bytes]:
        """The jobs that Redis still knows, against which a crash was counted."""
        keys = self.redis.keys(f"llamaq:{{{MODEL}}}:job:*")
        return {key for key in keys if self.redis.hget(key, "crashes") not in (None, b"0")}

    def ask(self, number: int, tokens: int, *, stream: bool = False) -> Iterator[str]:
        """The pieces of a greedy answer as they come. Raises where it is not whole."""
        body = {
            **{"model": MODEL, "stream": stream, "temperature": 0, "max_tokens": tokens},
            **{"ignore_eos": True, "prompt": f"Once upon a time, in story number {number},"},
        }
        headers = {"Authorization": f"Bearer {make_token()}", "Content-Type": "application/json"}
        url = f"{self.url}/v1/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            if not stream:
                yield json.load(answer)["choices"][0]["text"]
                return
            yield from _pieces(answer)


def _pieces(answer: Any) -> Iterator[str]:
    for line in answer:
        data = line.decode().strip().removeprefix("data: ")
        if data == "[DONE]":
            return
        if line.startswith(b"data: "):
            chunk = json.loads(data)
            assert "error" not in chunk, data
            if chunk["choices"]:
                yield chunk["choices"][0]["text"]
    raise AssertionError("the stream ended without its last word")


@contextmanager
def stage(programs: Path, folder: Path) -> Iterator[Stage]:
    """The peers, Redis and an API; the logs are in `folder`."""
    write_demo_model(folder / f"{MODEL}.gguf", size="small")
    command = [str(programs / "ggml-rpc-server-vulkan")]
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        peers = tuple(
            RpcServer(command, free_port(), folder / f"peer{number}.log", stack)
            for number in (1, 2)
        )
        redis = stack.enter_context(Redis.from_url(redis_url))
        yield Stage(programs, folder, (peers[0], peers[1]), url, redis_url, redis)


def ready(stage: Stage) -> bool:
    return answers(f"{stage.url}/ready")
