"""A model is asked for while its machine sleeps: an API wakes it, and the request is answered."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from testing.builders import make_token
from testing.processes import LlamaServer, api, bridge, free_port, valkey
from testing.waiting import wait_until

pytestmark = pytest.mark.real

ASKED = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def ask(url: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {make_token()}"}
    return httpx.post(
        f"{url}/v1/chat/completions", json=ASKED, headers=headers, timeout=60, trust_env=False
    )


def test_machine_is_woken_for_a_model_that_was_served_hours_ago(
    models: dict[str, Path], tmp_path: Path
) -> None:
    server, note = LlamaServer(models["tiny"], free_port(), "tiny", 2), tmp_path / "note"
    script = tmp_path / "wake"
    script.write_text(f'#!/bin/sh\necho "$LLAMAQ_WAKE_MODEL" >> {note}\nenv | grep -c LLAMAQ_\n')
    script.chmod(0o700)
    woken = {"wake_command": str(script), "model_grace_s": "1"}
    with (
        valkey(tmp_path) as redis_url,
        api(redis_url, tmp_path / "api.log", **woken) as (running, url),
        ThreadPoolExecutor(1) as pool,
        redis.Redis.from_url(redis_url) as looking,
    ):
        looking.zadd("llamaq:models", {"tiny": int(looking.time()[0]) - 7200})
        answer = pool.submit(ask, url)
        wait_until(lambda: "ended with code 0" in running.output)
        assert "for tiny says: 1" in running.output  # of llamaq's settings, the name alone
        with server.running(tmp_path / "server.log"), bridge(redis_url, server, tmp_path / "log"):
            assert answer.result(30).status_code == 200
        assert note.read_text() == "tiny\n"
