"""What requests for text have in common, read from their fields. Pure."""

from collections.abc import Mapping
from typing import Any

from api.errors import bad_request
from dispatcher.job import Want

MAX_MODEL_CHARS = 256

RANDOM_SEED = 2**32 - 1  # llama-server's "take any"
_UPSTREAM: Mapping[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "return_progress": True,
    "timings_per_token": True,
}


def without_nulls(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not null: OpenAI's null means "not given"."""
    return {name: value for name, value in item.items() if value is not None}


def text_of(item: Mapping[str, Any], name: str, where: str) -> str:
    """The field `name` of the part of a request at `where`: a string, or an `ApiError` 400."""
    text = item.get(name)
    if not isinstance(text, str):
        raise bad_request(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")
    return text


def object_of(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The field `name`: an object, empty where it is missing, or an `ApiError` 400."""
    found = fields.get(name, {})
    if not isinstance(found, dict):
        raise bad_request(f"`{name}` must be an object.", param=name)
    return found


def model_name(fields: Mapping[str, Any]) -> str:
    """The model that is named, empty where none is; or an `ApiError` 400."""
    model = fields.get("model", "")
    if not isinstance(model, str) or len(model) > MAX_MODEL_CHARS:
        raise bad_request("`model` must be a model's name: see /v1/models.", param="model")
    return model


def choices_each(fields: Mapping[str, Any], most: int) -> int:
    """How many answers one prompt gets, or an `ApiError` 400 if these are more than `most`."""
    name = "n" if "n" in fields else "n_cmpl"
    choices: int = fields.get(name, 1)
    if not 1 <= choices <= most:
        raise bad_request(f"`{name}` must be from 1 to {most}.", param=name)
    return choices


def check_answers(answers: int, most: int) -> None:
    """Raises an `ApiError` 400 for more than `most` answers to all prompts of a request."""
    if answers > most:
        raise bad_request(
            f"`prompt` and `n` ask for {answers} answers, and a request may have {most} at most: "
            "send the prompts in several requests.",
            param="prompt",
        )


def body_of_choice(fields: Mapping[str, Any], choice: int) -> dict[str, Any]:
    """What llama-server is asked for choice number `choice` of a prompt: always a stream."""
    body = {**fields, **_UPSTREAM}
    seed = body.get("seed")
    if choice and seed is not None and seed % 2**32 != RANDOM_SEED:
        body["seed"] = (seed + choice) % 2**32  # as llama-server seeds its own choices
    return body


def wants_of(*, stream: bool, usage: bool, progress: bool, timings: bool) -> frozenset[Want]:
    """What the bridge should pass on. An answer in one piece always tells its usage."""
    if not stream:
        return frozenset({Want.USAGE})
    asked = {Want.USAGE: usage, Want.PROGRESS: progress, Want.TIMINGS: timings}
    return frozenset({Want.STREAM, *(want for want, yes in asked.items() if yes)})
