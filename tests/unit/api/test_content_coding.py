"""Bodies that come packed: gzip is read within the limit, all else is refused by its name."""

import gzip
import zlib
from collections.abc import Iterator

import pytest

from testing.builders import make_chat
from testing.service import Service, service

LIMIT = 4096
CHAT = make_chat()


@pytest.fixture(scope="module")
def api() -> Iterator[Service]:
    with service(max_body_bytes=LIMIT) as running:
        yield running


def asked(api: Service, body: bytes, coding: str = "gzip") -> tuple[int, str]:
    answer = api.chat(body, {"content-encoding": coding})
    if answer.status_code == 200:
        assert answer.json()["choices"][0]["message"]["content"] == "Hi"
        return 200, ""
    return answer.status_code, answer.json()["error"]["message"]


@pytest.mark.parametrize("coding", ["gzip", "GZIP", " x-gzip "])
def test_gzip_is_read(api: Service, coding: str) -> None:
    assert asked(api, gzip.compress(CHAT), coding) == (200, "")


@pytest.mark.parametrize("coding", ["identity", ""])
def test_body_as_it_is_may_say_so(api: Service, coding: str) -> None:
    assert asked(api, CHAT, coding) == (200, "")


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "x" * 2000])
def test_other_coding_is_named(api: Service, coding: str) -> None:
    answer = api.chat(zlib.compress(CHAT), {"content-encoding": coding})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (415, "unsupported_content_encoding")
    assert f"Content-Encoding '{coding[:64]}'" in error["message"]
    assert answer.headers["accept-encoding"] == "gzip, identity"


def test_limit_is_that_of_the_unpacked_body(api: Service) -> None:
    fits = CHAT + b" " * (LIMIT - len(CHAT))
    assert asked(api, gzip.compress(fits)) == (200, "")
    status, message = asked(api, gzip.compress(fits + b" "))
    assert (status, str(LIMIT) in message) == (413, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        CHAT,
        gzip.compress(CHAT)[:-9],
        gzip.compress(CHAT) * 2,
        gzip.compress(CHAT)[:-8] + b"\0" * 8,
        gzip.compress(b" " * 10**6)[:-4] + (200).to_bytes(4, "little"),  # it says that it is small
    ],
    ids=range(7),  # the packed ones tell the time
)
def test_what_is_no_sound_gzip_is_refused(api: Service, body: bytes) -> None:
    status, message = asked(api, body)
    assert status in (400, 413)
    assert "valid gzip" in message or "larger than" in message
