"""A scripted llama-server that calls tools as a good model would.

`python -m tests.clients.scripted PORT` serves until it is ended.

Asked with tools, it reads `notes.txt` with the one of them that it knows. Given a tool's result, it
repeats that result: so a client's last words show that the whole turn worked.
"""

import asyncio
import json
import sys
from typing import Any

from testing.fake_llama_server import Chat, FakeLlamaServer

MODEL = "scripted"
CONTEXT = 200_000
ARGUMENTS = {
    "exec_command": {"cmd": "cat notes.txt"},
    "shell_command": {"command": "cat notes.txt"},
    "Bash": {"command": "cat notes.txt", "description": "Reads the notes"},
    "read_file": {"path": "notes.txt"},
}


async def reply(chat: Chat) -> None:
    """One tool call, or the end of a turn."""
    tools = {tool["function"]["name"] for tool in chat.body.get("tools") or []}
    known = [name for name in ARGUMENTS if name in tools]
    last = chat.body["messages"][-1]
    if last["role"] == "tool":
        await chat.say(f"It says: {_text(last['content'])}")
        await chat.finish()
    elif known:
        await _call(chat, known[0])
    else:
        await chat.say("There is no tool to call.")
        await chat.finish()


async def _call(chat: Chat, name: str) -> None:
    function = {"name": name, "arguments": ""}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    await _delta(chat, {"role": "assistant", "content": None})
    await _delta(chat, {"tool_calls": [call]})
    text = json.dumps(ARGUMENTS[name])
    for piece in (text[:5], text[5:]):
        await _delta(chat, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    await _delta(chat, {}, finish_reason="tool_calls")
    tokens = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    details = {"prompt_tokens_details": {"cached_tokens": 0}}
    await _chunk(chat, choices=[], usage={**tokens, **details})
    await chat.event("[DONE]")
    await chat.end_body()


async def _delta(chat: Chat, delta: dict[str, Any], finish_reason: str | None = None) -> None:
    await _chunk(chat, choices=[{"finish_reason": finish_reason, "index": 0, "delta": delta}])


async def _chunk(chat: Chat, **fields: Any) -> None:
    named = {"created": 1, "id": "chatcmpl-1", "model": MODEL, "object": "chat.completion.chunk"}
    await chat.event(json.dumps({**fields, **named}, separators=(",", ":")))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


async def main() -> None:
    """Serves until the process ends."""
    server = FakeLlamaServer(MODEL, context=CONTEXT)
    server.port = int(sys.argv[1])
    server.reply = reply
    async with server.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
