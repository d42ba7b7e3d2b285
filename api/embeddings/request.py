"""A request for embeddings: what the dispatcher must know of it, and its pieces. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.embeddings.inputs import Input, checked_inputs, size_of
from api.embeddings.pieces import cut
from api.endpoint import Work
from api.errors import bad_request
from api.estimate import BYTES_PER_TOKEN
from api.json_text import compact
from api.request_fields import model_name, without_nulls
from api.rules import Rule, Whole, Word
from api.sampling_fields import known_fields
from api.settings import ApiSettings
from dispatcher.needs import EMBEDDINGS, NATIVE_EMBEDDINGS, Needs

# What llama-server reads; a norm is -1 (none), 0 (largest value), 1, 2 (Euclid) or higher.
_FORWARDED: Mapping[str, Rule] = {
    "encoding_format": Word(("float", "base64")),
    "embd_normalize": Whole(-1, 64),
}
_ELSEWHERE = frozenset({"input", "content", "user", "service_tier"})
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
    pieces: Sequence[Sequence[Input]] = field(repr=False)
    prompt_tokens: int
    fields: Mapping[str, Any] = field(repr=False)
    stream: bool = False

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
        return replace(self, model=model)

    def work(self, subject: str, mean_completion: float) -> Work:
        """See `api.endpoint.Asked`."""
        options = {name: self.fields[name] for name in _FORWARDED if name in self.fields}
        return Work(
            model=self.model,
            bodies=[
                compact({"model": self.model, self.inputs_name: piece, **options})
                for piece in self.pieces
            ],
            wants=frozenset(),
            needs=self.needs,
            prompt_tokens=max(1, self.prompt_tokens // len(self.pieces)),
        )


def parse_embeddings(body: bytes, settings: ApiSettings) -> EmbeddingRequest:
    """What `body` asks for in OpenAI's form; with `content` it is llama.cpp's own, as there."""
    return _parse(body, settings, is_native=False)


def parse_native(body: bytes, settings: ApiSettings) -> EmbeddingRequest:
    """What `body` asks for in llama.cpp's own form."""
    return _parse(body, settings, is_native=True)


def _parse(body: bytes, settings: ApiSettings, *, is_native: bool) -> EmbeddingRequest:
    fields = without_nulls(parse_object(body, settings.max_json_depth))
    model = model_name(fields)
    if "dimensions" in fields:
        raise bad_request(_NONE, param="dimensions")
    name = "input" if "input" in fields or "content" not in fields else "content"
    if name not in fields:
        raise bad_request("`input` must say what is to be embedded.", param="input")
    inputs = checked_inputs(fields[name], name)
    sizes = [size_of(each) for each in inputs]
    return EmbeddingRequest(
        model=model,
        named=model,
        is_native=is_native or name == "content",
        inputs_name=name,
        pieces=cut(inputs, sizes),
        prompt_tokens=max(1, sum(sizes) // BYTES_PER_TOKEN + len(inputs)),
        fields=known_fields(fields, _FORWARDED, _ELSEWHERE),
    )
