"""Requests about tokens that name them or their text: `/tokenize` and `/detokenize`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.endpoint import Work
from api.errors import bad_request
from api.json_text import compact
from api.prompts import MAX_PARTS, MAX_TEXTS
from api.request_fields import model_name
from api.rules import Flag, Rule
from api.sampling_fields import LARGEST_INT, known_fields
from api.settings import ApiSettings
from api.unknown_fields import NONE, Unknown, unknown_fields
from dispatcher.needs import Needs


@dataclass(frozen=True, slots=True)
class Texts:
    """A text, or a list of texts and tokens: what `/tokenize` takes."""

    def checked(self, value: Any, name: str) -> Any:
        """See `api.rules.Rule`."""
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise bad_request(f"`{name}` must be a string or a list.", param=name)
        texts = sum(isinstance(part, str) for part in value)
        if texts > MAX_TEXTS:
            raise bad_request(f"`{name}` must have {MAX_TEXTS} strings at most.", param=name)
        tokens = value if not texts else [part for part in value if not isinstance(part, str)]
        Tokens(" and strings").checked(tokens, name)
        return value


@dataclass(frozen=True, slots=True)
class Tokens:
    """A list of tokens. Errors name what else may stand there."""

    others: str = ""

    def checked(self, value: Any, name: str) -> Any:
        """See `api.rules.Rule`."""
        if not isinstance(value, list) or not all(type(token) is int for token in value):
            raise bad_request(f"`{name}` must be a list of tokens{self.others}.", param=name)
        if len(value) > MAX_PARTS:
            raise bad_request(f"`{name}` must have {MAX_PARTS} tokens at most.", param=name)
        if value and not 0 <= min(value) <= max(value) <= LARGEST_INT:
            raise bad_request(f"`{name}` has a token that no model has.", param=name)
        return value


TEXT: Mapping[str, Rule] = {
    "content": Texts(),
    "add_special": Flag(),
    "parse_special": Flag(),
    "with_pieces": Flag(),
}
TOKENS: Mapping[str, Rule] = {"tokens": Tokens()}
_ELSEWHERE = frozenset({"model", "user", "service_tier"})


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A checked request (`api.endpoint.Asked`); `model` is empty where it names none."""

    model: str
    forwarded: Mapping[str, Any] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    needs: Needs = field(default=Needs(side=True), repr=False)
    stream: bool = False
    choices: int = 1
    unknown: Unknown = field(default=NONE, repr=False)

    def of_model(self, model: str, context: int) -> "TokenRequest":
        """See `api.endpoint.Asked`. No text is too long for it."""
        return replace(self, model=model)

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        body = compact({"model": self.model, **self.forwarded, **self.unknown.passed})
        return Work(self.model, [body], frozenset(), self.needs)


def parse_tokenize(body: bytes, settings: ApiSettings) -> TokenRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    return _token_request(body, settings, TEXT)


def parse_detokenize(body: bytes, settings: ApiSettings) -> TokenRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    return _token_request(body, settings, TOKENS)


def _token_request(body: bytes, settings: ApiSettings, rules: Mapping[str, Rule]) -> TokenRequest:
    fields = parse_object(body, settings.max_json_depth)
    model = model_name(fields)
    known = known_fields(fields, rules, _ELSEWHERE)
    forwarded = {name: known[name] for name in rules if name in known}
    unknown = unknown_fields(fields, rules.keys() | _ELSEWHERE, settings)
    return TokenRequest(model, forwarded, known, unknown=unknown)
