"""Mistakes of clients: what the API answers."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from httpx import Response

from api.proxies import Proxies
from llamaq.acceptor import TlsAcceptor
from llamaq.places import Places
from llamaq.tls import Certificate
from testing.builders import make_chat, make_token
from testing.certificates import write_certificate
from testing.service import Service, a_model, a_worker, service
from tests.mistakes.beside import beside
from tests.mistakes.making import Outcome, Place, mistake


def _told(answer: Response) -> Outcome:
    return Outcome(f"HTTP {answer.status_code}", answer.json()["error"]["message"])


def _asked(ask: Callable[[Service], Response], **settings: Any) -> Outcome:
    with service(**settings) as there:
        return _told(ask(there))


def _with_token(token: str) -> Outcome:
    header = {"Authorization": f"Bearer {token}"} if token else {}
    path = "/v1/chat/completions"
    return _asked(lambda api: api.client.post(path, content=make_chat(), headers=header))


@mistake("no token")
def _(place: Place) -> Outcome:
    return _with_token("")


@mistake("a key of OpenAI's in place of a token")
def _(place: Place) -> Outcome:
    return _with_token("sk-abcdefghijklmnopqrstuvwx")


@mistake("a token of another secret")
def _(place: Place) -> Outcome:
    return _with_token(make_token(secret="another secret, that is long enough too"))


@mistake("a token that has expired")
def _(place: Place) -> Outcome:
    return _with_token(make_token(exp=int(time.time()) - 3600))


@mistake("a token of a machine whose clock is ahead")
def _(place: Place) -> Outcome:
    now = int(time.time())
    return _with_token(make_token(iat=now + 3600, nbf=now + 3600, exp=now + 7200))


@mistake("a token that is not for this path")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(), scopes=["embeddings"]))


@mistake("a token that is not for this model")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(), models=["qwen"]))


@mistake("a model that nobody serves")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(model="gpt-4o")))


@mistake("a path that there is not")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(), path="/v1/chat"))


@mistake("a path of llama-server that is not relayed")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.client.get("/props"))


@mistake("a body that is no JSON")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(b"{'model': 'tiny'}"))


@mistake("a field of the wrong type")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(temperature="warm")))


@mistake("no messages")
def _(place: Place) -> Outcome:
    return _asked(lambda api: api.chat(make_chat(messages=[])))


@mistake("a picture for a model that sees none")
def _(place: Place) -> Outcome:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    return _asked(lambda api: api.chat(make_chat(messages=[{"role": "user", "content": [part]}])))


@mistake("a chat for a model of embeddings")
def _(place: Place) -> Outcome:
    def ask(api: Service) -> Response:
        worker = a_worker(endpoints=frozenset({"embeddings"}))
        api.registry.models = {"tiny": a_model(worker)}
        return api.chat(make_chat())

    return _asked(ask)


@mistake("no worker")
def _(place: Place) -> Outcome:
    def ask(api: Service) -> Response:
        api.registry.models = {"tiny": a_model(seen_s=100_000.0)}
        return api.chat(make_chat())

    return _asked(ask)


@asynccontextmanager
async def _https(folder: Path) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = Certificate(*write_certificate(folder)).context
        places = Places(10, 10, Proxies())
        acceptor = TlsAcceptor([listener], asyncio.Protocol, context, places)
        acceptor.open()
        yield listener.getsockname()[1]
        acceptor.close()


@mistake("`http://` for an API that speaks HTTPS")
def _(place: Place) -> Outcome:
    with beside(_https(place.folder)) as (port, _):
        return _told(httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False))
