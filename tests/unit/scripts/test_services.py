"""Whatever starts a bridge gives it the time that it needs to drain, and signals only it."""

import plistlib
import re
from pathlib import Path

import pytest

from api.settings import ApiSettings
from worker_bridge.settings import BridgeSettings

DEPLOY = Path(__file__).parents[3] / "deploy"
DRAIN_S = BridgeSettings.model_fields["drain_s"].default
UNITS = sorted(DEPLOY.glob("systemd/**/*.service"))


def setting(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_unit_leaves_time_to_drain_and_does_not_spin(unit: Path) -> None:
    assert int(setting(unit, "TimeoutStopSec")[0]) >= DRAIN_S + 30
    assert setting(unit, "KillMode") == ["mixed"]
    assert setting(unit, "RestartPreventExitStatus") == ["2"]
    assert setting(unit, "StartLimitBurst") == ["5"]


def test_there_are_units() -> None:
    assert len(UNITS) == 4


@pytest.mark.parametrize("unit", ["llamaq-up", "llamaq-api"])
def test_socket_opens_the_api_to_nobody_else(unit: str) -> None:
    host, port = (ApiSettings.model_fields[name].default for name in ("host", "port"))
    assert setting(DEPLOY / "systemd" / f"{unit}.socket", "ListenStream") == [f"{host}:{port}"]
    assert DEPLOY / "systemd" / f"{unit}.service" in UNITS


def test_launchd_leaves_time_to_drain() -> None:
    plist = plistlib.loads((DEPLOY / "launchd" / "llamaq.bridge.plist").read_bytes())
    assert plist["ExitTimeOut"] >= DRAIN_S + 30
    assert plist["ProgramArguments"][1] == "bridge"


def test_compose_leaves_time_to_drain() -> None:
    graces = re.findall(
        r"stop_grace_period: (\d+)s", (DEPLOY.parent / "docker-compose.yml").read_text()
    )
    assert graces
    assert all(int(grace) >= DRAIN_S + 30 for grace in graces)
