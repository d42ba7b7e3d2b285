"""The coding agents: each has one turn of text of a real server, and one that calls a tool."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clients.programs import NODE, environment, run, scratch
from tests.clients.scripted import MODEL
from tests.clients.stack import Stack
from tests.clients.verdict import Verdict

NOTES = "The door is blue."
ASK = "What do the notes in notes.txt say?"
CODEX = """
model_provider = "llamaq"
[model_providers.llamaq]
name = "llamaq"
base_url = "{url}/v1"
env_key = "LLAMAQ_TOKEN"
wire_api = "responses"
[analytics]
enabled = false
"""
CLAUDE = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
}


def codex(stack: Stack) -> list[Verdict]:
    """OpenAI's agent, which speaks only Responses."""
    home = scratch(stack, "codex")
    settings = home / ".codex" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(CODEX.format(url=stack.url))
    command = ("codex", "exec", "--skip-git-repo-check", "--json")
    instructions = home / "instructions.md"
    instructions.write_text("You help.")
    short = ("-c", f'model_instructions_file="{instructions}"', "-c", "features.multi_agent=false")
    bypass = "--dangerously-bypass-approvals-and-sandbox"
    return [
        _turn(
            stack, home, "@openai/codex", "a turn of text", (*command, *short, "-m", "long", ASK)
        ),
        _turn(
            stack,
            home,
            "@openai/codex",
            "a turn with a tool",
            (*command, bypass, "-m", MODEL, ASK),
            expected=NOTES,
        ),
    ]


def claude(stack: Stack) -> list[Verdict]:
    """Anthropic's agent, which speaks only Messages."""
    home = scratch(stack, "claude")
    command = ("claude", "-p", ASK, "--output-format", "stream-json", "--verbose")
    short = ("--tools", "Read", "--system-prompt", "You help.")
    tool = ("--allowedTools", "Bash(cat:*)")
    name, long, tools = "@anthropic-ai/claude-code", _claude(stack, "long"), _claude(stack, MODEL)
    return [
        _turn(stack, home, name, "a turn of text", (*command, *short), long),
        _turn(stack, home, name, "a turn with a tool", (*command, *tool), tools, expected=NOTES),
    ]


def _claude(stack: Stack, model: str) -> dict[str, str]:
    """The variables that docs/clients.md names, and some that keep it quiet."""
    models = {"ANTHROPIC_MODEL": model, "ANTHROPIC_DEFAULT_HAIKU_MODEL": model}
    where = {"ANTHROPIC_BASE_URL": stack.url, "ANTHROPIC_AUTH_TOKEN": stack.token}
    return {**CLAUDE, **where, **models}


def _turn(
    stack: Stack,
    home: Path,
    package: str,
    call: str,
    command: Sequence[str],
    own: Mapping[str, str] | None = None,
    expected: str = "",
) -> Verdict:
    """One run of an agent, whose last words must have what is expected."""
    about = json.loads((NODE / "node_modules" / package / "package.json").read_text())
    (home / "notes.txt").write_text(NOTES)
    ran = run(command, home, {**environment(stack, home), **(own or {})})
    log = stack.logs / f"{command[0]}-{call.rpartition(' ')[2]}.txt"
    log.write_text(ran.output + ran.errors)
    words = last_words(ran.output)
    why = ""
    if ran.code:
        why = f"exit code {ran.code}: {(ran.errors or ran.output).strip()[-300:]}"
    elif not words or expected not in words:
        why = f"its last words are {words!r}"
    return Verdict(f"{package} {about['version']} (npm)", call, why)


def last_words(output: str) -> str:
    """What an agent said last: of the events that it printed, one a line."""
    said = ""
    for line in output.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("type") == "result" and not event.get("is_error"):
            said = event.get("result", "")
        if event.get("item", {}).get("type") == "agent_message":
            said = event["item"]["text"]
    return said
