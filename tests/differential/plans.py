"""How requests for each endpoint are made: one row for each."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from testing.field_cases import CASES, tool
from testing.tiny_ear import sound
from tests.differential.requests import FORM, ODD_TEXTS, TEXTS, Json, Plan, Values, changed

COLOUR = {"type": "string", "enum": ["red", "grün"]}
PAINT = {"type": "object", "properties": {"colour": COLOUR}, "required": ["colour"]}
LONG = "Hi " * 2000  # more than the context

# Bad values of these crash a llama-server or take its memory: they can't be sent to it directly.
_HARMFUL: Mapping[str, Sequence[Any]] = {
    "json_schema": [],
    "response_format": [],
    "grammar": [3, ["a"], 'root ::= "a', 'start ::= "a"'],
    "repeat_last_n": [-2, "x"],
    "dry_penalty_last_n": [-2, "x"],
}
# Beside those at the limits: values that change what is said.
_MIDDLE: Mapping[str, Sequence[Any]] = {
    "stop": [["a ", "zz"], "o"],
    "top_k": [1, 3],
    "top_p": [0.3],
    "min_p": [0.5],
    "typical_p": [0.3],
    "repeat_penalty": [1.8],
    "frequency_penalty": [1.5],
    "presence_penalty": [1.5],
    "logit_bias": [[[97, 9]], {"101": -100}, [["o", False]]],
    "grammar": ['root ::= "ab"+', "root ::= [a-e]+"],
    "json_schema": [{"type": "boolean"}, {"type": "string", "enum": ["grün", "b"]}],
    "dynatemp_range": [0.8],
    "mirostat_tau": [2],
    "samplers": [["top_k", "temperature"]],
    "xtc_probability": [0.5],
    "n_probs": [3],
}
_CHAT_ONLY = frozenset(
    {
        *("parallel_tool_calls", "chat_template_kwargs", "reasoning_effort", "reasoning_format"),
        *("reasoning_budget_tokens", "thinking_budget_tokens", "reasoning_budget_message"),
        *("add_generation_prompt", "continue_final_message", "echo", "response_format"),
        *("logprobs", "top_logprobs"),
    }
)
# Not a field of sampling, or made in another way here.
_LEFT_OUT = frozenset(
    {
        *("model", "messages", "tools", "seed", "stream", "stream_options", "return_progress"),
        *("timings_per_token", "n", "n_cmpl", "prompt_cache_key"),
    }
)
_SEED = Values([0, 42, 7.0, -(2**63)], [1.5, "x", 2**64])


def _values(names: Iterable[str]) -> dict[str, Values]:
    """What the tests of bounds know of these fields, and the values in the middle."""
    found = {"seed": _SEED}
    for name in names:
        case = CASES[name]
        good = [value for value in case.good if value != -1 or "predict" not in name]
        good += _MIDDLE.get(name, ())
        found[name] = Values(good, _HARMFUL.get(name, case.bad), case.beside)
    return found


_CHAT_FIELDS = _values(sorted(CASES.keys() - _LEFT_OUT))
_TEXT_FIELDS = _values(sorted(CASES.keys() - _LEFT_OUT - _CHAT_ONLY))


def _sampling(random: Random) -> Json:
    warm = random.random() < 0.3
    return {"temperature": 0.9 if warm else 0, "seed": 11}


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def _messages(random: Random) -> list[Json]:
    said = [_user(random.choice(TEXTS))]
    if random.random() < 0.4:
        said = [*said, {"role": "assistant", "content": random.choice(TEXTS)}, *said]
    return said


def _chat(random: Random) -> Json:
    said = _messages(random)
    if random.random() < 0.3:
        said = [{"role": "system", "content": random.choice(TEXTS)}, *said]
    limit = {"max_tokens": random.choice((1, 5, 12))}
    return {"model": "tiny", "messages": said, **limit, **_sampling(random)}


def _call(arguments: Any, **more: Any) -> Json:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return changed({"role": "assistant", "content": None, "tool_calls": [call]}, more)


def _said(*messages: Json, **more: Any) -> Json:
    return {"messages": list(messages), **more}


_RESULT = {"role": "tool", "tool_call_id": "c1", "content": "done"}
_HI = _user("Hi")
_FORCED = {"tools": [tool("paint", PAINT)], "max_tokens": 200}

_CHAT_ODD: Mapping[str, Json] = {
    **{f"content {text!r}": _said(_user(text)) for text in ODD_TEXTS},
    "assistant first": _said({"role": "assistant", "content": "Hello"}, _HI),
    "two users": _said(_HI, _HI),
    "assistant last": _said(_HI, {"role": "assistant", "content": "Well, "}),
    "assistant last in parts": _said(
        _HI, {"role": "assistant", "content": [{"type": "text", "text": "Well, "}]}
    ),
    "nothing from the assistant": _said(_HI, {"role": "assistant", "content": ""}, _HI),
    "null from the assistant": _said(_HI, {"role": "assistant", "content": None}, _HI),
    "parts": _said({"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}),
    "no parts": _said({"role": "user", "content": []}),
    "a developer": _said({"role": "developer", "content": "Be brief."}, _HI),
    "system in the middle": _said(_HI, {"role": "system", "content": "Be brief."}, _HI),
    "a name": _said({"role": "user", "content": "Hi", "name": "Ann"}),
    "a null name": _said({"role": "user", "content": "Hi", "name": None}),
    "an unknown field of a message": _said({"role": "user", "content": "Hi", "x": {"y": 1}}),
    "a call": _said(_HI, _call("{}"), _RESULT),
    "a call without arguments": _said(_HI, _call(""), _RESULT),
    "a call with an object": _said(_HI, _call({"a": 1}), _RESULT),
    "a call without content": _said(_HI, _call("{}", content=...), _RESULT),
    "a call with empty content": _said(_HI, _call("{}", content=""), _RESULT),
    "a result without a call": _said(_HI, _RESULT),
    "a thought": _said(_HI, {"role": "assistant", "content": "a", "reasoning_content": "b"}, _HI),
    "tools unused": {"tools": [tool("f")], "tool_choice": "none"},
    "no tools": {"tools": []},
    "a tool with nulls": {"tools": [tool("f") | {"strict": None}], "tool_choice": "none"},
    "a tool is required": {**_FORCED, "tool_choice": "required"},
    "tools, auto": {**_FORCED, "tool_choice": "auto"},
    "a tool by name": {
        **_FORCED,
        "tools": [tool("paint", PAINT), tool("erase", PAINT)],
        "tool_choice": {"type": "function", "function": {"name": "paint"}},
    },
    "no stops": {"stop": []},
    "an empty stop": {"stop": ""},
    "one of two limits": {"max_tokens": 3, "max_completion_tokens": 5},
    "usage": {"stream": True, "stream_options": {"include_usage": True}},
    "options without a stream": {"stream": ..., "stream_options": {"include_usage": True}},
    "several answers": {"n": 2},
    "odds and a stop": {"logprobs": True, "top_logprobs": 2, "stop": ["a ", "zz"]},
    "no limit": {"max_tokens": 0},
    "a schema": {"response_format": {"type": "json_object"}, "max_tokens": 60},
    "an empty schema": {"json_schema": {}, "max_tokens": 20},
    "an empty grammar": {"grammar": ""},
    "the store": {"store": False, "verbosity": "low", "modalities": ["text"]},
}
_CHAT_INVALID: Mapping[str, Json] = {
    "no messages": {"messages": ...},
    "empty messages": {"messages": []},
    "messages null": {"messages": None},
    "messages a string": {"messages": "Hi"},
    "messages of strings": {"messages": ["Hi"]},
    "no role": _said({"content": "Hi"}),
    "role 3": _said({"role": 3, "content": "Hi"}),
    "an unknown role": _said({"role": "narrator", "content": "Hi"}),
    "no content": _said({"role": "user"}),
    "content null": _said({"role": "user", "content": None}),
    "content 3": _said({"role": "user", "content": 3}),
    "content an object": _said({"role": "user", "content": {"text": "Hi"}}),
    "a part of an unknown type": _said({"role": "user", "content": [{"type": "smell"}]}),
    "a part without a type": _said({"role": "user", "content": [{"text": "Hi"}]}),
    "text 3": _said({"role": "user", "content": [{"type": "text", "text": 3}]}),
    "a picture elsewhere": _said(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a"}}],
        }
    ),
    "a picture": _said(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        }
    ),
    "calls that are none": _said(_HI, {"role": "assistant", "tool_calls": 3}),
    "a call without a function": _said(_HI, {"role": "assistant", "tool_calls": [{}]}),
    "arguments that are no JSON": _said(_HI, _call("{a"), _RESULT),
    "tools 3": {"tools": 3},
    "a tool 3": {"tools": [3]},
    "a tool without a name": {"tools": [{"type": "function", "function": {}}]},
    "a tool of another type": {"tools": [{"type": "web_search"}]},
    "parameters 3": {"tools": [tool("f", 3)]},
    "an unknown choice": {"tools": [tool("f")], "tool_choice": "perhaps"},
    "a choice of no tool": {
        "tools": [tool("f")],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
    },
    "choice 3": {"tools": [tool("f")], "tool_choice": 3},
    "too long": _said(_user(LONG)),
    "an unknown format": {"response_format": {"type": "poem"}},
    "format 3": {"response_format": 3},
    "a schema without one": {"response_format": {"type": "json_schema"}},
    "grammar and schema": {"grammar": 'root ::= "a"', "json_schema": {}},
    "many answers": {"n": 9},
    "stream 1": {"stream": 1},
    "model 3": {"model": 3},
    "odds with tools": {"tools": [tool("f")], "logprobs": True},
}

_PROMPT_ODD: Mapping[str, Json] = {
    **{f"prompt {text!r}": {"prompt": text} for text in ODD_TEXTS},
    "tokens": {"prompt": [72, 105]},
    "tokens and texts": {"prompt": [72, "i there"]},
    "two prompts": {"prompt": ["Hi", "Once"]},
    "prompts of tokens": {"prompt": [[72, 105], [79]]},
    "an object": {"prompt": {"prompt_string": "Hi"}},
    "no token": {"prompt": [[]]},
    "no stops": {"stop": []},
    "an empty grammar": {"grammar": ""},
    "an empty schema": {"json_schema": {}, "max_tokens": 20},
    "no limit": {"max_tokens": 0},
}
_PROMPT_INVALID: Mapping[str, Json] = {
    "no prompt": {"prompt": ...},
    "prompt null": {"prompt": None},
    "prompt 3.5": {"prompt": 3.5},
    "prompt true": {"prompt": True},
    "no prompts": {"prompt": []},
    "a prompt null": {"prompt": ["a", None]},
    "a token beyond": {"prompt": [999_999]},
    "a token below": {"prompt": [-1]},
    "deep prompts": {"prompt": [[["a"]]]},
    "too long": {"prompt": LONG},
    "stream 1": {"stream": 1},
    "stop 3": {"stop": 3},
    "many answers": {"n": 9},
}


def _completion(random: Random) -> Json:
    prompt = random.choice((*TEXTS, [72, 105], ["Hi", "Once"]))
    return {
        **{"model": "tiny", "prompt": prompt, "max_tokens": random.choice((1, 5, 12))},
        **_sampling(random),
    }


def _native(random: Random) -> Json:
    prompt = random.choice((*TEXTS, [72, 105], ["Hi", "Once"]))
    limit = {"n_predict": random.choice((1, 5, 12))}
    return {"model": "tiny", "prompt": prompt, **limit, **_sampling(random)}


def _infill(random: Random) -> Json:
    texts = {"input_prefix": random.choice(TEXTS), "input_suffix": random.choice(TEXTS)}
    extras = [{"filename": "a.py", "text": "import b\n"}] if random.random() < 0.4 else []
    more = {"input_extra": extras, "n_predict": 8}
    return {"model": "tiny", **texts, **more, **_sampling(random)}


_NATIVE_FIELDS: Mapping[str, Values] = {
    **_TEXT_FIELDS,
    "n_keep": Values([0, -1, 3], ["x", -2]),
    "return_tokens": Values([True, False], ["x", 1]),
    "response_fields": Values([["content", "generation_settings/n_predict"], []], [3, [3]]),
    "return_progress": Values([True, False], ["x"]),
    "timings_per_token": Values([True, False], ["x"]),
    "n_probs": Values([0, 3], [-1, 21, "x"]),
    "post_sampling_probs": Values([True, False], ["x"], {"n_probs": 2}),
}


def _message(random: Random) -> Json:
    said = _messages(random)
    system = {"system": random.choice(TEXTS)} if random.random() < 0.3 else {}
    limit = {"max_tokens": random.choice((1, 5, 12))}
    return {"model": "tiny", "messages": said, **system, **limit, "temperature": 0}


def _block(kind: str, **more: Any) -> Json:
    return _said({"role": "user", "content": [{"type": kind, **more}]})


_USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
_USED = {"role": "assistant", "content": [_USE]}
_BACK = {"type": "tool_result", "tool_use_id": "t1"}
_TOOL = {"name": "paint", "input_schema": PAINT}
_MESSAGE_ODD: Mapping[str, Json] = {
    **{f"content {text!r}": _said(_user(text)) for text in ODD_TEXTS},
    "system in blocks": {"system": [{"type": "text", "text": "Be brief."}]},
    "no system": {"system": ""},
    "blocks": _said({"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}),
    "assistant first": _said({"role": "assistant", "content": "Hello"}, _HI),
    "assistant last": _said(_HI, {"role": "assistant", "content": "Well, "}),
    "two users": _said(_HI, _HI),
    "a call": _said(_HI, _USED, {"role": "user", "content": [{**_BACK, "content": "done"}]}),
    "a result in blocks": _said(
        _HI,
        _USED,
        {"role": "user", "content": [{**_BACK, "content": [{"type": "text", "text": "done"}]}]},
    ),
    "a result without content": _said(_HI, _USED, {"role": "user", "content": [_BACK]}),
    "a failed call": _said(_HI, _USED, {"role": "user", "content": [{**_BACK, "is_error": True}]}),
    "a thought": _said(
        _HI,
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "b"}, {"type": "text", "text": "a"}],
        },
        _HI,
    ),
    "cache control": _block("text", text="Hi", cache_control={"type": "ephemeral"}),
    "a tool is required": {"tools": [_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 200},
    "tools, auto": {"tools": [_TOOL], "tool_choice": {"type": "auto"}},
    "tools unused": {"tools": [_TOOL], "tool_choice": {"type": "none"}},
    "a tool by name": {
        **{"tools": [_TOOL], "tool_choice": {"type": "tool", "name": "paint"}, "max_tokens": 200},
    },
    "no tools": {"tools": []},
    "no stops": {"stop_sequences": []},
    "no thinking": {"thinking": {"type": "disabled"}},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "a user id": {"metadata": {"user_id": "me"}},
    "no limit": {"max_tokens": ...},
    "a grammar": {"grammar": 'root ::= "ab"'},
}
_MESSAGE_INVALID: Mapping[str, Json] = {
    "no messages": {"messages": ...},
    "empty messages": {"messages": []},
    "messages a string": {"messages": "Hi"},
    "messages of strings": {"messages": ["Hi"]},
    "no role": _said({"content": "Hi"}),
    "an unknown role": _said({"role": "narrator", "content": "Hi"}),
    "content null": _said({"role": "user", "content": None}),
    "content 3": _said({"role": "user", "content": 3}),
    "no content": _said({"role": "user"}),
    "a block of an unknown type": _block("smell"),
    "a block without a type": _said({"role": "user", "content": [{"text": "Hi"}]}),
    "text 3": _block("text", text=3),
    "a picture elsewhere": _block("image", source={"type": "url", "url": "http://127.0.0.1:9/a"}),
    "a picture without a source": _block("image"),
    "system 3": {"system": 3},
    "tools 3": {"tools": 3},
    "a tool without a name": {"tools": [{"input_schema": {}}]},
    "a tool of Anthropic's": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "a choice of no tool": {"tools": [_TOOL], "tool_choice": {"type": "tool", "name": "g"}},
    "an unknown choice": {"tools": [_TOOL], "tool_choice": {"type": "perhaps"}},
    "choice 3": {"tools": [_TOOL], "tool_choice": 3},
    "too long": _said(_user(LONG)),
    "stream 1": {"stream": 1},
    "model 3": {"model": 3},
}
_MESSAGE_FIELDS: Mapping[str, Values] = {
    "top_p": Values(CASES["top_p"].good, CASES["top_p"].bad),
    "top_k": Values(CASES["top_k"].good, CASES["top_k"].bad),
    "max_tokens": Values([3, 4.0], ["3", -2]),
    "stop_sequences": Values([["a ", "zz"], ["q"]], ["x", [3]]),
}


def _response(random: Random) -> Json:
    asked = random.choice((*TEXTS, [_user(random.choice(TEXTS))]))
    more = {"instructions": random.choice(TEXTS)} if random.random() < 0.3 else {}
    limit = {"max_output_tokens": random.choice((1, 5, 12))}
    return {"model": "tiny", "input": asked, **more, **limit, **_sampling(random)}


def _input(*items: Json, **more: Any) -> Json:
    return {"input": list(items), **more}


_FUNCTION = {"type": "function", "name": "paint", "parameters": PAINT}
_MADE = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
_OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
_ANSWERED = {
    **{"type": "message", "role": "assistant", "id": "msg_1", "status": "completed"},
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
_RESPONSE_ODD: Mapping[str, Json] = {
    **{f"input {text!r}": {"input": text} for text in ODD_TEXTS},
    "parts": _input({"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}),
    "a message with its type": _input({"type": "message", **_HI}),
    "a developer": _input({"role": "developer", "content": "Be brief."}, _HI),
    "an answer before": _input(_HI, _ANSWERED, _HI),
    "a call": _input(_HI, _MADE, _OUTPUT),
    "a thought": _input(
        _HI, {"type": "reasoning", "id": "r", "summary": [], "content": []}, _ANSWERED, _HI
    ),
    "a tool is required": {
        "tools": [_FUNCTION],
        "tool_choice": "required",
        "max_output_tokens": 200,
    },
    "tools, auto": {"tools": [_FUNCTION], "tool_choice": "auto"},
    "tools unused": {"tools": [_FUNCTION], "tool_choice": "none"},
    "a tool by name": {
        "tools": [_FUNCTION],
        "tool_choice": {"type": "function", "name": "paint"},
        "max_output_tokens": 200,
    },
    "no tools": {"tools": []},
    "a schema": {
        "text": {"format": {"type": "json_schema", "name": "x", "schema": PAINT}},
        "max_output_tokens": 100,
    },
    "a format": {"text": {"format": {"type": "text"}}},
    "no effort": {"reasoning": {"effort": "low"}},
    "not stored": {"store": False},
    "stored": {"store": True},
    "an earlier response": {"previous_response_id": "resp_1"},
    "in the background": {"background": True},
}
_RESPONSE_INVALID: Mapping[str, Json] = {
    "no input": {"input": ...},
    "input null": {"input": None},
    "input 3": {"input": 3},
    "no items": {"input": []},
    "items of strings": {"input": ["Hi"]},
    "an unknown item": _input({"type": "smell"}),
    "an unknown role": _input({"role": "narrator", "content": "Hi"}),
    "content 3": _input({"role": "user", "content": 3}),
    "a part of an unknown type": _input({"role": "user", "content": [{"type": "smell"}]}),
    "a picture elsewhere": _input(
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "http://127.0.0.1:9/a"}],
        }
    ),
    "instructions 3": {"instructions": 3},
    "tools 3": {"tools": 3},
    "a tool without a name": {"tools": [{"type": "function"}]},
    "a tool of OpenAI's": {"tools": [{"type": "web_search"}]},
    "a choice of no tool": {
        "tools": [_FUNCTION],
        "tool_choice": {"type": "function", "name": "g"},
    },
    "an unknown format": {"text": {"format": {"type": "poem"}}},
    "too long": {"input": LONG},
    "stream 1": {"stream": 1},
    "model 3": {"model": 3},
}
_RESPONSE_FIELDS = {
    name: values
    for name, values in _TEXT_FIELDS.items()
    if name not in ("stop", "n_predict", "max_tokens", "max_completion_tokens", "n_probs")
}


def _inputs(random: Random) -> Any:
    return random.choice((*TEXTS, list(TEXTS), [5, 6, 7], [[5, 6], [7]], ["a"] * 40))


def _embedding(random: Random) -> Json:
    return {"model": "embeds", "input": _inputs(random)}


_EMBEDDING_FIELDS: Mapping[str, Values] = {
    "encoding_format": Values(["float", "base64"], ["x", 3]),
    "embd_normalize": Values([-1, 0, 1, 2, 3, 2.0], ["x", 1.5]),
}
_INPUT_ODD: Mapping[str, Json] = {
    **{f"input {text!r}": {"input": text} for text in ODD_TEXTS},
    "content": {"input": ..., "content": "Hi"},
    "texts and an empty one": {"input": ["a", ""]},
    "tokens and texts": {"input": [5, "a"]},
    "an object": {"input": {"prompt_string": "Hi"}},
    "a stream": {"stream": True},
}
_INPUT_INVALID: Mapping[str, Json] = {
    "no input": {"input": ...},
    "input null": {"input": None},
    "input 3.5": {"input": 3.5},
    "input true": {"input": True},
    "no inputs": {"input": []},
    "an empty list": {"input": [[]]},
    "an input null": {"input": ["a", None]},
    "a token beyond": {"input": [999_999]},
    "a token below": {"input": [-1]},
    "deep inputs": {"input": [[["a"]]]},
    "too long": {"input": "a" * 3000},
    "dimensions": {"dimensions": 8},
    "model 3": {"model": 3},
}


def _native_embedding(random: Random) -> Json:
    return {"model": "embeds", "content": _inputs(random)}


_CONTENT_INVALID = {
    name: {"content" if key == "input" else key: value for key, value in change.items()}
    for name, change in _INPUT_INVALID.items()
}


def _rerank(random: Random) -> Json:
    documents = random.sample(TEXTS, random.randrange(1, 6))  # equal ones come in any order
    return {"model": "ranks", "query": random.choice(TEXTS), "documents": documents}


_RERANK_FIELDS: Mapping[str, Values] = {
    "top_n": Values([1, 2, 99, 2.0], ["x", -1, 1.5]),
    "return_text": Values([True, False], ["x"]),
}
_RERANK_ODD: Mapping[str, Json] = {
    **{f"query {text!r}": {"query": text} for text in ODD_TEXTS},
    "TEI's": {"documents": ..., "texts": ["a", "b"]},
    "TEI's with texts": {"documents": ..., "texts": ["a", "b"], "return_text": True},
    "an empty document": {"documents": ["a", ""]},
    "none of them": {"top_n": 0},
}
_RERANK_INVALID: Mapping[str, Json] = {
    "no query": {"query": ...},
    "query null": {"query": None},
    "query 3": {"query": 3},
    "query a list": {"query": ["a"]},
    "no documents": {"documents": ...},
    "empty documents": {"documents": []},
    "documents a string": {"documents": "a"},
    "a document 3": {"documents": ["a", 3]},
    "documents of objects": {"documents": [{"text": "a"}]},
    "too long": {"documents": ["a" * 3000]},
    "model 3": {"model": 3},
}


def _tokenize(random: Random) -> Json:
    return {"model": "tiny", "content": random.choice((*TEXTS, ["a", 72, "b"], [72, 105]))}


def _detokenize(random: Random) -> Json:
    return {"model": "tiny", "tokens": random.choice(([72, 105], list(range(32, 100))))}


_FLAG = Values([True, False], ["x", 1])
_TOKENIZE_FIELDS = {"add_special": _FLAG, "parse_special": _FLAG, "with_pieces": _FLAG}
_TOKENIZE_ODD = {
    **{f"content {text!r}": {"content": text} for text in ODD_TEXTS},
    "no content": {"content": ...},
    "an empty list": {"content": []},
}
_TOKENIZE_INVALID = {
    "content 3": {"content": 3},
    "content 3.5": {"content": [3.5]},
    "content of lists": {"content": [["a"]]},
    "content an object": {"content": {"a": 1}},
    "a token below": {"content": [-1]},
}
_DETOKENIZE_ODD = {"no tokens": {"tokens": ...}, "an empty list": {"tokens": []}}
_DETOKENIZE_INVALID = {
    "tokens 3": {"tokens": 3},
    "tokens a string": {"tokens": "a"},
    "tokens of strings": {"tokens": ["a"]},
    "a token beyond": {"tokens": [999_999]},
    "a token below": {"tokens": [-1]},
}


def _transcription(random: Random) -> Json:
    heard = {"file": sound(random.choice((0.1, 0.2, 1.3)))}
    limit = {"max_tokens": random.choice((1, 5, 12))}
    return {"model": "hears", **heard, **limit, "temperature": 0}


_TRANSCRIPTION_FIELDS: Mapping[str, Values] = {
    "prompt": Values([*TEXTS, ""]),
    "language": Values(["de", "", "English"]),
    "response_format": Values(["json"], ["text", "verbose_json", "srt", "vtt", ""]),
    "max_tokens": Values([3, 0], ["x", -2, ""]),
    "temperature": Values([0, -1], ["warm", ""]),
    "top_k": Values([1, 3], ["x", -2]),
    "seed": Values([0, 42], ["x", 1.5]),
}
_TRANSCRIPTION_ODD: Mapping[str, Json] = {
    "a prompt with an escape": {"prompt": 'a "b" \\'},
    "lists": {"include[]": "logprobs", "timestamp_granularities[]": "word"},
    "another file": {"cover": b"x"},
    "a tail": {"chunking_strategy": "auto"},
}
_TRANSCRIPTION_INVALID: Mapping[str, Json] = {
    "no file": {"file": ...},
    "an empty file": {"file": b""},
    "a file of text": {"file": "sound"},
    "no sound": {"file": b"no sound"},
    "half a sound": {"file": sound()[:20]},
    "stream yes": {"stream": "yes"},
    "too long": {"prompt": LONG},
}

_SHARED_TEXT = {
    "n": Values([1, 2], [0, 9, "x"]),
    "return_progress": Values([True, False], ["x"]),
    "timings_per_token": Values([True, False], ["x"]),
}

PLANS: Mapping[str, Plan] = {
    "chat": Plan(
        *("/v1/chat/completions", "tiny", "chunks", _chat),
        {**_CHAT_FIELDS, **_SHARED_TEXT},
        *(_CHAT_ODD, _CHAT_INVALID),
    ),
    "completions": Plan(
        *("/v1/completions", "tiny", "chunks", _completion),
        {
            **_TEXT_FIELDS,
            **_SHARED_TEXT,
            "logprobs": Values([0, 3, True], [-1, "x"]),
        },
        {
            **_PROMPT_ODD,
            "echo": {"echo": True},
            "a suffix": {"suffix": "x"},
            "the best": {"best_of": 2},
            "usage": {"stream": True, "stream_options": {"include_usage": True}},
        },
        _PROMPT_INVALID,
    ),
    "responses": Plan(
        *("/v1/responses", "tiny", "response", _response),
        *(_RESPONSE_FIELDS, _RESPONSE_ODD, _RESPONSE_INVALID),
    ),
    "messages": Plan(
        *("/v1/messages", "tiny", "message", _message),
        *(_MESSAGE_FIELDS, _MESSAGE_ODD, _MESSAGE_INVALID),
    ),
    "transcriptions": Plan(
        *("/v1/audio/transcriptions", "hears", "transcript", _transcription),
        *(_TRANSCRIPTION_FIELDS, _TRANSCRIPTION_ODD, _TRANSCRIPTION_INVALID, FORM),
    ),
    "embeddings": Plan(
        *("/v1/embeddings", "embeds", "", _embedding),
        *(_EMBEDDING_FIELDS, _INPUT_ODD, _INPUT_INVALID),
    ),
    "native-embeddings": Plan(
        *("/embeddings", "embeds", "", _native_embedding),
        *({"embd_normalize": _EMBEDDING_FIELDS["embd_normalize"]}, {}, _CONTENT_INVALID),
    ),
    "rerank": Plan(
        *("/v1/rerank", "ranks", "", _rerank),
        *(_RERANK_FIELDS, _RERANK_ODD, _RERANK_INVALID),
    ),
    "completion": Plan(
        *("/completion", "tiny", "native", _native),
        *(_NATIVE_FIELDS, _PROMPT_ODD, _PROMPT_INVALID),
    ),
    "infill": Plan(
        *("/infill", "tiny", "native", _infill),
        {name: each for name, each in _NATIVE_FIELDS.items() if name != "json_schema"},
        {
            **{f"prefix {text!r}": {"input_prefix": text} for text in ODD_TEXTS},
            "a prompt": {"prompt": "def "},
            "no extras": {"input_extra": []},
            "an extra without a name": {"input_extra": [{"text": "a"}]},
            "an extra with a time": {"input_extra": [{"filename": "a", "text": "b", "time": 1}]},
        },
        {
            "no prefix": {"input_prefix": ...},
            "no suffix": {"input_suffix": ...},
            "prefix 3": {"input_prefix": 3},
            "suffix null": {"input_suffix": None},
            "prompt 3": {"prompt": 3},
            "extras 3": {"input_extra": 3},
            "an extra 3": {"input_extra": [3]},
            "an extra without a text": {"input_extra": [{"filename": "a"}]},
            "a text 3": {"input_extra": [{"text": 3}]},
            "stream 1": {"stream": 1},
        },
    ),
    "tokenize": Plan(
        *("/tokenize", "tiny", "", _tokenize),
        *(_TOKENIZE_FIELDS, _TOKENIZE_ODD, _TOKENIZE_INVALID),
    ),
    "detokenize": Plan(
        *("/detokenize", "tiny", "", _detokenize),
        *({}, _DETOKENIZE_ODD, _DETOKENIZE_INVALID),
    ),
    "apply-template": Plan(
        *("/apply-template", "tiny", "", _chat),
        *({}, _CHAT_ODD, _CHAT_INVALID),
    ),
    "chat-tokens": Plan(
        *("/v1/chat/completions/input_tokens", "tiny", "", _chat),
        *({}, _CHAT_ODD, _CHAT_INVALID),
    ),
    "response-tokens": Plan(
        *("/v1/responses/input_tokens", "tiny", "", _response),
        *({}, _RESPONSE_ODD, _RESPONSE_INVALID),
    ),
    "message-tokens": Plan(
        *("/v1/messages/count_tokens", "tiny", "", _message),
        *({}, _MESSAGE_ODD, _MESSAGE_INVALID),
    ),
}
