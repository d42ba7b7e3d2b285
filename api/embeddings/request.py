"""A request for embeddings: what the dispatcher must know of it, and its pieces. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from api.body import parse_object
from api.embeddings.pieces import cut
from api.endpoint import Items, Work
from api.errors import bad_request
from api.estimate import BYTES_PER_TOKEN
from api.json_text import compact
from api.prompts import Prompt, checked_prompts, tokens_of
from api.request_fields import model_name
from api.rules import Rule, Whole, Word
from api.sampling_fields import known_fields
from api.settings import ApiSettings
from api.unknown_fields import NONE, Unknown, unknown_fields
from dispatcher.needs import EMBEDDINGS, NATIVE_EMBEDDINGS, Needs

MAX_INPUTS = 2048  # as OpenAI
# What llama-server reads; a norm is -1 (none), 0 (largest value), 1, 2 (Euclid) or higher.
_FORWARDED: Mapping[str, Rule] = {
    "encoding_format": Word(("float", "base64")),
    "embd_normalize": Whole(-1, 64),
}
_ELSEWHERE = frozenset({"input", "content", "user", "service_tier"})
FIELDS: Mapping[str, Rule | None] = {**_FORWARDED, **dict.fromkeys(_ELSEWHERE), "model": None}
_KNOWN = frozenset(FIELDS)
_NUMBERS = 4096  # of a vector whose size is not known yet: few models have more
_NUMBER_BYTES = {"float": 22, "base64": 6}
_NONE = "`dimensions` is not supported: llama-server always gives all of them. Leave it out."


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A checked request (`api.endpoint.Asked`). `named` is the model as the client calls it.

    `pieces` are its inputs, one for each job. `is_native` asks for llama.cpp's own form.
    """

    model: str
    named: str
    is_native: bool
    inputs_name: str
    pieces: Sequence[Sequence[Prompt]] = field(repr=False)
    prompt_tokens: int
    fields: Mapping[str, Any] = field(repr=False)
    stream: bool = False
    unknown: Unknown = field(default=NONE, repr=False)

    @property
    def choices(self) -> int:
        """How many jobs it becomes."""
        return len(self.pieces)

    @property
    def needs(self) -> Needs:
        """See `api.endpoint.Asked`."""
        return Needs(frozenset({NATIVE_EMBEDDINGS if self.is_native else EMBEDDINGS}))

    def of_model(self, model: str, context: int) -> "EmbeddingRequest":
        """See `api.endpoint.Asked`."""
        return replace(self, model=model, named=self.named or model)

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        options = {name: self.fields[name] for name in _FORWARDED if name in self.fields}
        options |= self.unknown.passed
        return Work(
            model=self.model,
            bodies=[
                compact({"model": self.model, self.inputs_name: piece, **options})
                for piece in self.pieces
            ],
            wants=frozenset(),
            needs=self.needs,
            prompt_tokens=max(1, self.prompt_tokens // len(self.pieces)),
            items=self._items(),
        )

    def _items(self) -> Items:
        """Vectors of a model are of one size, but for their form."""
        form = str(self.fields.get("encoding_format", "float"))
        number = sum(map(len, self.pieces))
        return Items(number, f"{form} of {self.model}", _NUMBERS * _NUMBER_BYTES.get(form, 22))


def parse_embeddings(body: bytes, settings: ApiSettings) -> EmbeddingRequest:
    """What `body` asks for in OpenAI's form; with `content` it is llama.cpp's own, as there."""
    return _parse(body, settings, is_native=False)


def parse_native(body: bytes, settings: ApiSettings) -> EmbeddingRequest:
    """What `body` asks for in llama.cpp's own form."""
    return _parse(body, settings, is_native=True)


def _parse(body: bytes, settings: ApiSettings, *, is_native: bool) -> EmbeddingRequest:
    fields = parse_object(body, settings.max_json_depth)
    model = model_name(fields)
    if "dimensions" in fields:
        raise bad_request(_NONE, param="dimensions")
    name = "input" if "input" in fields or "content" not in fields else "content"
    if name not in fields:
        raise bad_request("`input` must say what is to be embedded.", param="input")
    inputs = _checked(fields[name], name)
    sizes = [ceil(tokens_of(each) * BYTES_PER_TOKEN) for each in inputs]
    return EmbeddingRequest(
        model=model,
        named=model,
        is_native=is_native or name == "content",
        inputs_name=name,
        pieces=cut(inputs, sizes),
        prompt_tokens=max(1, sum(sizes) // BYTES_PER_TOKEN + len(inputs)),
        fields=known_fields(fields, _FORWARDED, _ELSEWHERE),
        unknown=unknown_fields(fields, _KNOWN, settings),
    )


def _checked(value: Any, name: str) -> list[Prompt]:
    if isinstance(value, list) and len(value) > MAX_INPUTS and not isinstance(value[0], int):
        raise bad_request(f"`{name}` must have {MAX_INPUTS} inputs at most.", param=name)
    inputs = checked_prompts(value, name)
    if [] in inputs:
        raise bad_request(f"An input of `{name}` has no token: give it one.", param=name)
    return inputs
