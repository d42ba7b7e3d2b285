"""How many connections an address may have: clients against protocols that share the places."""

import asyncio

from api.proxies import Proxies, read_proxies
from api.settings import ApiSettings
from llamaq.http_limits import MOST_CONNECTIONS, BoundedProtocol
from llamaq.places import MOST_HEADS_BYTES, MOST_REFUSED, Places
from testing.wire import Wire
from tests.unit.llamaq.test_http_limits import Server, leave, until_left

ONE, OTHER, PROXY = "192.0.2.1", "198.51.100.1", "10.0.0.1"


def get(path: str = "/v1/models", forwarded: str = "") -> bytes:
    more = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
    return f"GET {path} HTTP/1.1\r\nHost: llamaq\r\n{more}\r\n".encode()


class Door:
    """Connections that share these places."""

    def __init__(self, most: int, most_of_one: int = 0, proxies: str = "") -> None:
        class Protocol(BoundedProtocol):
            places = Places(most, most_of_one, Proxies(read_proxies(proxies)))

        self.places, self.server, self._protocol = Protocol.places, Server(), Protocol

    def come(self, host: str, times: int = 1) -> list[tuple[BoundedProtocol, Wire]]:
        return [self.server.connect(self._protocol, host) for _ in range(times)]

    async def asks(self, host: str, sent: bytes = b"") -> bytes:
        """The answer to one request on a connection of its own, which goes again."""
        protocol, wire = self.come(host)[0]
        protocol.data_received(sent or get())
        await asyncio.sleep(0.01)
        await leave(protocol)
        return wire.sent


async def test_address_has_so_many_connections_and_others_have_theirs() -> None:
    door = Door(100, 3)
    first = door.come(ONE, 3)
    refused = await door.asks(ONE)
    assert refused.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"too_many_connections"' in refused
    assert b"has 3 connections" in refused
    assert b"\r\nconnection: close\r\n" in refused
    assert (await door.asks(ONE, get("/health"))).startswith(b"HTTP/1.1 200 ")
    assert (await door.asks(OTHER)).startswith(b"HTTP/1.1 200 ")
    await leave(first[0][0])
    assert (await door.asks(ONE)).startswith(b"HTTP/1.1 200 ")
    await leave(*(protocol for protocol, _ in first[1:]))
    assert door.places.taken == 0


async def test_this_machine_has_as_many_as_there_are() -> None:
    door = Door(10, 3)
    for host in ("127.0.0.1", "::1"):
        door.come(host, 5)
    assert (await door.asks("127.0.0.1")).startswith(b"HTTP/1.1 503 ")


async def test_one_address_leaves_half_of_the_places_to_others() -> None:
    door = Door(100, 100)
    door.come(ONE, 50)
    assert (await door.asks(ONE)).startswith(b"HTTP/1.1 429 ")
    door.come(OTHER, 49)
    assert (await door.asks(OTHER)).startswith(b"HTTP/1.1 200 ")
    assert (await door.asks(ONE)).startswith(b"HTTP/1.1 429 ")


async def test_with_0_an_address_has_any_number() -> None:
    door = Door(100, 0, proxies="10.0.0.0/8")
    door.come(ONE, 98)
    assert (await door.asks(ONE)).startswith(b"HTTP/1.1 200 ")
    assert (await door.asks(PROXY, get(forwarded=ONE))).startswith(b"HTTP/1.1 200 ")


async def test_addresses_of_one_ipv6_network_count_together() -> None:
    door = Door(100, 2)
    door.come("2001:db8::1")
    door.come("2001:db8::2")
    assert (await door.asks("2001:db8::3")).startswith(b"HTTP/1.1 429 ")
    assert (await door.asks("2001:db8:0:1::3")).startswith(b"HTTP/1.1 200 ")


async def test_those_who_are_refused_are_not_kept_either() -> None:
    door = Door(1000, 1)
    came = door.come(ONE, 1 + MOST_REFUSED + 5)
    assert [wire.is_open for _, wire in came] == [True] * (1 + MOST_REFUSED) + [False] * 5


async def test_large_headers_of_all_connections_take_no_more_than_they_may() -> None:
    """At d26fdb4 M3: 300 MB of them were held."""
    door = Door(1000)
    half = get()[:-2] + b"X: " + b"x" * 60_000
    came = door.come(ONE, 400)
    for protocol, _ in came:
        protocol.data_received(half)
    kept = [protocol for protocol, wire in came if wire.is_open]
    assert len(kept) == MOST_HEADS_BYTES // len(half)
    assert came[-1][1].sent.startswith(b"HTTP/1.1 503 ")
    assert (await door.asks(OTHER)).startswith(b"HTTP/1.1 200 ")  # headers as all have them
    await leave(*(protocol for protocol, wire in came if not wire.is_open))
    for protocol in kept:
        protocol.data_received(b"\r\n\r\n")
    assert door.places.head_bytes == 0
    await asyncio.sleep(0.05)
    assert {wire.sent[:13] for _, wire in came} == {b"HTTP/1.1 200 ", b"HTTP/1.1 503 "}


async def test_thousand_streams_of_one_address_are_admitted_by_default() -> None:
    most_of_one = ApiSettings.model_fields["max_address_connections"].default
    door = Door(MOST_CONNECTIONS // 8, most_of_one)  # of eight processes
    door.come(ONE, 1000)
    assert (await door.asks(ONE)).startswith(b"HTTP/1.1 200 ")


async def test_requests_of_a_trusted_proxy_count_for_who_is_behind_it() -> None:
    """What stands before the last untrusted address is the client's own word."""
    door = Door(100, 3, proxies="10.0.0.0/8")
    answering, door.server.config.loaded_app = door.server.config.loaded_app, until_left
    held = door.come(PROXY, 3)
    for number, (protocol, _) in enumerate(held):
        protocol.data_received(get(forwarded=f"6.6.6.{number}, {ONE}, 10.0.0.2"))
    await asyncio.sleep(0)
    door.server.config.loaded_app = answering
    refused = await door.asks(PROXY, get(forwarded=f"7.7.7.7, {ONE}"))
    assert refused.startswith(b"HTTP/1.1 429 ")
    assert (await door.asks(PROXY, get(forwarded=OTHER))).startswith(b"HTTP/1.1 200 ")
    assert (await door.asks(PROXY)).startswith(b"HTTP/1.1 200 ")
    # Nobody else is believed.
    assert (await door.asks(OTHER, get(forwarded=ONE))).startswith(b"HTTP/1.1 200 ")
    assert (await door.asks(ONE, get(forwarded=OTHER))).startswith(b"HTTP/1.1 200 ")
    await leave(*(protocol for protocol, _ in held))
    assert (await door.asks(PROXY, get(forwarded=ONE))).startswith(b"HTTP/1.1 200 ")
