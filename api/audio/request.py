"""Reads a request for a transcription as the request for a chat that it stands for. Pure."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.chat.request import ChatRequest, chat_of
from api.errors import bad_request
from api.json_text import read
from api.multipart import Form, read_form
from api.rules import File, Flag, Number, Rule, Text, Whole, Word
from api.sampling_fields import OWN, SAMPLING
from api.settings import ApiSettings
from api.sound import flaw_of
from api.unknown_fields import unknown_fields
from dispatcher.needs import TRANSCRIPTION

Json = dict[str, Any]

USUAL_PROMPT = "Transcribe audio to text"
_FILE = File()
_PROMPT = Text(65_536)
_LANGUAGE = Text(64)
_FORMAT = Word(("json",))  # llama-server makes no other
_NO_EFFECT = {"n_probs", "post_sampling_probs"}  # on a text without its tokens
# A form has nothing but text, so it can't have lists and objects.
_SAMPLING: Mapping[str, Rule] = {
    name: rule
    for name, rule in SAMPLING.items()
    if isinstance(rule, Flag | Number | Whole) and name not in _NO_EFFECT
}
_OF_CHAT: Mapping[str, Rule | None] = {
    **{"model": SAMPLING["model"], "stream": OWN["stream"]},
    "prompt_cache_key": OWN["prompt_cache_key"],
    **_SAMPLING,
    **dict.fromkeys(("user", "service_tier")),
}
FIELDS: Mapping[str, Rule | None] = {
    **{"file": _FILE, "prompt": _PROMPT, "language": _LANGUAGE, "response_format": _FORMAT},
    **_OF_CHAT,
}
_KNOWN = frozenset(FIELDS)
_NUMBER = re.compile(r"[+-]?(?:\d{1,32}(?:\.\d{0,32})?|\.\d{1,32})(?:[eE][+-]?\d{1,2})?")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def parse_transcription(body: bytes, settings: ApiSettings) -> ChatRequest:
    """What the form `body` asks for, or an `ApiError` 400 that names the field and what to do."""
    form = read_form(body)
    sound = _sound(form)
    fields: Json = {name: _value(name, text) for name, text in form.fields.items()}
    fields |= {
        name: _json(text) for name, text in form.fields.items() if name in settings.forwarded
    }
    chat = {name: fields[name] for name in _OF_CHAT.keys() & fields.keys()}
    chat["messages"] = [{"role": "user", "content": [_text(fields), _heard(sound)]}]
    if fields.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}  # its last event tells it
    _FORMAT.checked(fields.get("response_format", "json"), "response_format")
    others = dict.fromkeys(form.files.keys() - {"file"}, "")
    unknown = unknown_fields(_plainly_named({**fields, **others}), _KNOWN, settings)
    asked = chat_of(chat, settings, unknown)
    return replace(asked, needs=asked.needs.able(TRANSCRIPTION))


def _sound(form: Form) -> bytes:
    if twice := sorted(form.repeated & _KNOWN):
        raise bad_request(f"`{twice[0]}` must be there once only.", param=twice[0])
    if strays := sorted(form.files.keys() & _KNOWN - {"file"}):
        raise bad_request(f"`{strays[0]}` must be a text, not a file.", param=strays[0])
    sound = _FILE.checked(form.files.get("file"), "file")
    if flaw := flaw_of(sound):
        raise bad_request(f"The sound in `file` {flaw}.", param="file")
    return sound


def _value(name: str, text: str) -> Any:
    """What a field of a form means; a text that can't mean it stays one, which its rule refuses."""
    rule = _OF_CHAT.get(name)
    if isinstance(rule, Flag):
        return _FLAGS.get(text.strip().lower(), text)
    number = text.strip()
    if isinstance(rule, Number | Whole) and _NUMBER.fullmatch(number):
        return int(number) if number.lstrip("+-").isdecimal() else float(number)
    return text


def _json(text: str) -> Any:
    """What an operator has passed on may be a number or a list."""
    try:
        return read(text.encode())
    except ValueError:
        return text


def _text(fields: Json) -> Json:
    """What the model is told to do: `prompt` in place of the usual words, as at llama-server."""
    prompt = _PROMPT.checked(fields.get("prompt", ""), "prompt") or USUAL_PROMPT
    language = _LANGUAGE.checked(fields.get("language", ""), "language")
    return {"type": "text", "text": f"{prompt} (language: {language})" if language else prompt}


def _heard(sound: bytes) -> Json:
    """The sound. llama-server finds out itself which format it really has."""
    data = b64encode(sound).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def _plainly_named(fields: Json) -> Json:
    """Unknown names of lists without the brackets that forms give them.

    >>> _plainly_named({"include[]": "logprobs", "prompt[]": ""})
    {'include': 'logprobs', 'prompt[]': ''}
    """
    plain = {name: name.removesuffix("[]") for name in fields}
    return {name if plain[name] in _KNOWN else plain[name]: fields[name] for name in fields}
