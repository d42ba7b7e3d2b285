"""For each field of the table: values at its limit, and values above it."""

from dataclasses import dataclass, field
from typing import Any

CONTEXT = 2048  # tokens of a slot, see `LlamaServer`

INT = 2**31
USER = {"role": "user", "content": "Hi"}
HALF = {"role": "assistant", "content": "He"}
# A user and an assistant in turn, as chat templates expect it.
TURNS = [USER, {"role": "assistant", "content": "x"}]
STRING = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Case:
    """`good` values are answered, `bad` ones refused. `beside` are other fields that it needs.

    `param` is what the refusal names, where that is not the field. A `long` good value is more than
    the small context of a test holds.
    """

    good: list[Any]
    bad: list[Any]
    beside: dict[str, Any] = field(default_factory=dict)
    param: str = ""
    long: bool = False


def tool(name: str = "f", parameters: Any = None) -> dict[str, Any]:
    function = {"name": name, "parameters": parameters or {"type": "object", "properties": {}}}
    return {"type": "function", "function": function}


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def properties(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{i}": STRING for i in range(count)}}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def linked(depth: int) -> dict[str, Any]:
    """A schema that nests deeper than it looks."""
    parts = {f"d{i}": {"type": "array", "items": {"$ref": f"#/d{i + 1}"}} for i in range(depth)}
    return {"$ref": "#/d0", **parts, f"d{depth}": STRING}


def doubled(depth: int) -> dict[str, Any]:
    """A schema that can be read in twice as many ways with each level."""
    schema: dict[str, Any] = STRING
    for _ in range(depth):
        schema = {"type": ["object", "object"], "properties": {"a": schema}, "required": ["a"]}
    return schema


def parentheses(depth: int) -> str:
    return "root ::= " + "(" * depth + '"a"' + ")" * depth


def many_starts(rules: int) -> str:
    """A grammar whose ways to begin double with each rule."""
    chain = [f"r{i} ::= r{i + 1} | r{i + 1}" for i in range(rules)]
    return "\n".join(["root ::= r0", *chain, f'r{rules} ::= "a"'])


def choices(count: int) -> str:
    return "root ::= " + " | ".join(f'"{i}x"' for i in range(count))


NUMBER = Case([-1e6, 1e6, 1, 0.5], [1.1e6, -1.1e6, "1", True, [1]])
FLAG = Case([True, False], ["true", 1])
COUNT = Case([0, INT - 1, 3.0], [-1, INT, 1.5, "3"])
LIMIT = Case([-1, 3], [-2, INT, 1.5, "3"], {"max_tokens": ...})
BUDGET = Case([-1, 0, INT - 1], [-2, INT, "3"])
LAST_N = {"repeat_penalty": 1.1, "dry_multiplier": 0.5}

SCHEMAS_OK: list[Any] = [
    nested(50),
    linked(31),
    properties(256),
    {"type": "string", "enum": [f"v{i}" for i in range(1000)]},
    doubled(6),
    {"type": "string", "minLength": 2000},
    {"type": "array", "items": STRING, "minItems": 2, "maxItems": 2},
    {"type": "string", "pattern": "^[a-z]{2,3}(-[0-9]+)?$"},
]
SCHEMAS_BAD: list[Any] = [
    linked(40),
    properties(257),
    {"type": "string", "enum": [f"v{i}" for i in range(1025)]},
    doubled(15),
    {"type": "array", "items": STRING, "minItems": 5, "maxItems": 2},
    {"type": "string", "minLength": 5, "maxLength": 2},
    {"type": "string", "pattern": "^a{5,2}$"},
    {"type": "string", "pattern": "^" + "(" * 80 + "a" + ")" * 80 + "$"},
    # A circle of references: SIGSEGV.
    {
        "$ref": "#/a",
        "a": {"allOf": [{"$ref": "#/b"}]},
        "b": {"$ref": "#/c"},
        "c": {"$ref": "#/b"},
    },
    # One through the properties of what must be at once: SIGSEGV too.
    {
        "allOf": [{"$ref": "#/a"}],
        "a": {"properties": {"x": {"allOf": [{"$ref": "#/a"}]}}},
    },
    # Twice as many ways with each bracket.
    {
        "$ref": "#/a",
        "a": {"anyOf": [{"type": "array", "items": {"$ref": "#/a"}, "minItems": 1}] * 2},
    },
    {"description": "x" * 140_000},
]
GRAMMARS_OK = [
    parentheses(64),
    many_starts(8),
    choices(1000),
    'root ::= "' + "a" * 16_000 + '"',
    'root ::= [a-z]{2000} "a"{0,2000}',
    'root ::= value\nvalue ::= "[" (value ("," value)*)? "]" | [0-9]+',
    "",
]
GRAMMARS_BAD = [
    3,
    parentheses(65),
    parentheses(8000),
    many_starts(22),
    choices(1100),
    'root ::= "' + "a" * 17_000 + '"',
    "root ::= " + '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"{2000} ' * 20,
    'root ::= "a"{5,2}',
    'root ::= a\na ::= "a" a "b" | "a" a "c"',
    'root ::= e\ne ::= t | t "+" e\nt ::= "(" e ")" | "a"',
    'root ::= b\nb ::= n b "x" | "y"\nn ::= m\nm ::= "" | "z"',
    'root ::= root "a"',
    'root ::= "a',
    'start ::= "a"',
    "%llguidance {}",
]

CASES: dict[str, Case] = {
    "model": Case(["tiny"], ["m" * 257, 3]),
    "messages": Case([TURNS * 2047 + [USER, USER]], [TURNS * 2048 + [USER], "Hi"], long=True),
    "tools": Case([[tool(f"f{i}") for i in range(512)]], [[tool()] * 513, {}], long=True),
    "parallel_tool_calls": FLAG,
    "chat_template_kwargs": Case(
        [{f"k{i}": i for i in range(256)}, {"k": "x" * 65_000}],
        [{f"k{i}": i for i in range(257)}, {"k": "x" * 66_000}, []],
    ),
    "reasoning_effort": Case(["high", "x" * 64], ["x" * 65, 3]),
    "reasoning_format": Case(["none", "auto", "deepseek", "deepseek-legacy"], ["x", 3]),
    "reasoning_budget_tokens": BUDGET,
    "thinking_budget_tokens": BUDGET,
    "reasoning_budget_message": Case(["x" * 4096], ["x" * 4097, 3]),
    "add_generation_prompt": FLAG,
    "continue_final_message": Case(
        [True, False, "content"],
        ["x", 1],
        {"messages": [USER, HALF], "add_generation_prompt": False},
    ),
    "echo": FLAG,
    "response_format": Case(
        [{"type": "text"}, {"type": "json_object"}, *map(schema_format, SCHEMAS_OK)],
        [*map(schema_format, SCHEMAS_BAD)],
        param="response_format.json_schema.schema",
    ),
    "json_schema": Case(SCHEMAS_OK, SCHEMAS_BAD),
    "grammar": Case(GRAMMARS_OK, GRAMMARS_BAD),
    "stop": Case(["x" * 1024, ["y" * 1024] * 128], ["x" * 1025, ["y"] * 129, ["y", 3], 3]),
    "ignore_eos": FLAG,
    "n_predict": LIMIT,
    "max_completion_tokens": LIMIT,
    "max_tokens": LIMIT,
    "n_indent": Case([0, 1000], [-1, 1001, "x"]),
    "logprobs": FLAG,
    "top_logprobs": Case([0, 20], [-1, 21, "x"], {"logprobs": True}),
    "n_probs": Case([0, 20], [-1, 21, "x"]),
    "post_sampling_probs": FLAG,
    "seed": Case([-(2**63), 2**64 - 1], [-(2**63) - 1, 2**64, 1.5]),
    "temperature": NUMBER,
    "dynatemp_range": NUMBER,
    "dynatemp_exponent": NUMBER,
    "top_k": Case([-1, INT - 1], [-2, INT, 1.5]),
    "top_p": NUMBER,
    "min_p": NUMBER,
    "typical_p": NUMBER,
    "top_n_sigma": NUMBER,
    "xtc_probability": NUMBER,
    "xtc_threshold": NUMBER,
    "min_keep": COUNT,
    "repeat_last_n": Case([0, CONTEXT], [-2, CONTEXT + 1, INT - 1], LAST_N),
    "repeat_penalty": Case([0.001, 1e6], [0, -1, 1.1e6, "x"]),
    "frequency_penalty": NUMBER,
    "presence_penalty": NUMBER,
    "dry_multiplier": NUMBER,
    "dry_base": NUMBER,
    "dry_allowed_length": COUNT,
    "dry_penalty_last_n": Case([0, CONTEXT], [-2, CONTEXT + 1, INT - 1], LAST_N),
    "dry_sequence_breakers": Case(
        [["x" * 256] * 20], [["x"] * 21, ["x" * 257], "x", [3]], {"dry_multiplier": 0.5}
    ),
    "mirostat": Case([0, 1, 2], [-1, 3, "x"]),
    "mirostat_tau": NUMBER,
    "mirostat_eta": NUMBER,
    "adaptive_target": NUMBER,
    "adaptive_decay": Case([0, 0.99], [-0.1, 1, "x"]),
    "samplers": Case(
        [
            ["dry", "top-k", "typ_p", "TOP_P", "min_p", "xtc", "temperature", "penalties"],
            "edkypmxt",
        ],
        [["dry", "DRY"], ["top_k", "top-k"], "kk", ["x" * 65], [str(i) for i in range(17)], 3],
    ),
    "logit_bias": Case(
        [{str(i): 1 for i in range(4096)}, [[1, 1e300], ["x" * 256, False]]],
        [{str(i): 1 for i in range(4097)}, [[1]], [["x" * 257, 1]], {"1": True}, {"1": "x"}, 3],
    ),
    # What the API acts on itself.
    "stream": FLAG,
    "stream_options": Case([{}, {"include_usage": True}], [[], "x"], {"stream": True}),
    "return_progress": FLAG,
    "timings_per_token": FLAG,
    "n": Case([1, 8], [0, 9, 1.5, "x"]),
    "n_cmpl": Case([1, 8], [0, 9, 1.5, "x"]),
    "prompt_cache_key": Case(["x"], [3]),
}
