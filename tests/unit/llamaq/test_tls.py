"""HTTPS: real connections to the real protocol, and certificates that are renewed or wrong."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest
from starlette.types import Receive, Scope, Send

from api.proxies import Proxies
from llamaq import acceptor
from llamaq.acceptor import TlsAcceptor
from llamaq.http_limits import BoundedProtocol, look_at_all
from llamaq.places import Places
from llamaq.tls import Certificate, certificate
from testing.builders import make_settings
from testing.certificates import write_certificate
from testing.waiting import until
from tests.unit.llamaq.test_http_limits import UNREAD_S, Server

POST = b"POST /x HTTP/1.1\r\nHost: llamaq\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


class Listening:
    """An API that answers each request with the size of its body, or as `app` says."""

    def __init__(self, files: tuple[Path, Path]) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.certificate = Certificate(*files)
        self.handshakes = Places(100, 3, Proxies())
        self.server = Server()
        self.trust = ssl.create_default_context(cafile=files[0])
        make, context = self._make, self.certificate.context
        self.acceptor = TlsAcceptor([self.socket], make, context, self.handshakes)
        self.acceptor.open()

    def _make(self) -> BoundedProtocol:
        return BoundedProtocol(self.server.config, self.server.state, {})

    async def connect(
        self, trust: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self.socket.getsockname()
        return await asyncio.open_connection(
            *address, ssl=trust or self.trust, server_hostname="localhost"
        )

    async def until_left(self) -> None:
        await until(lambda: not self.server.state.connections and not self.server.state.tasks)


@pytest.fixture
async def listening(files: tuple[Path, Path]) -> AsyncIterator[Listening]:
    opened = Listening(files)
    yield opened
    opened.acceptor.close()
    for connection in list(opened.server.state.connections):
        connection.transport.abort()
    await opened.until_left()
    opened.socket.close()


async def test_request_and_answer_are_those_of_http(listening: Listening) -> None:
    reader, writer = await listening.connect()
    for size in (5, 300_000):
        writer.write(POST % size + b"x" * size)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(str(size))) == b"%d" % size
    (protocol,) = listening.server.state.connections
    assert (protocol.scheme, protocol.client[0]) == ("https", "127.0.0.1")
    assert listening.handshakes.taken == 0
    writer.write(b"odd bytes\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_stream_comes_as_it_is_made_and_who_leaves_is_heard(listening: Listening) -> None:
    heard: list[str] = []

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        heard.append((await receive())["type"])

    listening.server.config.loaded_app = stream
    for leave in ("close", "abort"):
        reader, writer = await listening.connect()
        writer.write(POST % 0)
        await reader.readuntil(b"first\r\n")
        getattr(writer if leave == "close" else writer.transport, leave)()
        await listening.until_left()
    assert heard == ["http.disconnect"] * 2


async def test_who_reads_nothing_makes_the_app_wait_and_is_left(listening: Listening) -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while listening.server.state.connections:
            await send({"type": "http.response.body", "body": bytes(2**18), "more_body": True})
            sent += 1
            await asyncio.sleep(0)

    listening.server.config.loaded_app = endless
    _, writer = await listening.connect()
    writer.transport.pause_reading()
    writer.write(POST % 0)
    before = -1
    while sent == 0 or sent != before:
        before = sent
        await asyncio.sleep(0.1)
    now = asyncio.get_running_loop().time()
    look_at_all(listening.server.state.connections, now)
    look_at_all(listening.server.state.connections, now + UNREAD_S + 1)
    await listening.until_left()
    writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions_that_are_sound_are_spoken(
    listening: Listening, version: ssl.TLSVersion
) -> None:
    trust = ssl.create_default_context(cafile=listening.certificate._cert)
    trust.minimum_version = trust.maximum_version = version
    _, writer = await listening.connect(trust)
    assert writer.get_extra_info("ssl_object").version() == version.name.replace("v1_", "v1.")
    writer.close()


def test_older_versions_are_not_spoken(files: tuple[Path, Path]) -> None:
    assert Certificate(*files).context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_connection_without_a_handshake_ends_and_an_address_has_few_of_them(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(Proxies, "_name", lambda self, host: host)  # as if it were another machine
    listening.handshakes.proxies.__init__()  # type: ignore[misc]
    address = listening.socket.getsockname()
    silent = [await asyncio.open_connection(*address) for _ in range(3)]
    await until(lambda: listening.handshakes.taken == 3)
    reader, _ = refused = await asyncio.open_connection(*address)
    assert await reader.read() == b""  # at once
    assert listening.handshakes.taken == 3
    async with asyncio.timeout(30):
        for reader, _ in silent:
            assert await reader.read() == b""
    assert listening.handshakes.taken == 0
    plain, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /health HTTP/1.1\r\nHost: llamaq\r\n\r\n")
    assert b"200" not in await plain.read()
    for _, each in (*silent, refused, (plain, writer)):
        each.close()


async def test_client_that_speaks_no_tls_is_told(listening: Listening) -> None:
    reader, writer = await asyncio.open_connection(*listening.socket.getsockname())
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: llamaq\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"write https:// in place of http://" in answer
    assert listening.handshakes.taken == 0
    writer.close()


async def test_renewed_certificate_is_used_without_a_restart(
    listening: Listening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "llamaq.api")
    cert, key = write_certificate(tmp_path)
    renewed = listening.certificate = Certificate(cert, key)
    listening.acceptor._context = renewed.context

    async def shown() -> bytes:
        nobody = ssl._create_unverified_context()  # noqa: S323
        _, writer = await listening.connect(nobody)
        writer.close()
        return bytes(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))

    first = await shown()
    renewed.renew()
    assert await shown() == first
    other, other_key = write_certificate(tmp_path, "renewed")
    os.replace(other, cert)
    renewed.renew()  # the key is not there yet
    assert await shown() == first
    renewed.renew()
    assert "the old TLS certificate stays in use: the key in" in caplog.text
    assert await shown() == first
    os.replace(other_key, key)
    renewed.renew()
    renewed.renew()
    assert ssl.DER_cert_to_PEM_cert(await shown()) == cert.read_text()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    for name, password in (("one", ""), ("other", ""), ("locked", "secret")):
        write_certificate(folder, name, password)
    (folder / "junk.pem").write_text("junk")
    (folder / "both.pem").write_text(
        (folder / "one.pem").read_text() + (folder / "one.key").read_text()
    )
    return folder


@pytest.mark.parametrize(
    ("cert", "key", "password", "sentence"),
    [
        ("one.pem", "other.key", "", "other.key is not that of the certificate in"),
        ("one.pem", None, "", r"one.pem its private key \(--tls-key\), both in PEM"),
        ("junk.pem", "one.key", "", r"junk.pem must hold a certificate \(--tls-cert\)"),
        ("one.pem", "junk.pem", "", r"junk.pem its private key \(--tls-key\)"),
        (
            "none.pem",
            "one.key",
            "",
            r"can't read .*none.pem \(No such file or directory\): --tls-c",
        ),
        (
            "one.pem",
            "none.key",
            "",
            r"can't read .*none.key \(No such file or directory\): --tls-k",
        ),
        ("one.pem", "", "", r"can't read .* \(Is a directory\): --tls-key must name a file"),
        ("locked.pem", "locked.key", "", "is encrypted: set LLAMAQ_TLS_KEY_PASSWORD"),
        ("locked.pem", "locked.key", "wrong", "LLAMAQ_TLS_KEY_PASSWORD is not the password"),
        ("locked.pem", "locked.key", "x" * 2000, "LLAMAQ_TLS_KEY_PASSWORD: password cannot"),
        (None, "one.key", "", "--tls-key needs the certificate, too: --tls-cert FILE"),
    ],
)
def test_wrong_files_are_told_in_one_sentence(
    bad: Path, cert: str | None, key: str | None, password: str, sentence: str
) -> None:
    paths = {"tls_cert": cert, "tls_key": key}
    given = {name: bad / path for name, path in paths.items() if path is not None}
    settings = make_settings(**given, **({"tls_key_password": password} if password else {}))
    with pytest.raises(click.ClickException, match=sentence) as caught:
        certificate(settings)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("cert", "key", "password"),
    [
        ("one.pem", "one.key", None),
        ("both.pem", None, None),
        ("locked.pem", "locked.key", "secret"),
    ],
)
def test_right_files_are_used(bad: Path, cert: str, key: str | None, password: str | None) -> None:
    Certificate(bad / cert, bad / key if key else None, password)
