"""The keys of an identity provider: when they are fetched, and what is believed meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from api import jwks as module
from api.auth import Authenticator
from api.errors import ApiError
from api.jwks import MOST_BYTES, MOST_WAITING, CannotFetch, Jwks, fetch_bounded
from testing.builders import make_authenticator, make_token
from testing.signers import key_set, private_key, public_jwk, token_of

URL = "https://login.example.org/jwks"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "APART_S", 0.0)


def shown(*names: str) -> bytes:
    """A set of these keys."""
    return key_set(*(public_jwk("ES256", private_key("ES256", name), kid=name) for name in names))


def header(name: str, **more: Any) -> str:
    return f"Bearer {token_of('ES256', private_key('ES256', name), {'kid': name}, **more)}"


class Provider:
    """It shows `text`, and counts how often it is asked; or is away."""

    def __init__(self, *names: str) -> None:
        self.text = shown(*names)
        self.asked = 0
        self.is_away = False
        self.was_asked = asyncio.Event()

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        self.was_asked.set()
        await asyncio.sleep(0)
        if self.is_away:
            raise CannotFetch("is away")
        return self.text

    def believer(self) -> Authenticator:
        return make_authenticator(Jwks(URL, self.fetch), jwks_url=URL)


async def refusal(believer: Authenticator, header: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await believer.admit(header)
    return refused.value


async def test_new_key_is_looked_for_once_for_all_who_come_with_it() -> None:
    provider = Provider("a")
    believer = provider.believer()
    assert (await believer.admit(header("a"))).subject == "me"
    assert (await believer.admit(header("a", sub="ann"))).subject == "ann"
    assert provider.asked == 1
    provider.text = shown("a", "b")
    subjects = [f"s{number}" for number in range(20)]
    tenants = await asyncio.gather(*(believer.admit(header("b", sub=name)) for name in subjects))
    assert [tenant.subject for tenant in tenants] == subjects
    assert provider.asked == 2
    assert (await believer.admit(f"Bearer {make_token()}")).subject == "me"
    assert provider.asked == 2


async def test_key_that_is_on_its_way_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "APART_S", 3600.0)
    provider = Provider("a")
    found = Jwks(URL, provider.fetch)
    believer = make_authenticator(found, jwks_url=URL)
    looking = asyncio.create_task(found.run())
    await provider.was_asked.wait()
    async with asyncio.timeout(30):
        assert (await believer.admit(header("a"))).subject == "me"
    assert provider.asked == 1
    looking.cancel()


async def test_token_of_a_key_that_nobody_has_is_refused() -> None:
    believer = Provider("a").believer()
    refused = await refusal(believer, header("stranger"))
    assert (refused.status, "nor its identity provider" in refused.message) == (401, True)
    forged = token_of("ES256", private_key("ES256", "stranger"), {"kid": "a"})
    refused = await refusal(believer, f"Bearer {forged}")
    assert (refused.status, "another key" in refused.message) == (401, True)


async def test_key_that_left_is_believed_no_more() -> None:
    provider = Provider("a", "b")
    believer = provider.believer()
    assert (await believer.admit(header("a"))).subject == "me"
    provider.text = shown("b")
    await refusal(believer, header("c"))
    assert (await refusal(believer, header("a"))).status == 401
    assert (await believer.admit(header("b"))).subject == "me"


@pytest.mark.parametrize("is_away", [True, False])
async def test_known_keys_stay_while_the_provider_is_away(
    is_away: bool, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider("a")
    believer = provider.believer()
    await believer.admit(header("a"))
    provider.is_away, provider.text = is_away, b"<html>"
    refused = await refusal(believer, header("b"))
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    assert (await believer.admit(header("a", sub="ann"))).subject == "ann"
    assert "the 1 known ones stay" in caplog.text
    provider.is_away, provider.text = False, shown("b")
    assert (await believer.admit(header("b"))).subject == "me"


async def test_secret_is_enough_where_the_provider_never_came() -> None:
    provider = Provider("a")
    provider.is_away = True
    believer = provider.believer()
    assert (await believer.admit(f"Bearer {make_token()}")).subject == "me"
    assert provider.asked == 0
    assert (await refusal(believer, header("a"))).status == 503


async def test_strangers_make_it_ask_seldom_and_few_of_them_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "APART_S", 3600.0)
    provider = Provider("a")
    believer = provider.believer()
    await believer.admit(header("a"))
    waiting = [
        asyncio.create_task(believer.admit(header("stranger", sub=str(number))))
        for number in range(MOST_WAITING)
    ]
    await asyncio.sleep(0)
    assert (await refusal(believer, header("stranger"))).status == 401
    assert (await believer.admit(header("a", sub="ann"))).subject == "ann"
    assert provider.asked == 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_keys_are_fetched_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.001)
    monkeypatch.setattr(module, "AGAIN_S", 0.001)
    provider, enough = Provider("a"), asyncio.Event()
    found = Jwks(URL, provider.fetch)
    found.on_change = enough.set
    provider.is_away = True
    task = asyncio.create_task(found.run())
    async with asyncio.timeout(30):
        await provider.was_asked.wait()
        provider.is_away = False
        await enough.wait()
    task.cancel()
    assert [key.kid for key in found.keys] == ["a"]


Answer = Callable[[asyncio.StreamWriter], None]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[bytes], Any]]:
    """A server of HTTP that answers with these bytes, and with nothing more."""
    servers = []

    async def start(answer: bytes) -> str:
        async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if not answer:
                await reader.read()  # until the client leaves
            writer.close()

        servers.append(await asyncio.start_server(tell, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/jwks"

    yield start
    for server in servers:
        server.close()


async def test_what_is_at_an_address_is_fetched(
    serve: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    text = shown("a")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
    assert await fetch_bounded(await serve(head + text)) == text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "status 302"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MOST_BYTES + 1), "more than 262144 bytes"),
        (b"nonsense\r\n\r\n", "can't be reached"),
        (b"", "within"),
    ],
)
async def test_fetch_is_bounded(
    serve: Callable[[bytes], Any], answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not answer:
        monkeypatch.setattr(module, "_ANSWER_S", 0.05)
    with pytest.raises(CannotFetch, match=said):
        await fetch_bounded(await serve(answer))


async def test_address_where_nobody_listens_is_told() -> None:
    with pytest.raises(CannotFetch, match="can't be reached"):
        await fetch_bounded("http://127.0.0.1:1/jwks")
