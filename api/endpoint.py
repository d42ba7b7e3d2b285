"""What the relay must know of an endpoint: the shape of the rows in `api.endpoints`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from api.errors import OPENAI, ApiError, ErrorForm
from api.rates import RateForm, openai_headers
from api.rules import Rule
from api.settings import ApiSettings
from api.unknown_fields import Unknown
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.job import CHUNKS, Job, Want
from dispatcher.needs import ANYBODY, Needs


class CannotContinue(Exception):
    """An answer can't go on elsewhere. Says why, as the end of a sentence."""


class Items(NamedTuple):
    """What a large answer is made of: `number` items of a `kind`. Items of one kind take about the
    same bytes in all answers; `guess_bytes` is for the first answer.
    """

    number: int
    kind: str
    guess_bytes: int


@dataclass(frozen=True, slots=True)
class Work:
    """What the jobs of a request ask of a worker: a body for each choice, all else is the same.

    The tokens are estimates; `prefixes` name the beginnings of the prompt, the longest first.
    Each prompt has `choices` bodies, one after the other. `items` tell how large an answer in one
    piece may be, where it may be large.
    """

    model: str
    bodies: Sequence[bytes]
    wants: frozenset[Want]
    needs: Needs = ANYBODY
    prompt_tokens: int = 1
    completion_tokens: int = 0
    prefixes: tuple[str, ...] = ()
    items: Items | None = None
    choices: int = 1


class Asked(Protocol):
    """A request, read and checked. `fields` are those of its body that are not null."""

    @property
    def model(self) -> str:
        """The model, by any of its names; empty where it names none."""

    @property
    def stream(self) -> bool:
        """Whether its client wants to see the answer as it grows."""

    @property
    def choices(self) -> int:
        """How many answers it asks for."""

    @property
    def needs(self) -> Needs:
        """What a worker must be able to do for it."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """What it says, by the names of the fields."""

    @property
    def unknown(self) -> Unknown:
        """What it says that its endpoint doesn't know."""

    def of_model(self, model: str, context: int) -> "Asked":
        """The same request by the model's own name.

        `context` are the tokens that its largest worker holds, 0 where that is not known. Raises
        `ApiError` 400 for what does not fit into it.
        """

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """What its jobs ask for. `mean_completion` is in tokens, 0 where that is not known."""


class Assembly(Protocol):
    """Makes one whole answer of the events of all choices."""

    @property
    def lost_tokens(self) -> int:
        """How many tokens nothing in the answer tells of, once all is there.

        The server has held back what may become a tool call, and the limit has cut it there.
        """

    def add(self, choice: int, events: bytes) -> None:
        """Takes events of one choice. Raises `ApiError` for the error that they may tell."""

    def restart(self, choice: int) -> None:
        """Forgets what came of one choice: it begins again."""

    def body(self) -> bytes:
        """The answer, once all is there. Raises `WorkerFailed` where something is missing."""


class Splice(Protocol):
    """Makes one stream of all the attempts at one choice."""

    @property
    def is_spliced(self) -> bool:
        """Whether it goes on after an attempt that was lost."""

    @property
    def seen_tokens(self) -> int:
        """How many tokens came from attempts that were lost."""

    def note_prompt(self, event: bytes) -> None:
        """Takes an attempt's first event of progress."""

    def show(self, events: bytes, tokens: int) -> bytes:
        """What the client gets to see of events that came after this attempt's first `tokens`."""

    def lose(self) -> Continuation | None:
        """The attempt is lost: what is left to do; None if nothing but `end`.

        Raises `CannotContinue`.
        """

    def shown(self, tokens: int) -> Shown | None:
        """What its client was shown, when it had these tokens of the answer. None if it sees
        nothing before all is there.
        """

    def end(self) -> bytes:
        """The events that are missing at the end of a stream whose text is all there."""


class Piece(NamedTuple):
    """A part of the answer: events of one choice, or, with `restart`, that it begins again."""

    choice: int
    events: bytes = b""
    restart: bool = False


class Shape(Protocol):
    """Makes the stream that a client sees of the pieces of all choices."""

    def take(self, piece: Piece) -> bytes:
        """The bytes to send for a piece. Raises `WorkerFailed` for an answer that begins again
        after its client saw a part of it.
        """

    def end(self) -> bytes:
        """The bytes that end the stream."""

    def fail(self, error: ApiError) -> bytes:
        """The bytes that end it where the answer has failed."""


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[A]):
    """What clients may ask for at `path`, and at the paths in `also`.

    `read` makes a request of a body, or raises `ApiError` 400; `assemble` makes the answer of one
    that is not streamed; `shape` makes a stream, whose request has this id; `splice` has a stream
    go on after a loss. llama-server is asked at `upstream`, where that is not `path`, and answers
    in the `form` of `dispatcher.job.Job`. `errors` is the form of the errors that come before an
    answer, `rates` that of the headers that tell of limits. Its clients may look for the id of a
    request in a header `id_header` too. The OpenAPI document tells the `fields` of a request
    (None: no rule), which of them are `required`, and the `media_type` of its body. Its tokens need
    the `scope` of `api.scopes`.
    """

    path: str
    read: Callable[[bytes, ApiSettings], A]
    assemble: Callable[[A], Assembly]
    shape: Callable[[A, str], Shape]
    splice: Callable[[Job], Splice]
    also: Sequence[str] = ()
    upstream: str = ""
    form: str = CHUNKS
    errors: ErrorForm = OPENAI
    rates: RateForm = openai_headers
    id_header: str = ""
    fields: Mapping[str, Rule | None] = field(default_factory=dict, repr=False)
    required: Sequence[str] = ()
    media_type: str = "application/json"
    scope: str = field(kw_only=True)

    @property
    def doors(self) -> Sequence[str]:
        """All its paths, each with a slash at its end too."""
        paths = self.path, *self.also
        return *paths, *(f"{path}/" for path in paths)
