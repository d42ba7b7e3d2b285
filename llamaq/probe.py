"""Asks a running API whether it is ready, and, for the demonstration, for one chat."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import click
import httpx

_START_S = 60.0
_POLL_S = 0.1
_WORKER_POLL_S = 0.5
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would read all root certificates: 30 ms


class Probe:
    """A client of the API at `url`. Raises `click.ClickException` with what to do next.

    It trusts the certificate in `tls_cert`, whatever names are in that.
    """

    def __init__(self, url: str, token: str, tls_cert: Path | None = None) -> None:
        self._url = url
        self._trust = _only(tls_cert) if tls_cert else _NOBODY
        self._headers = {"Authorization": f"Bearer {token}"}

    async def wait_until_alive(self) -> None:
        """Returns when the API answers."""
        await self._wait("/health")

    async def wait_until_ready(self) -> None:
        """Returns when a worker accepts jobs."""
        await self._wait("/ready")

    async def wait_for_model(self) -> str:
        """The name of a model of which a worker accepts jobs; says so when it has to wait."""
        async with self._client() as client:
            if not (models := await _ready_models(client)):
                click.echo("\nIt waits for a worker: a llama-server with a bridge beside it.")
            while not models:
                await asyncio.sleep(_WORKER_POLL_S)
                models = await _ready_models(client)
        return models[0]

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

    async def _wait(self, path: str) -> None:
        try:
            async with asyncio.timeout(_START_S), self._client() as client:
                while not await _answers(client, path):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise click.ClickException(
                f"{self._url}{path} gave no good answer in {_START_S:.0f} s; the log above says why"
            ) from None

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


async def _answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.HTTPError:
        return False


async def _ready_models(client: httpx.AsyncClient) -> list[str]:
    try:
        answer = await client.get("/ready")
    except httpx.HTTPError:
        return []
    return list(answer.json()["models"]) if answer.status_code == 200 else []


def _texts(line: str) -> Iterator[str]:
    if line.startswith("data: {"):
        for choice in json.loads(line.removeprefix("data: ")).get("choices", []):
            if text := choice["delta"].get("content"):
                yield text
