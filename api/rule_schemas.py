"""What the rules of `api.rules` say of a value, as JSON schemas. Pure."""

from functools import singledispatch
from typing import Any

from api.grammar.grammar import MOST_CHARS, Grammar
from api.grammar.schema import ResponseFormat
from api.rules import (
    Biases,
    File,
    Flag,
    Items,
    Kwargs,
    Logprobs,
    Number,
    Samplers,
    StreamOptions,
    Text,
    Texts,
    Whole,
    Word,
)

Json = dict[str, Any]


@singledispatch
def schema_of(rule: object) -> Json:
    """The JSON schema of the values that a rule lets pass; any value, where it can't be said."""
    return {}


@schema_of.register
def _(rule: Flag) -> Json:
    return {"type": "boolean"}


@schema_of.register
def _(rule: Number) -> Json:
    return {"type": "number", "minimum": rule.least, "maximum": rule.most}


@schema_of.register
def _(rule: Whole) -> Json:
    return {"type": "integer", "minimum": rule.least, "maximum": rule.most}


@schema_of.register
def _(rule: Logprobs) -> Json:
    return {"anyOf": [{"type": "boolean"}, schema_of(Whole(0, rule.most))]}


@schema_of.register
def _(rule: Text) -> Json:
    return {"type": "string", "maxLength": rule.most_chars}


@schema_of.register
def _(rule: Word) -> Json:
    return {"enum": list(rule.values)}


@schema_of.register
def _(rule: Texts) -> Json:
    text = schema_of(Text(rule.most_chars))
    several = {"type": "array", "items": text, "maxItems": rule.most}
    return {"anyOf": [text, several]} if rule.or_one else several


@schema_of.register
def _(rule: Items) -> Json:
    return {"type": "array", "maxItems": rule.most}


@schema_of.register
def _(rule: Samplers) -> Json:
    return schema_of(Texts(rule.most, rule.most_chars, or_one=True))


@schema_of.register
def _(rule: Biases) -> Json:
    bias = {"anyOf": [{"type": "number"}, {"const": False}]}
    token = {"anyOf": [{"type": "integer"}, schema_of(Text(rule.most_chars))]}
    pair = {"type": "array", "prefixItems": [token, bias], "minItems": 2, "maxItems": 2}
    return {
        "anyOf": [
            {"type": "object", "additionalProperties": bias, "maxProperties": rule.most},
            {"type": "array", "items": pair, "maxItems": rule.most},
        ]
    }


@schema_of.register
def _(rule: Kwargs) -> Json:
    return {"type": "object", "maxProperties": rule.most}


@schema_of.register
def _(rule: StreamOptions) -> Json:
    usage = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    return {"type": "object", "properties": {"include_usage": usage}}


@schema_of.register
def _(rule: Grammar) -> Json:
    return {"type": "string", "maxLength": MOST_CHARS}


@schema_of.register
def _(rule: ResponseFormat) -> Json:
    return {"type": "object"}


@schema_of.register
def _(rule: File) -> Json:
    return {"type": "string", "format": "binary"}
