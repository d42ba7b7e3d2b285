"""Workers that die in the middle of streams, which clients don't notice.

`pytest tests/end_to_end/test_deaths.py --kills 100 -rP` kills a hundred servers and then bridges,
and tells how long clients waited for their next token.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import openai
import pytest

from testing.processes import LlamaServer, api, free_port, valkey
from testing.twins import ALIAS, Twin, Twins, twins
from tests.kills.killing import kill_in
from tests.kills.streams import STREAMS

pytestmark = pytest.mark.real

TOKENS = 200
T = TypeVar("T")
USAGE = {"include_usage": True}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of an API whose jobs may fail often, and of its Redis."""
    folder = tmp_path_factory.mktemp("service")
    often = {"max_attempts": "9", "max_crashes": "9", "model_grace_s": "5"}
    with valkey(folder) as redis_url, api(redis_url, folder / "api.log", **often) as (_, url):
        yield url, redis_url


@pytest.fixture(scope="module")
def both(
    service: tuple[str, str], tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]
) -> Iterator[Twins]:
    with twins(*service, tmp_path_factory.mktemp("twins"), models["small"]) as both:
        yield both


def question(number: int, **fields: Any) -> dict[str, Any]:
    """A request whose answer is always the same, and always long."""
    asked = [{"role": "user", "content": f"Tell me story number {number}."}]
    extra = {"ignore_eos": True, **fields.pop("extra_body", {})}
    whole = {"model": ALIAS, "messages": asked, "temperature": 0, "max_tokens": TOKENS}
    return whole | fields | {"extra_body": extra}


@dataclass(slots=True)
class Heard:
    """What a client was told by a stream; `longest_s` is the longest wait of a choice for more."""

    worker: str
    texts: dict[int, str] = field(default_factory=dict)
    finish: dict[int, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    roles: int = 0
    pieces: int = 0
    usage: Any = None
    longest_s: float = 0
    last_at: dict[int, float] = field(default_factory=dict)

    def add(self, chunk: Any) -> None:
        self.ids.add(chunk.id)
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices:
            self.roles += choice.delta.role is not None
            if choice.finish_reason:
                self.finish[choice.index] = choice.finish_reason
            if text := choice.delta.content:
                self.texts[choice.index] = self.texts.get(choice.index, "") + text
                self.pieces += 1
                now = time.monotonic()
                self.longest_s = max(self.longest_s, now - self.last_at.get(choice.index, now))
                self.last_at[choice.index] = now


def listen(both: Twins, request: dict[str, Any], disturb: Callable[[Heard], object]) -> Heard:
    """Reads a stream to its end; `disturb` is called after each piece of text."""
    with both.openai() as client:
        raw = client.chat.completions.with_raw_response.create(
            **request, stream=True, stream_options=USAGE
        )
        heard = Heard(raw.headers["x-llamaq-worker"])
        for chunk in raw.parse():
            before = heard.pieces
            heard.add(chunk)
            if heard.pieces > before:
                disturb(heard)
    return heard


def ask(both: Twins, request: dict[str, Any]) -> Any:
    """The same in one piece, without a death."""
    with both.openai() as client:
        return client.chat.completions.create(**request)


def check(heard: Heard, whole: Any) -> None:
    assert heard.texts == {choice.index: choice.message.content for choice in whole.choices}
    assert heard.finish == {choice.index: choice.finish_reason for choice in whole.choices}
    assert (len(heard.ids), heard.roles) == (1, len(whole.choices))
    told = [(use.prompt_tokens, use.completion_tokens) for use in (heard.usage, whole.usage)]
    assert told[0] == told[1]


@contextmanager
def dying(both: Twins, part: str, at: int) -> Iterator[Callable[[Heard], None]]:
    """Yields what kills this part of the worker at piece number `at`; then it is started again."""
    killed: list[Twin] = []

    def kill(heard: Heard) -> None:
        if heard.pieces >= at and not killed:
            killed.append(both.twin_of(heard.worker))
            killed[0].kill(part)

    yield kill
    for twin in killed:
        both.revive(twin, part)


def gone_on(both: Twins, ask_once: Callable[[], T]) -> T:
    """What came of a stream that went on elsewhere, once.

    It is asked for again where its client was so late that all of it was there before the death: an
    answer takes less than a second.
    """
    before = both.counter("resumed")
    for _ in range(3):
        outcome = ask_once()
        if both.counter("resumed") > before:
            break
    assert both.counter("resumed") == before + 1
    return outcome


@pytest.mark.parametrize(("part", "within_s"), [("server", 3), ("bridge", 8)])
def test_stream_of_a_worker_that_dies_is_whole(
    both: Twins, part: str, within_s: float, pytestconfig: pytest.Config
) -> None:
    kills, waits = pytestconfig.getoption("kills"), []
    for number in range(kills):
        request, at = question(number), 1 + number * 37 % (TOKENS // 3)
        whole = ask(both, request)

        def kill_once(request: dict[str, Any] = request, at: int = at, whole: Any = whole) -> Heard:
            with dying(both, part, at) as kill:
                heard = listen(both, request, kill)
                check(heard, whole)
            return heard

        waits.append(gone_on(both, kill_once).longest_s)
    print(f"{part}: {kills} killed; the longest wait for a token was {max(waits):.2f} s, ", end="")
    print(f"{sorted(waits)[kills // 2]:.2f} s at the median")
    assert max(waits) < 2 * within_s  # what is above is for a busy machine


@pytest.mark.parametrize("endpoint", ["completions", "messages", "responses"])
def test_stream_of_another_endpoint_whose_server_dies_is_whole(both: Twins, endpoint: str) -> None:
    """`python -m tests.kills` does so fifty times, and with bridges too."""
    outcome = gone_on(both, lambda: kill_in(STREAMS[endpoint], both, 1, "server"))
    assert outcome.told == outcome.expected


def test_stream_survives_three_deaths(both: Twins) -> None:
    """Of a server, of the bridge where it goes on, and of the server where it goes on then."""
    request, plan = question(1, max_tokens=400), {20: "server", 120: "bridge", 220: "server"}
    whole = ask(both, request)
    with ThreadPoolExecutor() as pool:
        revivals = []

        def disturb(heard: Heard) -> None:
            if part := plan.pop(heard.pieces, None):
                twin = both.at_work()
                twin.kill(part)
                revivals.append(pool.submit(both.revive, twin, part))

        check(listen(both, request, disturb), whole)
    assert [revival.result() for revival in revivals] == [None] * 3


def test_all_streams_of_a_server_that_dies_go_on_at_once(both: Twins) -> None:
    request = question(2, n=4)
    whole = ask(both, request)
    with dying(both, "server", 80) as kill:
        heard = listen(both, request, kill)
        check(heard, whole)
    assert heard.longest_s < 6


def test_stream_that_can_t_go_on_ends_in_one_error(both: Twins) -> None:
    request, pieces = question(3, extra_body={"grammar": "root ::= [a-z ]+"}), []
    with dying(both, "server", 20) as kill:

        def disturb(heard: Heard) -> None:
            pieces.append(heard.pieces)
            kill(heard)

        with pytest.raises(openai.APIError, match="`grammar`"):
            listen(both, request, disturb)
    assert len(pieces) >= 20


def test_stream_does_not_go_on_with_another_model_of_the_same_name(
    service: tuple[str, str], both: Twins, tmp_path: Path, models: dict[str, Path]
) -> None:
    other = Twin("other", service[1], LlamaServer(models["tiny"], free_port(), ALIAS, 2), tmp_path)
    other.start("server")

    def disturb(heard: Heard) -> None:
        if heard.pieces == 20:
            for twin in both.twins.values():
                twin.kill("bridge")
            other.start("bridge")  # not before, or it might be the one that began

    with pytest.raises(openai.APIError, match="no other has the same"):
        listen(both, question(4), disturb)
    other.stack.close()
    for twin in both.twins.values():
        twin.start("bridge")
