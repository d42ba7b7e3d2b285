"""`llamaq status`, as text and for programs, and what the command says when Redis is away."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dispatcher.gone import GoneWorker
from dispatcher.model_state import ModelState
from dispatcher.overview import Waiting
from dispatcher.protocol import PROTOCOL
from dispatcher.suspects import Suspect
from dispatcher.worker_state import WorkerState
from llamaq.__main__ import main
from llamaq.status import as_json, as_text
from testing.overviews import overview

GPU = WorkerState(
    "gpu-a1",
    "http://127.0.0.1:8080",
    "healthy",
    True,
    4,
    3,
    8192,
    "b1",
    modalities=frozenset({"vision"}),
    decode_tps=41.5,
)
OLD = WorkerState("old-machine-b2", "http://127.0.0.1:8081", "down", False, 2, 0, 4096, "b0")
BUSY = ModelState("qwen", 0.2, (GPU, OLD), 7, 9000, mean_service_ms=8000)
TRIED = WorkerState("gpu-c3", "http://x", "healthy", True, 1, 1, 4096, "b1", breaker="half-open")
SHARED = WorkerState("gpu-e5", "http://z", "healthy", True, 1, 1, 4096, "b1", foreign=3)
FAILING = WorkerState("gpu-d4", "http://y", "down", False, 4, 0, 4096, "b1", breaker="open")
GONE = ModelState("llama", 75.4, (), 1, 100)


def test_text_shows_models_workers_slots_and_queues() -> None:
    turns = {"qwen": [Waiting("priority", "ann", 2), Waiting("flex", "bob", 5)]}
    assert as_text(overview(BUSY, GONE, waiting=turns)).splitlines() == [
        "qwen: 7 queued (the last starts in about 14 s), 3 of 6 slots busy",
        "  gpu-a1          healthy        slots 3/4  context 8192  41.5 tokens/s  http://127.0.0.1:8080",
        "  old-machine-b2  down           slots 0/2  context 4096  http://127.0.0.1:8081",
        "  waiting: ann (priority) 2, bob (flex) 5",
        "llama: 1 queued, 0 of 0 slots busy; last worker seen 75 s ago",
    ]


def test_text_and_json_tell_of_workers_that_went_away() -> None:
    gone = GoneWorker(
        *("gpu-f6", "died", 1.0, 150.0, "http://127.0.0.1:8080", "gpu6", "10.0.0.6"),
        queued_again=2,
        resumed=1,
    )
    found = overview(BUSY, gone=[gone])
    assert as_text(found, "desk").splitlines()[-3:] == [
        "  gone in the last hour:",
        "    gpu-f6  2 min ago  gpu6:8080 (10.0.0.6)",
        "      its bridge was heard of no more; its jobs: 2 queued again, 1 went on elsewhere",
    ]
    (told,) = json.loads(as_json(found))[0]["gone"]
    assert told["why"] == "its bridge was heard of no more"
    assert (told["jobs"], told["resumed"]) == ("2 queued again, 1 went on elsewhere", 1)


def test_suspects_are_named() -> None:
    suspects = {"qwen": [Suspect("bad%20one|-", 540), Suspect("web|eve", 12)]}
    assert as_text(overview(BUSY, suspects=suspects)).splitlines()[-1] == (
        "  suspects (servers crashed under them): bad one (540 s more), web|eve (12 s more)"
    )
    (row,) = json.loads(as_json(overview(BUSY, suspects=suspects)))
    assert row["suspects"][1] == {"name": "web|eve", "seconds": 12}


def test_text_shows_breakers_of_servers_that_look_well() -> None:
    lines = as_text(overview(ModelState("qwen", 0.2, (TRIED, FAILING), 0, 0))).splitlines()
    assert lines[1:] == [
        "  gpu-c3  breaker half-open  slots 1/1  context 4096  http://x",
        "  gpu-d4  down           slots 0/4  context 4096  http://y",
    ]


def test_status_shows_the_default_and_operators_names() -> None:
    model = ModelState("qwen", 0.2, (GPU,), 0, 0, given=("*", "gpt-4o"))
    assert as_text(overview(model)).startswith("qwen (also gpt-4o), the default: 0 queued, ")
    (row,) = json.loads(as_json(overview(model)))
    assert (row["aliases"], row["is_default"]) == (["gpt-4o"], True)


def test_workers_of_one_name_that_differ_are_shown() -> None:
    big = replace(GPU, fingerprint="aaaaaaaaaa", quantisation="Q8_0", size_bytes=8_540_000_000)
    small = replace(OLD, fingerprint="bbbbbbbbbb", quantisation="Q4_0", size_bytes=4_700_000_000)
    model = ModelState("qwen", 0.2, (small, big), 0, 0)
    assert as_text(overview(model)).splitlines()[3:] == [
        "  2 variants: they differ in their weights and llama.cpp build",
        "    aaaaaaaa (Q8_0, 8.54 GB, b1): gpu-a1",
        "    bbbbbbbb (Q4_0, 4.7 GB, b0): old-machine-b2",
    ]
    (row,) = json.loads(as_json(overview(model)))
    assert [variant["workers"] for variant in row["variants"]] == [["gpu-a1"], ["old-machine-b2"]]


def test_text_shows_slots_that_others_use() -> None:
    lines = as_text(overview(ModelState("qwen", 0.2, (SHARED,), 0, 0))).splitlines()
    assert "slots 1/1 (3 more used by others)  context" in lines[1]


def test_text_shows_what_not_every_server_serves() -> None:
    words = frozenset({"completion", "embeddings", "native-embeddings"})
    (_, line) = as_text(
        overview(replace(GONE, workers=(replace(TRIED, endpoints=words),)))
    ).splitlines()
    assert "context 4096  serves embeddings, native-embeddings  http://x" in line
    turns = {"qwen": [Waiting("default", "ann", 2, "embeddings"), Waiting("flex", "bob", 5)]}
    assert as_text(overview(BUSY, waiting=turns)).endswith(
        "ann (default: embeddings) 2, bob (flex) 5"
    )


def test_json_has_everything() -> None:
    turns = {"qwen": [Waiting("priority", "ann", 2)], "llama": []}
    busy, gone = json.loads(as_json(overview(BUSY, GONE, waiting=turns)))
    waits = {"tier": "priority", "tenant": "ann", "queued": 2, "needs": "", "oldest_s": None}
    assert busy["waiting"] == [waits]
    assert (busy["eta_s"], busy["workers"][0]["modalities"]) == (14, ["vision"])
    assert busy["workers"][0]["running"] == 3
    assert (busy["accepting"], gone["accepting"]) == (True, False)
    assert (gone["model"], gone["seen_s"], gone["workers"]) == ("llama", 75.4, [])


def status(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments], env=environment)


@pytest.mark.real
def test_command_reads_redis(real_redis_url: str) -> None:
    result = status("--json", LLAMAQ_REDIS_URL=real_redis_url)
    assert isinstance(json.loads(result.stdout), list)


def test_redis_that_is_away_is_told(tmp_path: Path) -> None:
    result = status(LLAMAQ_REDIS_URL=f"unix://:hunter2@{tmp_path}/none.sock")
    assert result.exit_code == 1
    assert "LLAMAQ_REDIS_URL" in result.stderr
    assert "hunter2" not in result.output


def test_folder_without_a_running_up_is_told(tmp_path: Path) -> None:
    result = status("--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "llamaq up" in result.stderr
    assert not isinstance(result.exception, FileNotFoundError)


def test_worker_of_another_protocol_is_pointed_out() -> None:
    old = replace(GPU, protocol=0)
    shown = as_text(overview(ModelState("qwen", 0.2, (old,), 0, 0)))
    assert f"protocol 0, this is {PROTOCOL}: update the older one" in shown
