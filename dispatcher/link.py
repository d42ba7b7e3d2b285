"""The link to Redis that the hot path uses: commands of one tick leave together."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, cast

import hiredis

from dispatcher.errors import RedisUnavailable
from dispatcher.redis_address import Arg, RedisAddress
from dispatcher.wire import Answers, Waiter, Wire, fail, unreachable

_CONNECT_S = 4.0
_LARGE_BYTES = 2**16

_pack = cast(Callable[[tuple[Arg, ...]], bytes], hiredis.pack_command)


class Link:
    """Sends commands to one Redis server and hands back its answers.

    It connects when a command needs it, and again after the connection was lost; every command that
    waits then fails. Once it is closed it connects no more. It repeats nothing: an answer may be
    lost though the command was executed, and only the callers know which commands may be repeated.

    - Redis executes commands in the order of the calls. Those of more than 64 kB have a connection
      of their own and may be overtaken.
    - While more than a mebibyte could not be sent, further commands wait in line. They hold no
      copy of their arguments, and no time-out counts for them.
    - A caller that is cancelled disturbs no other. Its command is executed if it has been sent.
    - The connection is given up when for `silence_s` no answer came and nothing could be sent, and
      when an answer has more than `most_answer_bytes`.

    `invited` is the name of the machine where it has the Redis user of an invited one, else empty.
    """

    def __init__(
        self, address: RedisAddress, silence_s: float, most_answer_bytes: float = inf
    ) -> None:
        self.invited = address.invited
        self._address = address
        self.silence_s = silence_s
        self._most_answer_bytes = most_answer_bytes
        self._wire: Wire | None = None
        self._line: deque[tuple[tuple[Arg, ...], Waiter]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._attempts: set[asyncio.Task[None]] = set()  # to connect, those given up too
        self._is_closed = False
        self._scripts: dict[str, bytes] = {}
        self._large: Link | None = None
        self._large_bytes: float = _LARGE_BYTES

    def call(self, *args: Arg) -> asyncio.Future[Any]:
        """The raw answer; strings are bytes.

        Awaiting it raises `RedisUnavailable` and `ResponseError`. The call itself raises
        `TypeError`, where an argument can't be sent.
        """
        answer = asyncio.get_running_loop().create_future()
        wire = self._wire
        if wire is None or wire.full:
            self._wait_in_line(args, answer)
        else:
            self._send(wire, args, answer)
        return answer

    def ask(self, answer: Waiter, *args: Arg) -> None:
        """The same for a caller that takes the answer without a round of the event loop."""
        wire = self._wire
        if wire is None or wire.full:
            self._wait_in_line(args, answer)
        else:
            self._send(wire, args, answer)

    def load(self, script: str) -> str:
        """The name for EVALSHA. Redis has the script before any command that is called later.

        An invited machine may load none: the APIs have loaded it.
        """
        text, name = script.encode(), script_sha(script)
        if name not in self._scripts and not self.invited:
            self._scripts[name] = text
            for link in (self, self._large):
                if link is not None and link._wire is not None:
                    link._wire.send(_loading(text), None)
        return name

    @property
    def own_address(self) -> str:
        """As `RedisAddress.own_address`."""
        return self._address.own_address

    def drop(self) -> None:
        """Ends the connection; what waits fails. A later command connects again."""
        if self._large is not None:
            self._large.drop()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._wire is not None:
            self._wire.end(_closed_here())
        self._fail_line(_closed_here())

    async def close(self) -> None:
        """Ends the connection for good. It returns when its socket is closed.

        What waits fails, and so does each later command.
        """
        self._is_closed = True
        self.drop()
        if self._large is not None:
            await self._large.close()
        if self._attempts:
            await asyncio.wait(self._attempts)
        await asyncio.sleep(0)  # the event loop has closed the socket then

    def _wait_in_line(self, args: tuple[Arg, ...], answer: Waiter) -> None:
        if self._is_closed:
            answer.set_exception(_closed_here())
            return
        self._line.append((args, answer))
        if self._wire is None and self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._attempts.add(self._connecting)
            self._connecting.add_done_callback(self._attempts.discard)

    def _send(self, wire: Wire, args: tuple[Arg, ...], answer: Waiter) -> None:
        packed = _pack(args)
        if len(packed) <= self._large_bytes:
            wire.send(packed, answer)
            return
        beside = self._beside()
        if beside._wire is None or beside._wire.full:
            beside._wait_in_line(args, answer)
        else:
            beside._wire.send(packed, answer)

    def _beside(self) -> "Link":
        """The link for large commands."""
        if self._large is None:
            self._large = Link(self._address, self.silence_s, self._most_answer_bytes)
            self._large._scripts = self._scripts
            self._large._large_bytes = inf
        return self._large

    def _send_line(self) -> None:
        while self._line and self._wire is not None and not self._wire.full:
            args, answer = self._line.popleft()
            if not answer.done():  # else its caller has been cancelled
                try:
                    self._send(self._wire, args, answer)
                except TypeError as error:
                    answer.set_exception(error)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                wire = await self._greeted()
        except RedisUnavailable as error:
            self._fail_line(error)
        except Exception as error:  # of the network, TLS, or a script that can't be compiled
            self._fail_line(unreachable(error))
        else:
            if self._connecting is not asyncio.current_task():
                wire.end(_closed_here())  # it was given up, and the login did not notice
                return
            self._wire = wire
            self._send_line()
        finally:
            if self._connecting is asyncio.current_task():  # else it was given up
                self._connecting = None

    async def _greeted(self) -> Wire:
        """A connection on which every answer to the greeting has come."""
        login = [_pack(command) for command in await self._address.login()]
        wire = await self._address.connect(
            lambda: Wire(self.silence_s, self._send_line, self._lost, self._most_answer_bytes)
        )
        loaded = len(self._scripts)
        answers = [_sent(wire, packed) for packed in login]
        answers += [_sent(wire, _loading(text)) for text in self._scripts.values()]
        try:
            await asyncio.gather(*answers)
        except BaseException as error:
            wire.end(unreachable(error))
            raise
        finally:
            answers.clear()  # a fault knows this frame: the collector would have to part them
        for text in list(self._scripts.values())[loaded:]:  # meanwhile
            wire.send(_loading(text), None)
        return wire

    def _lost(self, wire: Wire, why: RedisUnavailable) -> None:
        if wire is self._wire:
            self._wire = None
            self._fail_line(why)

    def _fail_line(self, why: RedisUnavailable) -> None:
        answers: Answers = deque(answer for _, answer in self._line)
        self._line.clear()
        fail(answers, why)


def script_sha(script: str) -> str:
    """What Redis calls a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _sent(wire: Wire, packed: bytes) -> asyncio.Future[Any]:
    answer = asyncio.get_running_loop().create_future()
    wire.send(packed, answer)
    return answer


def _closed_here() -> RedisUnavailable:
    return unreachable("this process has closed the connection")


def _loading(script: bytes) -> bytes:
    return _pack(("SCRIPT", "LOAD", script))
