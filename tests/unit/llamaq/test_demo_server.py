"""The demo server's command line, and real answers of the demo model."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from llamaq.demo_model import write_demo_model
from llamaq.demo_server import main, missing_demo_parts

PROMPT = {"role": "user", "content": "Hello"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "kind": {"enum": ["red", "green"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "kind", "tags"],
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
        },
    },
}
COMMAND = (
    sys.executable,
    "-m",
    "llamaq.demo_server",
    "--port",
    "0",
    "--parallel",
    "2",
    "--metrics",
)


def start(model: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [*COMMAND, "-m", str(model), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_demo_model(path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[httpx.Client]:
    process, url = start(model, "--alias", "tiny", "--ctx-size", "4096")
    close = {"Connection": "close"}  # after a stream it ends a connection without a word
    with process, httpx.Client(base_url=url, headers=close, timeout=60) as client:
        yield client
        process.kill()


def chat(server: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {"messages": [PROMPT], "temperature": 0, "max_tokens": 800, **fields}
    response = server.post("/v1/chat/completions", json=body).raise_for_status()
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


def test_unknown_option_is_an_error_of_use() -> None:
    result = CliRunner().invoke(main, ["--frobnicate"])
    assert (result.exit_code, "--frobnicate" in result.output) == (2, True)


def test_nothing_is_missing_here() -> None:
    assert missing_demo_parts() == []


def test_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "gguf" else name)
    (sentence,) = missing_demo_parts()
    assert "gguf" in sentence
    assert "'.[embedded,demo]' as README.md says" in sentence


def test_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", refuse)
    (sentence,) = missing_demo_parts()
    assert "libgomp1" in sentence


@pytest.mark.real
def test_slots_and_alias_are_as_asked(server: httpx.Client) -> None:
    props = server.get("/props").json()
    n_ctx = props["default_generation_settings"]["n_ctx"]
    assert (props["total_slots"], props["model_alias"], n_ctx) == (2, "tiny", 2048)


@pytest.mark.real
@pytest.mark.parametrize("path", ["/health", "/slots", "/metrics"])
def test_probes_answer(server: httpx.Client, path: str) -> None:
    assert server.get(path).status_code == 200


@pytest.mark.real
def test_babble_is_words_and_ends_by_itself(server: httpx.Client) -> None:
    answer = chat(server, temperature=0.8, seed=1, max_tokens=None)
    assert answer["finish_reason"] == "stop"
    assert set(answer["message"]["content"]) <= set("abcdefghijklmnopqrstuvwxyz. ")


@pytest.mark.real
def test_greedy_answer_is_the_same_twice(server: httpx.Client) -> None:
    assert chat(server, max_tokens=60)["message"] == chat(server, max_tokens=60)["message"]


@pytest.mark.real
def test_continued_answer_equals_the_uninterrupted_one(server: httpx.Client) -> None:
    whole = chat(server, max_tokens=60, ignore_eos=True)["message"]["content"]
    begun = {"role": "assistant", "content": whole[:25]}
    flags = {"continue_final_message": True, "add_generation_prompt": False, "ignore_eos": True}
    rest = chat(server, messages=[PROMPT, begun], max_tokens=35, **flags)
    assert rest["message"]["content"] == whole


@pytest.mark.real
@pytest.mark.parametrize("temperature", [0, 0.8, 1.5])
def test_json_schema_is_obeyed_to_the_end(server: httpx.Client, temperature: float) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    answer = chat(server, temperature=temperature, seed=1, response_format=wanted)
    assert answer["finish_reason"] == "stop"
    assert json.loads(answer["message"]["content"]).keys() == SCHEMA["properties"].keys()


@pytest.mark.real
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_is_called(server: httpx.Client, choice: str) -> None:
    answer = chat(server, tools=[TOOL], tool_choice=choice)
    (call,) = answer["message"]["tool_calls"]
    assert answer["finish_reason"] == "tool_calls"
    assert json.loads(call["function"]["arguments"])["unit"] in {"c", "f"}


@pytest.mark.real
def test_a_tools_result_is_answered_in_words(server: httpx.Client) -> None:
    called = chat(server, tools=[TOOL])["message"]
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "mild"}
    answer = chat(server, messages=[PROMPT, called, result], tools=[TOOL], max_tokens=30)
    assert answer["message"]["content"]
    assert not answer["message"].get("tool_calls")


@pytest.mark.real
def test_stream_says_the_same_as_the_whole_answer(server: httpx.Client) -> None:
    body = {"messages": [PROMPT], "temperature": 0, "max_tokens": 40, "stream": True}
    with server.stream("POST", "/v1/chat/completions", json=body) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    deltas = [json.loads(event)["choices"][0]["delta"] for event in data[:-1]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert (data[-1], text) == ("[DONE]", chat(server, max_tokens=40)["message"]["content"])


@pytest.mark.real
def test_key_is_demanded(model: Path) -> None:
    process, url = start(model, "--api-key", "secret")
    with process:
        assert httpx.get(f"{url}/props").status_code == 401
        process.kill()


@pytest.mark.real
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_process_in_spite_of_a_stream(model: Path, stop: signal.Signals) -> None:
    process, url = start(model)
    body = {"messages": [PROMPT], "stream": True, "ignore_eos": True}
    with process, httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        next(response.iter_lines())
        process.send_signal(stop)
        assert process.wait(timeout=30) == 0


@pytest.mark.real
def test_port_in_use_is_an_error(server: httpx.Client, model: Path) -> None:
    port = str(server.base_url.port)
    command = [*COMMAND, "-m", str(model), "--port", port]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, f"listen on 127.0.0.1:{port}" in result.stderr) == (1, True)
