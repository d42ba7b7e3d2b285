"""The programs that use a client's library: what they print tells what became of each call."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients.stack import Stack
from tests.clients.verdict import Verdict

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".venv-clients"
NODE = HOME / "node"
LONGEST_S = 120.0

PYTHON = {
    "openai": "newest",
    "anthropic": "newest",
    "langchain": "newest",
    "litellm": "newest",
    "pydantic_ai": "newest",
    "llm": "newest",
    "llama_index": "openai2",
    "instructor": "openai2",
    "aider": "aider",
}
"""The program with_NAME.py, and the environment that it runs in."""

JAVASCRIPT = ("openai", "anthropic", "ai")
"""The program with_NAME.mjs."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process left behind."""

    code: int
    output: str
    errors: str


def scratch(stack: Stack, name: str) -> Path:
    """A folder that is a client's home."""
    folder = stack.logs / name
    folder.mkdir(exist_ok=True)
    return folder


def environment(stack: Stack, home: Path) -> dict[str, str]:
    """No more than a program needs: nothing of the user's settings, no way to tell its maker."""
    return {
        "PATH": f"{NODE / 'node_modules' / '.bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "LLAMAQ_URL": stack.url,
        "LLAMAQ_TOKEN": stack.token,
        "LANG": "C.UTF-8",
        "DO_NOT_TRACK": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LLM_USER_PATH": str(home),
    }


def run(command: Sequence[str], home: Path, environment: Mapping[str, str]) -> Ran:
    """Runs it in its home, without a terminal; what takes too long is killed, and has code -9."""
    with subprocess.Popen(
        command,
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
    return Ran(process.returncode, output, errors)


def with_python(stack: Stack, name: str) -> list[Verdict]:
    """Runs with_NAME.py."""
    interpreter = HOME / PYTHON[name] / "bin" / "python"
    return _verdicts(stack, name, [str(interpreter), str(HERE / "python" / f"with_{name}.py")])


def with_javascript(stack: Stack, name: str) -> list[Verdict]:
    """Runs with_NAME.mjs, beside the packages that it imports."""
    for path in (HERE / "node").glob("*.mjs"):
        shutil.copy(path, NODE)
    return _verdicts(stack, f"{name}-js", ["node", str(NODE / f"with_{name}.mjs")])


def _verdicts(stack: Stack, name: str, command: Sequence[str]) -> list[Verdict]:
    home = scratch(stack, name)
    ran = run(command, home, environment(stack, home))
    (stack.logs / f"{name}.txt").write_text(ran.output + ran.errors)
    lines = [line for line in ran.output.splitlines() if line.startswith('{"client":')]
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    if ran.code or not verdicts:
        last = ran.errors.strip().rpartition("\n")[2]
        verdicts.append(Verdict(name, "the whole program", f"exit code {ran.code}: {last}"))
    return verdicts
