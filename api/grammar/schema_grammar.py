"""The grammar that llama-server makes of a schema, in outline: what it may begin and go on with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from api.grammar.gbnf import BadGrammar

_BASE = r"""
s ::= | " " | "\n" [ \t]{0,20}
string ::= "\"" ([^"\\] | "\\" .)* "\""
number ::= "-"? [0-9]+ ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
boolean ::= "true" | "false"
null ::= "null"
object ::= "{" s (string ":" s value ("," s string ":" s value)*)? s "}"
array ::= "[" s (value ("," s value)*)? s "]"
value ::= object | array | string | number | boolean | null
"""

_MOST_OPTIONAL = 64
_MOST_DEPTH = 128
Schema = Mapping[str, Any]


def resolved(root: Any, ref: str) -> Any:
    """What a reference points at; None where that is not in this schema."""
    found = root
    for name in ref.split("/")[1:]:
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict):
            found = found.get(name)
        else:
            return None
    return found


def properties_of(schema: Schema) -> Mapping[str, Any]:
    """The schemas of an object's properties, by name."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def required_of(schema: Schema) -> set[str]:
    """The names of the properties that an object must have."""
    required = schema.get("required")
    return (
        {each for each in required if isinstance(each, str)}
        if isinstance(required, list)
        else set()
    )


class SchemaGrammar:
    """Of one schema whose size is checked."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._lines: list[str] = []
        self._refs: dict[str, str] = {}
        self._depth = 0

    def text(self) -> str:
        """The grammar."""
        name = self._rule(self._root)
        return "\n".join([f"root ::= {name}", *self._lines]) + _BASE

    def _named(self, text: str) -> str:
        name = f"r{len(self._lines)}"
        self._lines.append(f"{name} ::= {text}")
        return name

    def _rule(self, schema: Any) -> str:
        """The name of a rule for it."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:  # llama-server never ends with this: SIGSEGV
            raise BadGrammar("an `allOf` in it leads back to itself")
        name = self._any_rule(schema)
        self._depth -= 1
        return name

    def _any_rule(self, schema: Any) -> str:
        if not isinstance(schema, dict):
            return "value"
        if isinstance(schema.get("$ref"), str):
            return self._ref(schema["$ref"])
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self._named(" | ".join([self._rule(each) for each in schema[name]]))
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return self._named(" | ".join([self._rule({**schema, "type": k}) for k in kind]))
        if "const" in schema:
            return self._named(_literal(schema["const"]))
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._named(" | ".join(map(_literal, schema["enum"])))
        return self._structure(schema, kind)

    def _structure(self, schema: Schema, kind: Any) -> str:
        if kind == "integer":
            return "number"
        if kind in ("string", "number", "boolean", "null"):
            return str(kind)
        has_properties = (
            "properties" in schema or schema.get("additionalProperties", True) is not True
        )
        if kind != "array" and (has_properties or "allOf" in schema):
            return self._object(schema if has_properties else self._merged(schema))
        if kind != "object" and ("items" in schema or "prefixItems" in schema):
            return self._array(schema)
        return str(kind) if kind in ("object", "array") else "value"

    def _ref(self, ref: str) -> str:
        if ref not in self._refs:
            place = len(self._lines)
            self._refs[ref] = self._named("")
            self._lines[place] += self._rule(resolved(self._root, ref))
        return self._refs[ref]

    def _merged(self, schema: Schema) -> Schema:
        """The object that has the properties of all that it must be at once."""
        properties: dict[str, Any] = {}
        required: list[Any] = []
        for part, is_must in self._components(schema["allOf"], frozenset(), True):
            if properties.keys() & part["properties"].keys():
                raise BadGrammar("parts of an `allOf` in it have the same property")
            properties |= part["properties"]
            named = part.get("required")
            required += named if is_must and isinstance(named, list) else []
        return {"properties": properties, "required": required}

    def _components(
        self, parts: Any, seen: frozenset[str], is_must: bool
    ) -> Iterator[tuple[Schema, bool]]:
        """The objects among the parts of an `allOf`, and whether their properties are required."""
        for part in parts if isinstance(parts, list) else ():
            inside = seen
            while isinstance(part, dict) and isinstance(part.get("$ref"), str):
                if part["$ref"] in inside:
                    raise BadGrammar("a `$ref` in it leads back to itself")
                inside |= {part["$ref"]}
                part = resolved(self._root, part["$ref"])
            if not isinstance(part, dict):
                continue
            for name in ("allOf", "anyOf", "oneOf"):
                must = is_must and name == "allOf"
                yield from self._components(part.get(name), inside, must)
            if isinstance(part.get("properties"), dict):
                yield part, is_must

    def _object(self, schema: Schema) -> str:
        properties, named = properties_of(schema), required_of(schema)
        pairs = {
            name: f'{_literal(name)} s ":" s {self._rule(each)}'
            for name, each in properties.items()
        }
        must = [pair for name, pair in pairs.items() if name in named]
        may = [self._named(pair) for name, pair in pairs.items() if name not in named]
        if schema.get("additionalProperties", not properties):
            # llama-server leaves out the names above: such a key is told apart like this one.
            may.append(self._named(f'"\\x01" string ":" s {self._additional(schema)}'))
        inside = ' "," s '.join(must)
        if may:
            inside += f' ("," s {self._rest(may)})?' if must else f" ({self._rest(may)})?"
        return self._named(f'"{{" s {inside} s "}}"')

    def _additional(self, schema: Schema) -> str:
        return self._rule(schema.get("additionalProperties"))

    def _rest(self, may: list[str]) -> str:
        """Any of the optional ones in their order. The last may have any name, and may repeat.

        All that may come next are alternatives of one rule, so that their names tell them apart.
        """
        if len(may) > _MOST_OPTIONAL:
            raise BadGrammar(
                f"an object that refers to itself has more than {_MOST_OPTIONAL} optional "
                "properties"
            )
        following: list[str] = []
        for name in reversed(may):
            rest = " | ".join(f'"," s {each}' for each in following)
            following.insert(0, self._named(f"{name} ({rest})?" if rest else name))
        return self._named(" | ".join(following))

    def _array(self, schema: Schema) -> str:
        items = schema["items"] if "items" in schema else schema["prefixItems"]
        if isinstance(items, list):
            inside = ' "," s '.join([self._rule(each) for each in items])
            return self._named(f'"[" s {inside} s "]"')
        item = self._rule(items)
        return self._named(f'"[" s ({item} ("," s {item})*)? s "]"')


def _literal(value: Any) -> str:
    text = json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
    return text.replace("\0", "")
