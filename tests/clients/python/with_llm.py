"""The command `llm`, with models of its extra-openai-models.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

from calls import ASK, TOKEN, URL, call

HOME = Path(os.environ["LLM_USER_PATH"])
MODELS = f"""
- model_id: chat
  model_name: tiny
  api_base: "{URL}/v1"
  api_key_name: llamaq
  supports_tools: true
  supports_schema: true
- model_id: text
  model_name: tiny
  api_base: "{URL}/v1"
  api_key_name: llamaq
  completion: true
"""
TOOL = "def weather(city: str) -> str:\n    'Tells the weather.'\n    return 'mild'\n"


def llm(*arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "llm", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def main() -> None:
    (HOME / "extra-openai-models.yaml").write_text(MODELS)
    llm("keys", "set", "llamaq", "--value", TOKEN)
    with call("llm", "prompt"):
        assert llm("-m", "chat", ASK)
    with call("llm", "prompt, --no-stream"):
        assert llm("-m", "chat", "--no-stream", ASK)
    with call("llm", "tool"):
        assert llm("-m", "chat", "--functions", TOOL, "--chain-limit", "3", ASK)
    with call("llm", "schema"):
        assert "city" in json.loads(llm("-m", "chat", "--schema", "city str", ASK))
    with call("llm", "completion: true"):
        assert llm("-m", "text", "-o", "max_tokens", "20", "Once")


if __name__ == "__main__":
    main()
