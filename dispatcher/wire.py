"""One connection to Redis, from its first byte to its last."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Protocol, cast

import hiredis

from dispatcher.errors import RedisUnavailable
from dispatcher.redis_replies import ends_link, error_of

MOST_UNSENT_BYTES = 2**20


class Waiter(Protocol):
    """It waits for an answer: a future, or what acts on the answer at once."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, answer: Any, /) -> None:
        """Takes the answer. It raises nothing."""

    def set_exception(self, error: Exception, /) -> None:
        """No answer comes."""


Answers = deque[Waiter | None]

_LOOKS = 5


class Wire(asyncio.Protocol):
    """Sends all commands of an event-loop tick in one write, and hands out the answers in order.

    It is `full` while more than a mebibyte could not be sent; `has_room()` is called when that is
    over. It ends when the server closes it, and when an answer has more than `most_bytes`. It also
    ends when no answer came for `silence_s` and nothing has left its buffer. Then all that is in
    flight fails, and `ended(wire, why)` is called.
    """

    def __init__(
        self,
        silence_s: float,
        has_room: Callable[[], None],
        ended: Callable[["Wire", RedisUnavailable], None],
        most_bytes: float = inf,
    ) -> None:
        reader = hiredis.Reader()
        self._feed, self._gets = reader.feed, reader.gets
        self._look_s = silence_s / _LOOKS
        self._has_room = has_room
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._in_flight: Answers = deque()
        self._out: list[bytes] = []
        self._room_bytes = MOST_UNSENT_BYTES
        self._is_paused = False
        self.full = False
        self._is_over = False
        self._watch: asyncio.TimerHandle | None = None
        self._most_bytes = most_bytes
        self._unread_bytes = 0  # of an answer that is not complete
        self._still = 0  # looks in which nothing moved
        self._heard = self._heard_before = 0
        self._written_bytes = self._unsent_before = self._gone_before = 0

    def send(self, packed: bytes, answer: Waiter | None) -> None:
        """Sends a command with the others of this tick. Without `answer` its reply is dropped."""
        self._in_flight.append(answer)
        self._out.append(packed)
        self._room_bytes -= len(packed)
        if len(self._out) == 1:
            self._loop.call_soon(self._flush)
        if self._room_bytes < 0:
            self.full = True

    def end(self, why: RedisUnavailable) -> None:
        """Ends the connection at once; all that is in flight fails."""
        if self._is_over:
            return
        self._is_over = True
        if self._watch is not None:
            self._watch.cancel()
        self._transport.abort()
        self._out.clear()
        fail(self._in_flight, why)
        self._ended(self, why)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks asyncio to tell of a full buffer."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(MOST_UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or something between, has closed it."""
        self.end(unreachable(exc or "it has closed the connection"))

    def pause_writing(self) -> None:
        """The buffer is full."""
        self._is_paused = self.full = True

    def resume_writing(self) -> None:
        """The buffer is empty enough."""
        self._is_paused = False
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Hands out the answers that are complete."""
        self._heard += 1
        gets, in_flight = self._gets, self._in_flight
        self._unread_bytes += len(data)
        if self._unread_bytes > self._most_bytes:
            self.end(unreachable(f"an answer has more than {self._most_bytes} bytes"))
        try:
            self._feed(data)
            while not self._is_over and (reply := gets()) is not False:
                self._unread_bytes = 0
                if isinstance(reply, hiredis.ReplyError):
                    self._take_error(str(reply))
                elif not in_flight:
                    self.end(unreachable("it sent an answer that nobody waits for"))
                else:
                    answer = in_flight.popleft()
                    if answer is not None and not answer.done():
                        answer.set_result(reply)
        except hiredis.HiredisError as error:
            self.end(unreachable(f"it does not speak as Redis does ({error})"))

    def _take_error(self, text: str) -> None:
        error = error_of(text)
        answer = self._in_flight.popleft() if self._in_flight else None
        if answer is None or ends_link(text):
            why = error if isinstance(error, RedisUnavailable) else unreachable(text)
            self._in_flight.appendleft(answer)
            self.end(why)
        elif not answer.done():
            answer.set_exception(error)

    def _flush(self) -> None:
        if self._is_over:
            return
        data = b"".join(self._out)
        self._out.clear()
        self._written_bytes += len(data)
        self._transport.write(data)
        if self._watch is None:
            self._watch = self._loop.call_later(self._look_s, self._look)
        if not self._is_paused:
            self._make_room()

    def _make_room(self) -> None:
        self._room_bytes = MOST_UNSENT_BYTES - self._transport.get_write_buffer_size()
        if self.full and self._room_bytes >= 0:
            self.full = False
            self._has_room()

    def _look(self) -> None:
        """Counts looks, not seconds: an event loop that was late has not listened either."""
        self._watch = None
        if not self._in_flight:
            self._still = 0
            return
        unsent = self._transport.get_write_buffer_size()
        gone = self._written_bytes - unsent
        # An empty buffer can't shrink: the system takes bytes for a server that is silent.
        has_shrunk = self._unsent_before > 0 and gone > self._gone_before
        self._still = 0 if has_shrunk or self._heard > self._heard_before else self._still + 1
        self._heard_before, self._unsent_before, self._gone_before = self._heard, unsent, gone
        if self._still == _LOOKS:
            self.end(unreachable(f"no answer for {self._look_s * _LOOKS:g} s"))
        else:
            self._watch = self._loop.call_later(self._look_s, self._look)


def unreachable(why: object) -> RedisUnavailable:
    """The error of a server that does not answer."""
    error = RedisUnavailable(f"Redis can't be reached: {str(why) or 'no answer'}")
    error.__cause__ = why if isinstance(why, Exception) else None
    return error


def fail(answers: Answers, why: RedisUnavailable) -> None:
    """Tells all that wait for an answer that none comes; each gets an exception of its own."""
    while answers:
        answer = answers.popleft()
        if answer is not None and not answer.done():
            error = RedisUnavailable(why.message)
            error.__cause__ = why.__cause__
            answer.set_exception(error)
