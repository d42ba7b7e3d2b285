"""Streams from stand-in servers, whose every token tells whose it is and which number it has."""

import asyncio
import json
from collections.abc import Sequence
from enum import StrEnum

import httpx

from bench.standin_server import MODEL
from testing.builders import make_token

PATH = "/v1/chat/completions"
TIMEOUT_S = 120.0


class Verdict(StrEnum):
    """How a stream went."""

    WHOLE = "whole"
    REFUSED = "refused"  # before it began
    ENDED_EARLY = "ended early"  # with an error event behind a beginning that is right
    CUT = "cut"  # the connection broke; what came was right
    WRONG = "wrong"  # a token is missing, doubled or another stream's


def verdict_on(seed: int, tokens: int, status: int, lines: Sequence[str]) -> Verdict:
    """What a client makes of the lines that it got of an answer with so many tokens."""
    if status != 200:
        return Verdict.REFUSED
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    said = "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk.get("choices", [])
    )
    expected = "".join(f"{seed}-{number} " for number in range(tokens))
    if not expected.startswith(said):
        return Verdict.WRONG
    if events and events[-1] == "[DONE]":
        return Verdict.WHOLE if said == expected else Verdict.WRONG
    return Verdict.ENDED_EARLY if chunks and "error" in chunks[-1] else Verdict.CUT


async def stream(client: httpx.AsyncClient, seed: int, tokens: int) -> Verdict:
    """Asks for one stream, and reads it to its end."""
    lines: list[str] = []
    body = {
        "model": MODEL,
        "stream": True,
        "seed": seed,
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": f"Stream number {seed}"}],
    }
    try:
        async with client.stream("POST", PATH, json=body) as answer:
            lines += [line async for line in answer.aiter_lines()]
            status = answer.status_code
    except httpx.HTTPError:
        status = 200 if lines else 503
    return verdict_on(seed, tokens, status, lines)


async def stream_all(url: str, seeds: Sequence[int], tokens: int) -> list[Verdict]:
    """Asks for all of them at once."""
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {make_token()}"},
        limits=httpx.Limits(max_connections=None),
        timeout=TIMEOUT_S,
        trust_env=False,
    ) as client:
        return await asyncio.gather(*(stream(client, seed, tokens) for seed in seeds))
