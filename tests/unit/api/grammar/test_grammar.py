"""What a grammar or a schema may ask of llama-server, judged without one."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.chat.fields import FORWARDED
from api.errors import ApiError
from api.grammar.gbnf import BadGrammar
from api.grammar.grammar import MOST_CHARS, check_grammar
from testing.field_cases import CASES

PARTS = [
    "root ::=",
    "a ::=",
    " a",
    ' "a"',
    " [a-z]",
    " (",
    " )",
    "*",
    "?",
    "{1,3}",
    " |",
    "\n",
    "]",
]

# Grammars as people write them; most are llama.cpp's own examples.
GOOD = {
    "json": r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
""",
    "arithmetic": r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
""",
    "list": 'root ::= item+ # a comment\nitem ::= "- " [^\\r\\n\\x0b\\u2028]+ "\\n"',
    "lines": 'root ::= line | line root\nline ::= [a-z]+ "\\n"',
    "words": 'root ::= ([a-z]+ " "?)*',
    "nothing, again and again": 'root ::= ("a"* "b"?)* "."',
    "calls": 'root ::= e\ne ::= name | name "(" e ("," e)* ")" | "-" e\nname ::= [a-z]+',
    "yes or no": 'root ::= "yes" | "no" | "é" [^é-ü] . !<[1]> <think>',
    "empty set": 'root ::= [] "a"\r\n\r\n',
}
NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["value"],
    "additionalProperties": True,
}


def operation(kind: str) -> dict[str, Any]:
    sides = {side: {"$ref": "#/$defs/node"} for side in ("left", "right")}
    return {
        "type": "object",
        "properties": {"kind": {"const": kind}, **sides},
        "required": ["kind"],
    }


def refused(name: str, value: Any) -> str:
    with pytest.raises(ApiError) as caught:
        FORWARDED[name].checked(value, name)
    return caught.value.message


@pytest.mark.parametrize("name", GOOD)
def test_grammars_as_people_write_them_pass(name: str) -> None:
    assert FORWARDED["grammar"].checked(GOOD[name], "grammar") == GOOD[name]


@pytest.mark.parametrize("name", ["grammar", "json_schema"])
def test_cases_of_the_real_server_are_judged_as_there(name: str) -> None:
    for good in CASES[name].good:
        assert FORWARDED[name].checked(good, name) == good
    for bad in CASES[name].bad:
        assert f"`{name}`" in refused(name, bad)


@pytest.mark.parametrize(
    ("grammar", "says"),
    [
        ('root ::= a\na ::= b "x"\nb ::= a | "y"', "begins with itself"),
        ("root ::= a\na ::= b\nb ::= a", "leads nowhere"),
        ('root ::= a | a "x"\na ::= a "y"', "leads nowhere"),
        ("root ::= a", "no rule 'a'"),
        ('root ::= "a"{3000}', "more than 2000 times"),
        ('root ::= * "a"', "something to repeat"),
        ('root ::= "a"{x}', "whole numbers"),
        ('root ::= ("a"', "')'"),
        ('root ::= "\\q"', "an escape"),
        ('root ::= "a" }', "the end of the rule"),
        ('root ::= a\na ::= "x"+ (a "b" | "y" a "c") | "z"', "refers to itself"),
        ('root ::= s\na ::= "(" s | "[" t\ns ::= a s | ""\nt ::= a t | ""', "refers to itself"),
        ('root ::= a\na ::= "x" a? a "y" | "z"', "refers to itself"),
    ],
)
def test_bad_grammar_is_told_why(grammar: str, says: str) -> None:
    assert says in refused("grammar", grammar)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        [1],
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": {"anyOf": [operation("+"), operation("*"), {"type": "number"}]}},
        },
        {"properties": {"a": {"type": ["array", "null"], "items": {"$ref": "#"}}}},
        {"allOf": [{"properties": {"a": {"type": "integer", "minimum": 3}}}, {"required": ["a"]}]},
        {"type": "array", "prefixItems": [{"const": 'a"\\\n'}, {"enum": ["é", 1, None]}]},
        {"type": "string", "pattern": "^[a-z._%+-]+@[a-z.-]+\\.[a-z]{2,}$", "format": "email"},
        {"type": 3, "properties": 4, "required": 5, "items": 6, "anyOf": 7, "$ref": 8},
    ],
)
def test_schemas_as_people_write_them_pass(schema: Any) -> None:
    assert FORWARDED["json_schema"].checked(schema, "json_schema") == schema


def test_what_tells_alternatives_apart_must_come_first() -> None:
    late = operation("+") | {"properties": dict(reversed(operation("+")["properties"].items()))}
    either = {"anyOf": [late, {**late, "title": "another"}]}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": either}}
    assert "begin differently" in refused("json_schema", schema)


@given(st.lists(st.sampled_from(PARTS), max_size=25).map("".join))
def test_any_text_is_judged(text: str) -> None:
    with suppress(BadGrammar):
        assert check_grammar(text) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "root ::= " + " ".join('("a"|"b")?' for _ in range(1400)),
        "root ::= r0\n" + "\n".join(f'r{i} ::= "aaaaaa" r{i * 7 % 500} "b"' for i in range(500)),
        "root ::= " + " | ".join('"' + "a" * 500 + '"' for _ in range(32)),
        "root ::= " + " | ".join(f'a "{i}"' for i in range(1000)) + '\na ::= "b"',
    ],
)
def test_judging_takes_no_long_time(text: str) -> None:
    started = time.process_time()
    assert len(text) <= MOST_CHARS
    with suppress(BadGrammar):
        check_grammar(text)
    assert time.process_time() - started < 1
