"""Requests as clients send them that can't be installed here; docs/clients.md names them."""

import json
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import Fleet
from tests.end_to_end.test_openai_client import WEATHER

pytestmark = pytest.mark.real

CHAT = "/v1/chat/completions"
TURNS: list[Any] = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": [{"type": "text", "text": "Read "}, {"type": "text", "text": "x"}]},
    {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ]},
    {"role": "tool", "tool_call_id": "c1", "content": "mild"},
    {"role": "user", "content": "<environment_details>\n# Time\nnow\n</environment_details>"},
]  # fmt: skip
TOOLS: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "auto"}
WITH_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

# core/llm/llms/OpenAI.ts: its key comes in `api-key` too.
CONTINUE_CHAT: dict[str, Any] = {
    "messages": TURNS[:2],
    "model": "tiny",
    "max_tokens": 40,
    "temperature": 0.5,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "stream": True,
    "stop": ["\n\n\n", "```"],
}
CONTINUE_AGENT = {**CONTINUE_CHAT, "messages": TURNS, **TOOLS, "parallel_tool_calls": False}
# With useLegacyCompletionsEndpoint, and for autocompletion.
CONTINUE_TEXT = {
    **{name: value for name, value in CONTINUE_CHAT.items() if name != "messages"},
    "prompt": "<fim_prefix>def add(<fim_suffix>\n<fim_middle>",
}
# core/llm/llms/LlamaCpp.ts: no model.
CONTINUE_LLAMA_CPP: dict[str, Any] = {
    "prompt": "def add(",
    "stream": True,
    "n_predict": 20,
    "stop": ["\n\n"],
    "top_k": 40,
    "temperature": 0.01,
}
# src/api/providers/openai.ts
CLINE = {"model": "tiny", "messages": TURNS, "temperature": 0, "max_tokens": 40, **WITH_USAGE}
ROO = {**CLINE, **TOOLS, "parallel_tool_calls": True}
# What backend/open_webui/routers/openai.py passes on.
OPEN_WEBUI_CHAT: dict[str, Any] = {
    "model": "tiny",
    "messages": TURNS[:2],
    "max_tokens": 40,
    **WITH_USAGE,
}
OPEN_WEBUI_TITLE: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "### Task:\nGenerate a title."}],
    "stream": False,
    "max_completion_tokens": 40,
}
# autoload/llama.vim, without a model: first a request that only warms the cache.
LLAMA_VIM_WARM: dict[str, Any] = {
    "id_slot": 0,
    "messages": TURNS[:2],
    "samplers": [],
    "n_predict": 0,
    "stream": False,
    "cache_prompt": True,
    "response_fields": [""],
}
LLAMA_VIM_ASK: dict[str, Any] = {
    "id_slot": 0,
    "messages": TURNS[:2],
    "min_p": 0.1,
    "temperature": 0.1,
    "samplers": ["min_p", "temperature"],
    "stream": True,
    "n_predict": 40,
    "cache_prompt": True,
}
# src/llama-server.ts of llama.vscode, which edits a selection so.
LLAMA_VSCODE_EDIT: dict[str, Any] = {
    "messages": TURNS[:2],
    "stream": False,
    "cache_prompt": True,
    "samplers": "edkypmxt",
    "temperature": 0.8,
    "dynatemp_range": 0,
    "dynatemp_exponent": 1,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "typical_p": 1,
    "xtc_probability": 0,
    "xtc_threshold": 0.1,
    "repeat_last_n": 64,
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "dry_multiplier": 0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "max_tokens": -1,
    "timings_per_token": False,
}
HEADERS = {
    "X-OpenWebUI-User-Name": "Ann",
    "X-OpenWebUI-User-Id": "7d0a",
    "X-OpenWebUI-User-Email": "ann@example.org",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "c1",
    "X-Title": "Cline",
    "HTTP-Referer": "https://example.org",
    "api-key": "",
}


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "Continue, chat": (CHAT, CONTINUE_CHAT),
    "Continue, agent": (CHAT, CONTINUE_AGENT),
    "Continue, completions": ("/v1/completions", CONTINUE_TEXT),
    "Continue, llama.cpp": ("/completion", CONTINUE_LLAMA_CPP),
    "Cline": (CHAT, CLINE),
    "Roo Code": (CHAT, ROO),
    "Open WebUI, chat": (CHAT, OPEN_WEBUI_CHAT),
    "Open WebUI, title": (CHAT, OPEN_WEBUI_TITLE),
    "llama.vim, warming": (CHAT, LLAMA_VIM_WARM),
    "llama.vim, instruction": (CHAT, LLAMA_VIM_ASK),
    "llama.vscode, edit": (CHAT, LLAMA_VSCODE_EDIT),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_client_gets_an_answer_in_the_form_that_it_reads(fleet: Fleet, shape: str) -> None:
    path, body = SHAPES[shape]
    with fleet.http() as client:
        answer = client.post(path, json=body, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    if body["stream"]:
        *told, end = answer.text.removesuffix("\n\n").split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in told]
        if path == "/completion":
            chunks.append(json.loads(end.removeprefix("data: ")))
        else:
            assert end == "data: [DONE]"
        assert "".join(map(said, chunks))
        assert "stream_options" not in body or any(chunk.get("usage") for chunk in chunks)
    elif body.get("n_predict") != 0:
        assert answer.json()["choices"][0]["message"]["content"]


def test_llama_vscode_is_refused_where_the_server_refuses_it(fleet: Fleet) -> None:
    """Older servers took its -1 for the whole context."""
    body = {**LLAMA_VSCODE_EDIT, "dry_penalty_last_n": -1}
    own = httpx.post(fleet.servers[0].url + CHAT, json=body, headers={"Connection": "close"})
    with fleet.http() as client:
        ours = client.post(CHAT, json=body)
    assert (own.status_code, ours.status_code) == (400, 400)
    assert ours.json()["error"]["message"] == own.json()["error"]["message"]


def said(chunk: Any) -> str:
    """The text of a chunk, or the arguments of its tool calls."""
    if "content" in chunk:
        return str(chunk["content"])
    if not chunk["choices"]:
        return ""
    choice = chunk["choices"][0]
    delta = choice.get("delta", {})
    calls = "".join(call["function"].get("arguments", "") for call in delta.get("tool_calls", []))
    return (choice.get("text") or delta.get("content") or "") + calls
