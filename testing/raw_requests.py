"""Raw HTTP that clients, proxies or attackers may send, and what each gets.

At d26fdb4 64 such tricks were tried, and none got through. These are more of each kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from testing.builders import make_chat, make_token

HOST = b"Host: llamaq\r\n"
AUTH = b"Authorization: Bearer %b\r\n" % make_token().encode()
BODY = make_chat()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)


@dataclass(frozen=True, slots=True)
class Trick:
    """What is sent, and the statuses of all answers to it.

    With `ends`, the connection is closed after them. `jobs` are the requests that reach the queue.
    One that `waits` is not all there: it ends when its time is over.
    """

    sent: bytes
    answers: Sequence[int]
    ends: bool = False
    jobs: int = 0
    waits: bool = False


def get(*lines: bytes, target: bytes = b"/v1/models", version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\n%b\r\n" % (target, version, b"".join(lines or (HOST, AUTH)))


def post(*lines: bytes, body: bytes = BODY, version: bytes = b"1.1") -> bytes:
    head = b"POST /v1/chat/completions HTTP/%b\r\n%b" % (version, HOST + AUTH)
    return head + b"".join(lines) + b"\r\n" + body


def chunks(extension: bytes = b"", trailers: bytes = b"", body: bytes = BODY) -> bytes:
    return b"%x%b\r\n%b\r\n0\r\n%b\r\n" % (len(body), extension, body, trailers)


def bad(sent: bytes, status: int = 400) -> Trick:
    """Refused, and its connection with it: nobody can tell where the next request begins."""
    return Trick(sent, [status], ends=True)


def fine(sent: bytes, *answers: int) -> Trick:
    return Trick(sent, list(answers) or [200])


def served(sent: bytes, *, ends: bool = False) -> Trick:
    return Trick(sent, [200], ends=ends, jobs=1)


GET = get()
POST = post(LENGTH)

LENGTHS = {
    "length and chunks": bad(post(LENGTH, CHUNKED)),
    "chunks and length": bad(post(CHUNKED, LENGTH, body=chunks())),
    "two lengths, equal": bad(post(LENGTH, LENGTH)),
    "two lengths": bad(post(LENGTH, b"Content-Length: 5\r\n")),
    "a list of lengths": bad(post(b"Content-Length: 5, 5\r\n")),
    "length +5": bad(post(b"Content-Length: +5\r\n")),
    "length -1": bad(post(b"Content-Length: -1\r\n")),
    "length in hex": bad(post(b"Content-Length: 0x10\r\n")),
    "length that is none": bad(post(b"Content-Length: \r\n")),
    "length of two words": bad(post(b"Content-Length: 1 2\r\n")),
    "length after a tab": bad(post(b"Content-Length:\x0b5\r\n")),
    "length with a space in its name": bad(post(b"Content-Length : 5\r\n")),
    "length over 64 bits": bad(post(b"Content-Length: 99999999999999999999999\r\n")),
    "length of 2^63": bad(post(b"Content-Length: 9223372036854775807\r\n"), 413),
    "length too large, and more": bad(post(b"Content-Length: 99999999\r\n", body=GET), 413),
    "length too short": bad(post(b"Content-Length: 2\r\n")),
    "length too long": Trick(post(b"Content-Length: 999\r\n"), [408], ends=True, waits=True),
    "body of a GET": fine(get(HOST, AUTH, b"Content-Length: 5\r\n") + b"hello" + GET, 200, 200),
}
CODINGS = {
    "chunks": served(post(CHUNKED, body=chunks())),
    "chunks, in odd letters": served(post(b"tRANSFER-eNCODING:\tChUnKeD\r\n", body=chunks())),
    "identity": bad(post(b"Transfer-Encoding: identity\r\n")),
    "gzip, chunked": bad(post(b"Transfer-Encoding: gzip, chunked\r\n", body=chunks())),
    "chunked, gzip": bad(post(b"Transfer-Encoding: chunked, gzip\r\n", body=chunks())),
    "chunked twice": bad(post(CHUNKED, CHUNKED, body=chunks())),
    "chunked, then identity": bad(post(CHUNKED, b"Transfer-Encoding: identity\r\n", body=chunks())),
    "xchunked": bad(post(b"Transfer-Encoding: xchunked\r\n", body=chunks())),
    "quoted chunked": bad(post(b'Transfer-Encoding: "chunked"\r\n', body=chunks())),
    "vertical tab": bad(post(b"Transfer-Encoding:\x0bchunked\r\n", body=chunks())),
    "space in the name": bad(post(b"Transfer-Encoding : chunked\r\n", body=chunks())),
    "folded": bad(post(b"Transfer-Encoding:\r\n chunked\r\n", body=chunks())),
    "after a bare line feed": bad(post(b"X: y\nTransfer-Encoding: chunked\r\n", body=chunks())),
    "chunks in HTTP/1.0": bad(post(CHUNKED, body=chunks(), version=b"1.0")),
    "packed twice": bad(post(LENGTH, b"Content-Encoding: gzip, gzip\r\n"), 415),
    "packed by br": bad(post(LENGTH, b"Content-Encoding: br\r\n"), 415),
}
CHUNKS = {
    "size over 64 bits": bad(post(CHUNKED, body=b"F" * 17 + b"\r\nx")),
    "size of 2^63 - 1": Trick(
        post(CHUNKED, body=b"7FFFFFFFFFFFFFFF\r\nx"), [408], ends=True, waits=True
    ),
    "size -1": bad(post(CHUNKED, body=b"-1\r\nx\r\n0\r\n\r\n")),
    "size 0x5": bad(post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n")),
    "size and a space": bad(post(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n")),
    "no size": bad(post(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n")),
    "zeros before the size": served(post(CHUNKED, body=b"0" * 40 + chunks())),
    "end that is none": bad(post(CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n")),
    "bare line feeds": bad(post(CHUNKED, body=chunks().replace(b"\r\n", b"\n"))),
    "extension": served(post(CHUNKED, body=chunks(b";a=b"))),
    "quoted extension": served(post(CHUNKED, body=chunks(b';a="b;\\"c"'))),
    "extension with a line feed": bad(post(CHUNKED, body=chunks(b";a\n"))),
    "extensions without an end": bad(
        post(CHUNKED, body=(b"1;" + b"x" * 99 + b"\r\n \r\n") * 9999), 431
    ),
    "trailer": served(post(CHUNKED, body=chunks(trailers=b"X: y\r\n"))),
    "token in a trailer": fine(
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        + HOST
        + CHUNKED
        + b"\r\n"
        + chunks(trailers=AUTH),
        401,
    ),
    "length in a trailer": bad(post(CHUNKED, body=chunks(trailers=b"Content-Length: 5\r\n"))),
    "coding in a trailer": bad(post(CHUNKED, body=chunks(trailers=CHUNKED))),
}
LINES = {
    "folded header": bad(post(LENGTH, b"X: a\r\n b\r\n")),
    "folded first header": bad(b"GET /v1/models HTTP/1.1\r\n X: a\r\n" + HOST + AUTH + b"\r\n"),
    "bare line feeds": bad(POST.replace(b"\r\n", b"\n")),
    "one bare line feed": bad(get(HOST, b"X: y\n", AUTH)),
    "bare carriage return": bad(get(HOST, b"X: a\rY: b\r\n", AUTH)),
    "bare carriage return at the end": bad(get(HOST, AUTH)[:-2] + b"\r\r\n"),
    "NUL in a name": bad(get(HOST, b"X\0: a\r\n")),
    "NUL in a value": bad(get(HOST, b"X: a\0b\r\n")),
    "no colon": bad(get(HOST, b"Xyz\r\n")),
    "no name": bad(get(HOST, b": a\r\n")),
    "5,000 headers": bad(get(HOST, AUTH, b"a: b\r\n" * 5000), 431),
    "large header": bad(get(HOST, AUTH, b"a: " + b"b" * 70_000 + b"\r\n"), 431),
    "large header, and more": bad(get(HOST, AUTH, b"a: " + b"b" * 70_000 + b"\r\n") + GET, 431),
    "odd bytes": bad(bytes(range(256))),
    "TLS": bad(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 500),
    "HTTP/2": bad(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "blank lines": fine(b"\r\n\r\n" + GET),
    "blank lines without an end": bad(b"\r\n" * 70_000, 431),
    "half a request": Trick(b"GET /v1/models HTTP/1.1\r\n", [408], ends=True, waits=True),
}
TARGETS = {
    "absolute": fine(get(target=b"http://evil.example/v1/models")),
    "absolute, with a user": fine(get(target=b"http://a:b@evil.example/v1/models")),
    "absolute, without a path": bad(get(target=b"http://evil.example")),
    "authority": bad(get(target=b"evil.example:80")),
    "CONNECT": bad(b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "CONNECT to a path": Trick(
        b"CONNECT /v1/models HTTP/1.1\r\n" + HOST + b"\r\n" + GET, [405], ends=True
    ),
    "OPTIONS *": fine(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "two slashes": fine(get(target=b"//evil.example/v1/models"), 404),
    "fragment": fine(get(target=b"/v1/models#x")),
    "backslashes": bad(get(target=b"\\v1\\models")),
    "parameter": fine(get(target=b"/v1/models;x=y"), 404),
    "space": bad(get(target=b"/v1/mo dels")),
    "tabs": bad(get().replace(b" ", b"\t", 2)),
    "none": bad(get(target=b"")),
    "NUL": bad(get(target=b"/v1/models\0")),
    "%00": fine(get(target=b"/v1/models%00"), 404),
    "%0d%0a": fine(get(target=b"/v1/models%0d%0aX:%20y"), 404),
    "line for the log": fine(get(target=b"/v1/models%0aid=x%20tenant=root"), 404),
    "dots": fine(get(target=b"/v1/../../etc/passwd"), 404),
    "%2e": fine(get(target=b"/v1/%2e%2e/%2e%2e/etc/passwd"), 404),
    "%2f": fine(get(target=b"/v1%2fmodels")),
    "%zz": fine(get(target=b"/v1/models%zz"), 404),
    "%ff": fine(get(target=b"/v1/models/%ff%fe"), 404),
    "%25": fine(get(target=b"/v1/%256d%256fdels"), 404),
    "UTF-8": bad(get(target="/v1/mödels".encode())),
    "Latin-1": bad(get(target="/v1/mödels".encode("latin-1"))),
    "long": fine(get(target=b"/v1/" + b"a" * 60_000), 404),
    "too long": bad(get(target=b"/v1/" + b"a" * 70_000), 431),
    "long query": fine(get(target=b"/v1/models?" + b"a=b&" * 15_000)),
}
METHODS = {
    "in small letters": bad(b"get /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"),
    "unknown": bad(b"FOO /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"),
    "long": bad(b"A" * 70_000 + b" /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"),
    "TRACE": fine(b"TRACE /v1/models HTTP/1.1\r\n" + HOST + AUTH + b"\r\n", 405),
    "PROPFIND": fine(b"PROPFIND /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "HEAD, then GET": fine(b"HEAD /v1/models HTTP/1.1\r\n" + HOST + AUTH + b"\r\n" + GET, 200, 200),
    "HEAD of a chat": fine(b"HEAD /v1/chat/completions HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "override": fine(get(HOST, AUTH, b"X-HTTP-Method-Override: DELETE\r\n")),
    "rewritten": fine(
        get(HOST, b"X-Original-URL: /v1/models\r\nX-Rewrite-URL: /v1/models\r\n", target=b"/health")
    ),
}
VERSIONS = {
    "0.9": Trick(b"GET /v1/models\r\n", [408], ends=True, waits=True),
    "0.9 by name": bad(get(version=b"0.9")),
    "1.0": Trick(get(AUTH, version=b"1.0"), [200], ends=True),
    "1.0, which stays": Trick(
        get(AUTH, b"Connection: keep-alive\r\n", version=b"1.0") + GET, [200], ends=True
    ),
    "1.2": bad(get(version=b"1.2")),
    "1.10": bad(get(version=b"1.10")),
    "2.0": bad(get(version=b"2.0")),
    "in small letters": bad(get().replace(b"HTTP", b"http")),
}
HOSTS = {
    "none": bad(get(AUTH)),
    "two": bad(get(HOST, HOST, AUTH)),
    "two, in other letters": bad(get(HOST, b"hOST: evil.example\r\n", AUTH)),
    "empty": fine(get(b"Host:\r\n", AUTH)),
    "odd": fine(get(b"Host: a b/c@d\r\n", AUTH)),
    "evil, and a slash": fine(get(b"Host: evil.example\r\n", AUTH, target=b"/v1/models/")),
    "evil, and a wrong method": fine(
        get(b"Host: evil.example\r\n", AUTH, target=b"/chat/completions"), 405
    ),
    "evil, forwarded": fine(
        get(
            *(HOST, AUTH, b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n"),
            b"Forwarded: for=1;host=evil.example\r\nProxy-Connection: keep-alive\r\n",
        )
    ),
}
PIPELINES = {
    "three": Trick(GET + GET + POST, [200, 200, 200], jobs=1),
    "as many as wait": Trick(GET * 65, [200] * 65),
    "more than that": Trick(GET * 66, [], ends=True),
    "one, then odd bytes": bad(GET + b"odd bytes\r\n\r\n" + GET),
    "a chat, then odd bytes": bad(POST + b"odd bytes\r\n\r\n"),
    "the last one, and more": Trick(get(HOST, AUTH, b"Connection: close\r\n") + GET, [200], True),
    "the last one in a list": Trick(get(HOST, AUTH, b"Connection: a, close, b\r\n"), [200], True),
    "refused, and more": fine(post(LENGTH).replace(AUTH, b"") + GET, 401, 200),
    "kept for ever": fine(
        get(HOST, AUTH, b"Connection: keep-alive\r\nKeep-Alive: timeout=1e9\r\n")
    ),
}
EXPECTATIONS = {
    "100": Trick(post(LENGTH, b"Expect: 100-continue\r\n"), [100, 200], jobs=1),
    "100, and no body": Trick(
        post(LENGTH, b"Expect: 100-continue\r\n", body=b""), [100, 408], ends=True, waits=True
    ),
    "100, and no token": bad(post(LENGTH, b"Expect: 100-continue\r\n").replace(AUTH, b""), 401),
    "200": served(post(LENGTH, b"Expect: 200-ok\r\n")),
    "100 of a GET": fine(get(HOST, AUTH, b"Expect: 100-continue\r\n")),
}
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
SOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
UPGRADES = {
    "h2c": Trick(get(HOST, AUTH, H2C), [200], ends=True),
    "h2c, and more": Trick(get(HOST, AUTH, H2C) + GET, [200], ends=True),
    "h2c of a POST": served(post(LENGTH, H2C), ends=True),
    "h2c of a POST, and more": served(post(LENGTH, H2C) + POST, ends=True),
    "h2c of a POST, and odd bytes": served(post(LENGTH, H2C) + b"odd bytes\r\n\r\n", ends=True),
    "h2c of a POST, twice": served(post(LENGTH, H2C) * 2, ends=True),
    "h2c of chunks, and more": served(post(CHUNKED, H2C, body=chunks()) + POST, ends=True),
    "h2c of bad chunks": bad(post(CHUNKED, H2C, body=b"x\r\n")),
    "h2c of half a body": Trick(post(LENGTH, H2C, body=BODY[:9]), [408], ends=True, waits=True),
    "websocket": Trick(get(HOST, AUTH, SOCKET), [200], ends=True),
    "h2c, three times": Trick(get(HOST, AUTH, H2C) * 3, [200], ends=True),
    "websocket of a POST, then h2c": served(post(LENGTH, SOCKET) + post(LENGTH, H2C), ends=True),
    "websocket of a POST": served(post(LENGTH, SOCKET) + GET, ends=True),
}
TOKENS = {
    "two, the first is bad": fine(get(HOST, b"Authorization: Bearer x\r\n", AUTH), 401),
    "two, the second is bad": fine(get(HOST, AUTH, b"Authorization: Bearer x\r\n")),
    "odd bytes": fine(get(HOST, b"Authorization: Bearer \xff\xfe\r\n"), 401),
    "long": fine(get(HOST, b"Authorization: Bearer " + b"a" * 60_000 + b"\r\n"), 401),
    "another name": fine(get(HOST, AUTH.replace(b"ion:", b"ion_:")), 401),
}
TRICKS = {
    f"{kind}: {name}": trick
    for kind, tricks in (
        *(("length", LENGTHS), ("coding", CODINGS), ("chunk", CHUNKS), ("line", LINES)),
        *(("target", TARGETS), ("method", METHODS), ("version", VERSIONS), ("host", HOSTS)),
        *(("pipeline", PIPELINES), ("expect", EXPECTATIONS), ("upgrade", UPGRADES)),
        ("token", TOKENS),
    )
    for name, trick in tricks.items()
}
