"""What tells one llama-server from another."""

from pathlib import Path

import pytest

import worker_bridge.server_id as module
from worker_bridge.llama import Props
from worker_bridge.server_id import server_id

URL = "http://127.0.0.1:8080"
RANDOM = "<__media_VrxRTGRolLRuRa0GsO2SRwbU0U8fdNBi__>"  # of b11549


def props(process: str) -> Props:
    return Props("m", 1, 2048, "b1", "f", False, modalities=frozenset(), process=process)


def test_server_is_the_same_by_whatever_address_it_is_reached() -> None:
    assert server_id(props(RANDOM), URL) == server_id(props(RANDOM), "http://192.168.1.5:8080")


def test_restarted_server_is_another_one() -> None:
    other = RANDOM.replace("VrxR", "aaaa")
    assert server_id(props(RANDOM), URL) != server_id(props(other), URL)


@pytest.mark.parametrize("set_by_its_operator", ["", "<__media__>", "<image>", "p1"])
def test_marker_that_many_servers_may_have_tells_nothing(
    set_by_its_operator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is the address here: a second machine, or container, has other servers there."""
    boot = tmp_path / "boot_id"
    boot.write_text("this machine")
    monkeypatch.setattr(module, "_BOOT_ID", boot)
    here = props(set_by_its_operator)
    first = server_id(here, URL)
    assert first == server_id(here, URL) != ""
    assert first != server_id(here, "http://127.0.0.1:8081")
    boot.write_text("another machine")
    assert first != server_id(here, URL)
    boot.unlink()
    assert server_id(here, URL) == ""
