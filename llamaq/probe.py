"""Asks a running API whether it is ready, and, for the demonstration, for one chat."""

import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

_START_S = 60.0
_POLL_S = 0.1
_KINDS = "chat", "embedding", "rerank", ""
_WORKER_POLL_S = 0.3
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would read all root certificates: 30 ms


@dataclass(frozen=True, slots=True)
class Served:
    """The names of models. The first one is good for this `kind` of requests: `chat`, else
    `embedding`, else `rerank`; empty where it is for none of them.
    """

    models: tuple[str, ...]
    kind: str


class Probe:
    """A client of the API at `url`. Raises `click.ClickException` with what to do next.

    It trusts the certificate in `tls_cert`, whatever names that has.
    """

    def __init__(self, url: str, token: str, tls_cert: Path | None = None) -> None:
        self._url = url
        self._trust = _only(tls_cert) if tls_cert else _NOBODY
        self._headers = {"Authorization": f"Bearer {token}"}

    async def wait_until_alive(self) -> None:
        """Returns when the API answers."""
        try:
            async with asyncio.timeout(_START_S), self._client() as client:
                while not await _answers(client):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise click.ClickException(
                f"{self._url} gave no good answer in {_START_S:.0f} s; the log above says why"
            ) from None

    async def served_within(self, seconds: float) -> Served | None:
        """As `served`, but None if there is no model in this time."""
        try:
            return await asyncio.wait_for(self.served(), seconds)
        except TimeoutError:
            return None

    async def served(self) -> Served:
        """The models whose workers accept jobs, as soon as there is one."""
        async with self._client() as client:
            while (found := await _ready(client)) is None:  # noqa: ASYNC110  # another process
                await asyncio.sleep(_WORKER_POLL_S)
            return found

    async def show_chat(self, model: str) -> None:
        """Prints the answer of one streamed chat while it comes."""
        question = "Tell me a story."
        click.echo(f"\n> {question}")
        body = {
            "model": model,
            "stream": True,
            "max_tokens": 120,
            "ignore_eos": True,
            "messages": [{"role": "user", "content": question}],
        }
        async with (
            self._client() as client,
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            if answer.status_code != 200:
                raise click.ClickException((await answer.aread()).decode())
            async for line in answer.aiter_lines():
                for text in _texts(line):
                    click.echo(text, nl=False)
            worker = answer.headers.get("x-llamaq-worker")
        click.echo(f"\n\nThe weights are random, so the words are too. Answered by {worker}.")

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url,
            headers=self._headers,
            timeout=60,
            trust_env=False,
            verify=self._trust,
        )


def _only(cert: Path) -> ssl.SSLContext:
    """Trusts this certificate alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cert)
    return context


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def _ready(client: httpx.AsyncClient) -> Served | None:
    try:
        ready = await client.get("/ready")
        listed = await client.get("/v1/models") if ready.status_code == 200 else ready
    except httpx.HTTPError:
        return None
    if listed.status_code != 200:
        return None
    names = set(ready.json()["models"])
    rows = [row for row in listed.json()["data"] if row["id"] in names]
    rows.sort(key=lambda row: _KINDS.index(_kind(row)))
    return Served(tuple(row["id"] for row in rows), _kind(rows[0])) if rows else None


def _kind(row: Mapping[str, Any]) -> str:
    return next((kind for kind in _KINDS if kind in row["meta"]["kinds"]), "")


def _texts(line: str) -> Iterator[str]:
    if line.startswith("data: {"):
        for choice in json.loads(line.removeprefix("data: ")).get("choices", []):
            if text := choice["delta"].get("content"):
                yield text
