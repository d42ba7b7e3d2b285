"""Reads a request for /infill: what stands before and after a gap in a text. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.body import parse_object
from api.errors import bad_request
from api.native.request import NativeRequest, Prompts, request_of
from api.prompts import prompt_tokens
from api.request_fields import text_of
from api.settings import ApiSettings
from dispatcher.needs import INFILL, Needs

_TEXTS = ("input_prefix", "input_suffix", "prompt")
_MOST_EXTRAS = 1024
# An editor's requests share a name, so that they go where a cache knows the files.
_CACHE_KEY = "infill"


def parse_infill(body: bytes, settings: ApiSettings) -> NativeRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    fields = {"prompt": "", **fields}
    texts = {name: _text(fields, name) for name in _TEXTS}
    extras = _extras(fields.get("input_extra", []))
    said = [*texts.values(), *(text for extra in extras for text in extra.values())]
    about = Prompts(
        [{**texts, "input_extra": extras}],
        prompt_tokens(["".join(said)]),
        needs=Needs(frozenset({INFILL})),
        cache_key=_CACHE_KEY,
    )
    return request_of(fields, about, settings)


def _text(fields: Mapping[str, Any], name: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str):
        raise bad_request(f"`{name}` must be a string.", param=name)
    return text


def _extras(extras: Any) -> Sequence[Mapping[str, str]]:
    """What other files say, without what only their editor knows, such as when it read them."""
    if not isinstance(extras, list) or len(extras) > _MOST_EXTRAS:
        raise bad_request(
            f"`input_extra` must be a list of {_MOST_EXTRAS} items at most.", param="input_extra"
        )
    return [_extra(extra, f"input_extra[{i}]") for i, extra in enumerate(extras)]


def _extra(extra: Any, where: str) -> Mapping[str, str]:
    if not isinstance(extra, dict):
        raise bad_request(f'`{where}` must be {{"filename": …, "text": …}}.', param=where)
    named = {"filename": text_of(extra, "filename", where)} if extra.get("filename") else {}
    return {**named, "text": text_of(extra, "text", where)}
