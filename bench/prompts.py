"""Makes requests that differ from the first word on, so no cache and no affinity helps."""

import json
import random
from collections.abc import Iterator
from typing import Any

from bench.load_generator import Request

SEEDS_PER_TURN = 100_000
_WORDS = 40


def make_prompt(chance: random.Random) -> str:
    """Some words that were never said before."""
    return " ".join(f"{chance.getrandbits(32):x}" for _ in range(_WORDS))


def make_chats(
    turn: int, number: int, tokens: int, *, model: str, stream: bool
) -> Iterator[dict[str, Any]]:
    """A number of requests: equal for equal turns, and different for others."""
    chance = random.Random(turn)  # noqa: S311
    for index in range(number):
        yield {
            "model": model,
            "messages": [{"role": "user", "content": make_prompt(chance)}],
            "max_tokens": tokens,
            "seed": turn * SEEDS_PER_TURN + index,
            "stream": stream,
        }


def make_request(chat: dict[str, Any], token: str, at_s: float = 0) -> Request:
    """A chat request as a client sends it."""
    body = json.dumps(chat).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    content = head.encode() + body
    usage = "stream_options" in chat
    return Request(content, chat["seed"], chat["max_tokens"], chat["stream"], at_s, usage)
