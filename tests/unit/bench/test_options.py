"""The command line says what is simulated, prints tables and draws a picture."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bench.simulate.__main__ import main
from bench.simulate.presets import PRESETS


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_backlog_is_what_is_simulated_by_default() -> None:
    assert run("--seeds", "2") == run("--preset", "backlog", "--seeds", "2")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_run(preset: str) -> None:
    text = run("--preset", preset, "--jobs", "50", "--seeds", "1")
    for policy in ("llamaq", "least-connections", "fifo-pull", "round-robin"):
        assert f"\n{policy}" in text


def test_tiers_and_tenants_have_figures_of_their_own() -> None:
    text = run("--tenants", "pro=2:1:priority:4", "--tenants", "team=3:1:flex:1", "--seeds", "1")
    for word in ("priority", "flex", "pro", "team", "pro1"):
        assert f"\n{word} " in text


def test_plot_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    run("--seeds", "1", "--plot", str(path), "--policy", "llamaq", "--policy", "round-robin")
    words = [element.text for element in ElementTree.fromstring(path.read_text()).iter()]  # noqa: S314
    assert {"waiting time", "latency", "llamaq", "round-robin"} <= set(words)


ROWS = [
    {"arrived_s": 1.5, "prompt_tokens": 300, "completion_tokens": 40, "conversation": "c"},
    {"arrived_s": 0, "prompt_tokens": 100, "completion_tokens": 50, "conversation": "c"},
    {
        "arrived_s": 0.5,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "tenant": "bob",
        "tier": "flex",
    },
]


def test_trace_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    text = run("--trace", str(path), "--policy", "llamaq", "--cache", "1000", "--seeds", "1")
    assert "\nflex " in text
    assert "\nbob " in text
    assert " 260 " in text  # of 410: the second turn knows 150


def test_trace_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrived_s,prompt_tokens,completion_tokens\n0,100,50\n1,100,50\n")
    assert " 200 " in run("--trace", str(path), "--policy", "fifo-pull", "--seeds", "1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workers", "fast"),
        ("--tenants", "a=1:1:royal:1"),
        ("--arrivals", "sometimes"),
        ("--arrivals", "poisson:0"),
        ("--completion", "uniform:1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert arguments[1] in result.stderr
