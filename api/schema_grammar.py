"""The grammar that llama-server makes of a schema, in outline: what it may begin and go on with."""

import json
from collections.abc import Mapping
from typing import Any

from api.gbnf import BadGrammar

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


class SchemaGrammar:
    """Of one schema whose size is checked."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._lines: list[str] = []
        self._refs: dict[str, str] = {}

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
            return self._object(schema if has_properties else self._merged(schema, frozenset()))
        if kind != "object" and ("items" in schema or "prefixItems" in schema):
            return self._array(schema)
        return str(kind) if kind in ("object", "array") else "value"

    def _ref(self, ref: str) -> str:
        if ref not in self._refs:
            place = len(self._lines)
            self._refs[ref] = self._named("")
            self._lines[place] += self._rule(resolved(self._root, ref))
        return self._refs[ref]

    def _merged(self, schema: Schema, seen: frozenset[str]) -> Schema:
        """The object that has the properties of all that it must be at once."""
        properties: dict[str, Any] = {}
        required: list[Any] = []
        for each in schema["allOf"] if isinstance(schema["allOf"], list) else ():
            inside = seen
            while isinstance(each, dict) and isinstance(each.get("$ref"), str):
                if each["$ref"] in inside:
                    raise BadGrammar("a `$ref` in it leads back to itself")
                inside |= {each["$ref"]}
                each = resolved(self._root, each["$ref"])
            if isinstance(each, dict) and isinstance(each.get("allOf"), list):
                each = self._merged(each, inside)
            if isinstance(each, dict) and isinstance(each.get("properties"), dict):
                properties |= each["properties"]
                required += each.get("required") or []
        return {"properties": properties, "required": required}

    def _object(self, schema: Schema) -> str:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        named = (
            {each for each in required if isinstance(each, str)}
            if isinstance(required, list)
            else set()
        )
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
        """Any of the optional ones in their order; the last may be one of any name, which repeats.

        All that may come next are alternatives of one rule, so that their names tell them apart.
        """
        if len(may) > _MOST_OPTIONAL:
            raise BadGrammar(
                f"an object that refers to itself has more than {_MOST_OPTIONAL} optional "
                "properties"
            )
        behind: list[str] = []
        for name in reversed(may):
            rest = " | ".join(f'"," s {each}' for each in behind)
            behind.insert(0, self._named(f"{name} ({rest})?" if rest else name))
        return self._named(" | ".join(behind))

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
