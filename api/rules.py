"""What a field of a request may hold: its type, and how large it may be. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from api.errors import bad_request
from api.json_text import canonical


class Rule(Protocol):
    """One kind of value."""

    def checked(self, value: Any, name: str) -> Any:
        """The value as it is sent on, or an `ApiError` 400 that names the field."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def checked(self, value: Any, name: str) -> bool:
        """See `Rule`."""
        if not isinstance(value, bool):
            raise bad_request(f"`{name}` must be true or false.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`."""

    least: float
    most: float

    def checked(self, value: Any, name: str) -> float:
        """See `Rule`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_request(f"`{name}` must be a number.", param=name)
        if not self.least <= value <= self.most:
            raise bad_request(f"`{name}` must be from {self.least} to {self.most}.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`; `5.0` is one too."""

    least: int
    most: int

    def checked(self, value: Any, name: str) -> int:
        """See `Rule`."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_request(f"`{name}` must be a whole number.", param=name)
        if not self.least <= value <= self.most:
            raise bad_request(f"`{name}` must be from {self.least} to {self.most}.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Logprobs:
    """How many of the likeliest tokens are told, up to `most`; true is 1, false is 0."""

    most: int

    def checked(self, value: Any, name: str) -> int:
        """See `Rule`."""
        return Whole(0, self.most).checked(int(value) if isinstance(value, bool) else value, name)


@dataclass(frozen=True, slots=True)
class Text:
    """A string of up to `most_chars`."""

    most_chars: int

    def checked(self, value: Any, name: str) -> str:
        """See `Rule`."""
        if not isinstance(value, str):
            raise bad_request(f"`{name}` must be a string.", param=name)
        if len(value) > self.most_chars:
            raise bad_request(
                f"`{name}` must have {self.most_chars} characters at most.", param=name
            )
        return value


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few values."""

    values: Collection[str | bool]

    def checked(self, value: Any, name: str) -> str | bool:
        """See `Rule`."""
        if not isinstance(value, str | bool) or value not in self.values:
            allowed = ", ".join(str(each).lower() for each in self.values)
            raise bad_request(f"`{name}` must be one of {allowed}.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of up to `most` strings; with `or_one`, a single string too."""

    most: int
    most_chars: int
    or_one: bool = False

    def checked(self, value: Any, name: str) -> str | list[str]:
        """See `Rule`."""
        if self.or_one and isinstance(value, str):
            return Text(self.most_chars).checked(value, name)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            one = "a string or " if self.or_one else ""
            raise bad_request(f"`{name}` must be {one}a list of strings.", param=name)
        if len(value) > self.most or any(len(text) > self.most_chars for text in value):
            raise bad_request(
                f"`{name}` must have {self.most} strings at most, each of up to "
                f"{self.most_chars} characters.",
                param=name,
            )
        return value


@dataclass(frozen=True, slots=True)
class Items:
    """A list of up to `most` things, which are checked elsewhere."""

    most: int

    def checked(self, value: Any, name: str) -> list[Any]:
        """See `Rule`."""
        if not isinstance(value, list):
            raise bad_request(f"`{name}` must be a list.", param=name)
        if len(value) > self.most:
            raise bad_request(f"`{name}` must have {self.most} items at most.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Samplers:
    """The order of samplers: names, or one string of letters. None may come twice."""

    most: int
    most_chars: int

    def checked(self, value: Any, name: str) -> str | list[str]:
        """See `Rule`."""
        checked = Texts(self.most, self.most_chars, or_one=True).checked(value, name)
        plain = [text.lower().replace("-", "").replace("_", "") for text in checked]
        if len(set(plain)) < len(plain):
            raise bad_request(f"`{name}` must name each sampler once.", param=name)
        return checked


@dataclass(frozen=True, slots=True)
class Biases:
    """Token to bias, as an object or as a list of pairs; `false` bans a token."""

    most: int
    most_chars: int

    def checked(self, value: Any, name: str) -> Any:
        """See `Rule`."""
        if isinstance(value, Mapping):
            pairs = [list(pair) for pair in value.items()]
        elif isinstance(value, list):
            pairs = value
        else:
            raise bad_request(f"`{name}` must be an object or a list of pairs.", param=name)
        if len(pairs) > self.most:
            raise bad_request(f"`{name}` must name {self.most} tokens at most.", param=name)
        if not all(self._is_pair(pair) for pair in pairs):
            raise bad_request(
                f"`{name}` must give a number, or false, for each token. A token is its number or "
                f"a text of up to {self.most_chars} characters.",
                param=name,
            )
        return value

    def _is_pair(self, pair: Any) -> bool:
        if not isinstance(pair, list) or len(pair) != 2:
            return False
        token, bias = pair
        if isinstance(token, bool) or not isinstance(token, int | str):
            return False
        if isinstance(token, str) and len(token) > self.most_chars:
            return False
        return isinstance(bias, int | float) and bias is not True


@dataclass(frozen=True, slots=True)
class Kwargs:
    """Variables of a chat template: up to `most`, as JSON no longer than `most_bytes`."""

    most: int
    most_bytes: int

    def checked(self, value: Any, name: str) -> dict[str, Any]:
        """See `Rule`."""
        if not isinstance(value, dict):
            raise bad_request(f"`{name}` must be an object.", param=name)
        if len(value) > self.most or len(canonical(value)) > self.most_bytes:
            raise bad_request(
                f"`{name}` must have {self.most} fields and {self.most_bytes} bytes at most.",
                param=name,
            )
        return value


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream tells beside its answer."""

    def checked(self, value: Any, name: str) -> dict[str, Any]:
        """See `Rule`."""
        if not isinstance(value, dict):
            raise bad_request(f"`{name}` must be an object.", param=name)
        if not isinstance(value.get("include_usage"), bool | None):
            where = f"{name}.include_usage"
            raise bad_request(f"`{where}` must be true or false.", param=where)
        return value


@dataclass(frozen=True, slots=True)
class File:
    """A part of a form that is a file, and not empty."""

    def checked(self, value: Any, name: str) -> bytes:
        """See `Rule`."""
        if not isinstance(value, bytes) or not value:
            raise bad_request(
                f"`{name}` must be a file that is not empty, sent as one: a part of the form that "
                "has a file name.",
                param=name,
            )
        return value
