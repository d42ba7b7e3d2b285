"""How large a JSON schema may be, and how much it may leave open. Pure.

llama-server makes a grammar of each schema: of `response_format`, and of the parameters of each
tool. What hurts it in a `grammar` (see `api/grammar/grammar.py`) hurts it here too. Measured beside
that:

what                                           hurts at                         bound
optional properties of one object              1,000: 3 s                       256
values of an enum                              5,000: 1 s                       1,000
`"type": ["object", …]` in each other          15 deep: 1.4 s, 0.2 GB           10,000 parts in all
`minItems` above `maxItems`                    all memory                       400
`$ref` that leads back to itself               SIGSEGV                          400
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from api.body import parse_json
from api.errors import bad_request
from api.grammar.gbnf import BadGrammar
from api.grammar.gbnf_reader import MOST_REPEATS
from api.grammar.grammar import MOST_ELEMENTS, check_grammar
from api.grammar.pattern import pattern_grammar
from api.grammar.schema_grammar import SchemaGrammar, properties_of, required_of, resolved
from api.json_text import compact

MOST_BYTES = 131_072
MOST_DEPTH = 64
MOST_PARTS = 10_000
MOST_OPTIONAL = 256
MOST_WAYS = 1024
_WAYS = {"string": 1, "boolean": 2, "null": 1, "number": 20, "integer": 64}
_ANY_WAYS = 32
_BOUNDS = (("minItems", "maxItems"), ("minLength", "maxLength"))

Schema = Mapping[str, Any]


def check_schema(schema: Any, name: str) -> None:
    """Raise an `ApiError` 400 that names the field, for a schema that takes too much of a server.

    What is no schema at all is left to llama-server to judge.
    """
    text = compact(schema)  # the order of properties counts
    if len(text) > MOST_BYTES:
        raise bad_request(f"`{name}` must have {MOST_BYTES} bytes at most.", param=name)
    if reason := _reason(text):
        raise bad_request(f"`{name}` can't be used: {reason}.", param=name)


@lru_cache(1024)  # a client sends the same tools again and again
def _reason(text: bytes) -> str:
    schema = parse_json(text, MOST_DEPTH * 4)
    walk = _Walk(schema)
    try:
        walk.ways(schema, 0)
        if walk.is_recursive:
            check_grammar(SchemaGrammar(schema).text())
    except BadGrammar as error:
        return str(error)
    return ""


@dataclass(slots=True)
class _Walk:
    """Counts the parts of one schema, and in how many ways it can be read at once."""

    root: Any
    is_recursive: bool = False
    _parts: int = 0
    _elements: int = 0
    _refs: dict[str, int] = field(default_factory=dict)

    def ways(self, schema: Any, depth: int) -> int:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadGrammar(f"it has more than {MOST_PARTS} parts")
        if depth > MOST_DEPTH:
            raise BadGrammar(f"it nests deeper than {MOST_DEPTH} levels")
        if not isinstance(schema, dict):
            return _ANY_WAYS
        found = self._ways(schema, depth + 1)
        if found > MOST_WAYS:
            raise BadGrammar(f"it leaves more than {MOST_WAYS} ways open at once")
        return found

    def _ways(self, schema: Schema, depth: int) -> int:
        self._check_bounds(schema)
        if "$ref" in schema:
            return self._ref_ways(schema["$ref"], depth)
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list):
                return sum(self.ways(each, depth) for each in schema[name])
        kind = schema.get("type")
        if isinstance(kind, list):
            return sum(self.ways({**schema, "type": each}, depth) for each in kind)
        if isinstance(values := schema.get("enum"), list):
            return len(values)
        inner = self._inner_ways(schema, depth)
        return max(inner, _WAYS.get(str(kind), 1 if inner else _ANY_WAYS))

    def _inner_ways(self, schema: Schema, depth: int) -> int:
        properties = properties_of(schema)
        inner = [self.ways(each, depth) for each in properties.values()]
        for name in ("additionalProperties", "items", "prefixItems", "allOf"):
            value = schema.get(name)
            several = value if isinstance(value, list) else [value]
            inner += [self.ways(each, depth) for each in several if isinstance(each, dict)]
        if isinstance(pattern := schema.get("pattern"), str):
            inner.append(self._pattern_ways(pattern))
        return max(*inner, self._optional(schema, properties), 0)

    def _optional(self, schema: Schema, properties: Mapping[str, Any]) -> int:
        optional = len(properties.keys() - required_of(schema))
        if optional > MOST_OPTIONAL:
            raise BadGrammar(f"an object has more than {MOST_OPTIONAL} optional properties")
        return optional

    def _ref_ways(self, ref: Any, depth: int) -> int:
        if not isinstance(ref, str):
            return 1
        if ref in self._refs:
            self.is_recursive |= self._refs[ref] == 0
        else:
            self._refs[ref] = 0  # while it is looked at
            self._refs[ref] = self.ways(resolved(self.root, ref), depth)
        return max(1, self._refs[ref])

    def _pattern_ways(self, pattern: str) -> int:
        try:
            grammar = pattern_grammar(pattern)
            return check_grammar(grammar) if grammar else 1
        except BadGrammar as error:
            raise BadGrammar(f"its `pattern` is too much: {error}") from error

    def _check_bounds(self, schema: Schema) -> None:
        for names in _BOUNDS:
            least, most = (
                value if isinstance(value := schema.get(name), int) else None for name in names
            )
            if least is not None and most is not None and least > most:
                raise BadGrammar(f"its `{names[0]}` is larger than its `{names[1]}`")
            self._elements += 4 * min(max(least or 0, most or 0), MOST_REPEATS)
        if self._elements > MOST_ELEMENTS:
            raise BadGrammar("its lengths of texts and lists are too large in sum")


@dataclass(frozen=True, slots=True)
class SchemaField:
    """A schema of its own."""

    def checked(self, value: Any, name: str) -> Any:
        """The schema, or an `ApiError` 400."""
        check_schema(value, name)
        return value


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """OpenAI's `response_format`, in which a schema may lie."""

    def checked(self, value: Any, name: str) -> dict[str, Any]:
        """The format, or an `ApiError` 400."""
        if not isinstance(value, dict):
            raise bad_request(f"`{name}` must be an object.", param=name)
        check_schema(value.get("schema"), f"{name}.schema")
        wrapped = value.get("json_schema")
        if isinstance(wrapped, dict):
            check_schema(wrapped.get("schema"), f"{name}.json_schema.schema")
        return value
