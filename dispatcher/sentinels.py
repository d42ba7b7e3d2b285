"""Which server the Sentinels call the primary, and connections that leave one which is it no more.

redis-py asks them and reads their answers.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from dispatcher.sentinel_address import SentinelAddress

log = logging.getLogger("llamaq.redis")

LOOK_S = 1.0
"""How often the Sentinels are asked whether the primary is still the same."""

_ANSWER_S = 1.0
_LOGIN = "refuses our login: sentinel_password in the address is missing or wrong"

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Told:
    """What one Sentinel says of the primary: where it is, and the last failover that it knows.

    `problem` is empty where it says that this server is there and well.
    """

    sentinel: str
    address: Address | None = None
    epoch: int = -1
    problem: str = ""
    has_answered: bool = True


def primary_of(told: Sequence[Told]) -> Address | None:
    """Where the primary is by what the Sentinels say. One that was cut off knows an older failover.

    >>> primary_of([Told("a", ("old", 1), 3), Told("b", ("new", 1), 4), Told("c", problem="away")])
    ('new', 1)
    >>> primary_of([Told("a", ("old", 1), 3), Told("b", ("new", 1), 4, "is down")])
    """
    newest = max((each.epoch for each in told), default=-1)
    well = (each.address for each in told if each.epoch == newest and not each.problem)
    return next(well, None)


def unknown(told: Sequence[Told]) -> str:
    """A sentence where Sentinels answer and none of them knows the primary, since waiting cures
    nothing; else empty.

    >>> unknown([Told("a:1", problem="knows no 'x'"), Told("b:1", has_answered=False)])[:57]
    'The Sentinels of LLAMAQ_REDIS_URL are of no use: a:1 know'
    >>> unknown([Told("a:1", ("h", 1), 0, "says that h:1 is down")])
    ''
    """
    said = [f"{each.sentinel} {each.problem}" for each in told if each.has_answered]
    if not said or any(each.address for each in told):
        return ""
    return (
        f"The Sentinels of LLAMAQ_REDIS_URL are of no use: {', '.join(said)}. Its form is "
        "redis+sentinel://:PASSWORD@HOST:26379,HOST2:26379/NAME/0?sentinel_password=PASSWORD."
    )


class Sentinels(Sentinel):
    """The Sentinels of one address. All are asked at once, and the newest failover counts.

    Connections that `follow` them end within `LOOK_S` after another server became the primary, if
    the old one did not end them itself. `newest` is where it was when last looked.
    """

    def __init__(self, address: SentinelAddress, **about: Any) -> None:
        """`about` are arguments of redis-py's connections to them: TLS, and how long to wait."""
        login = {"username": address.username or None, "password": address.password or None}
        super().__init__(  # type: ignore[no-untyped-call]
            address.sentinels, sentinel_kwargs={**about, **login}
        )
        self.name = address.name
        self.newest: Address | None = None
        self._titles = [f"{host}:{port}" for host, port in address.sentinels]
        self._followed: list[tuple[asyncio.BaseTransport, Address]] = []
        self._watching: asyncio.Task[None] | None = None

    async def discover_master(self, service_name: str) -> Address:
        """Where the primary is. Raises redis-py's `MasterNotFoundError`, with a sentence."""
        told = await self.ask_all()
        if address := primary_of(told):
            self.newest = address
            return address
        said = ", ".join(f"{each.sentinel} {each.problem or 'is behind'}" for each in told)
        raise MasterNotFoundError(f"no Sentinel knows a living primary {service_name!r}: {said}")

    async def find(self) -> Address:
        """The same for the primary of the address."""
        return await self.discover_master(self.name)

    async def ask_all(self) -> list[Told]:
        """What each of them says."""
        asking = zip(self._titles, self.sentinels, strict=True)
        return await asyncio.gather(*(self._ask(title, each) for title, each in asking))

    async def _ask(self, title: str, sentinel: Redis) -> Told:
        try:
            primaries: Any = await sentinel.sentinel_masters()
        except (RedisError, OSError) as error:
            refused = _is_login(error)
            problem = _LOGIN if refused else f"does not answer ({str(error) or 'no answer'})"
            return Told(title, problem=problem, has_answered=refused)
        state = primaries.get(self.name)
        if state is None:
            names = ", ".join(sorted(primaries)) or "none"
            return Told(title, problem=f"knows no {self.name!r} (it knows: {names})")
        well = self.check_master_state(state, self.name)
        address = str(state["ip"]), int(state["port"])
        problem = "" if well else f"says that {address[0]}:{address[1]} is down"
        return Told(title, address, int(state.get("config-epoch", 0)), problem)

    def follow(self, transport: asyncio.BaseTransport, address: Address) -> None:
        """Ends this connection when the primary is not at its address any more."""
        self._followed.append((transport, address))
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Follows no more, and closes the connections to the Sentinels."""
        if self._watching is not None:
            self._watching.cancel()
        await super().aclose()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._followed = [each for each in self._followed if not each[0].is_closing()]
            if not self._followed:
                return
            self.newest = primary_of(await self.ask_all()) or self.newest
            for transport, address in self._followed:
                if address != self.newest:
                    log.warning("%s:%s is the primary no more: a connection to it ends", *address)
                    transport.abort()  # type: ignore[attr-defined]


def _is_login(error: Exception) -> bool:
    return isinstance(error, AuthenticationError) or "HELLO must be called" in str(error)


class _Followed(SentinelManagedConnection):
    """A connection of redis-py to the primary. A command that finds it elsewhere goes there.

    redis-py itself asks the Sentinels only for a fresh connection of a pool.
    """

    _is_greeting = False

    async def connect_to(self, address: Address) -> None:
        self._is_greeting = True  # the login is sent, on this very connection
        try:
            await super().connect_to(address)  # type: ignore[no-untyped-call]
        finally:
            self._is_greeting = False

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        if not self._is_greeting:
            if (self.host, self.port) != self.connection_pool.sentinel_manager.newest:
                await self.disconnect()
            await self.connect()  # type: ignore[no-untyped-call]
        await super().send_packed_command(*args, **options)


class _FollowedTls(_Followed, SSLConnection):
    pass


def sentinel_pool(address: SentinelAddress, **about: Any) -> SentinelConnectionPool:
    """A pool of redis-py whose connections lead to the primary. `about` are their arguments."""
    told: dict[str, Any] = {**parse_url(address.server_url)}
    del told["host"]
    has_tls = told.pop("connection_class", Connection) is SSLConnection
    tls = {key: value for key, value in told.items() if key.startswith("ssl_")}
    sentinels = Sentinels(
        address,
        **tls,
        ssl=has_tls,
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=_ANSWER_S,
        retry=Retry(NoBackoff(), 0),
        driver_info=about.get("driver_info"),
    )
    kind = _FollowedTls if has_tls else _Followed
    told |= about
    return SentinelConnectionPool(  # type: ignore[no-untyped-call]
        address.name, sentinels, connection_class=kind, **told
    )
