"""Which environment variables each process of `llamaq up` gets: no secret that it doesn't need."""

from collections.abc import Mapping

from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from dispatcher.settings import QueueSettings, without_settings
from llamaq.logs import LOG_FORMAT, LOG_LEVEL
from llamaq.settings import variables
from llamaq.traces import SETTING as TRACES
from worker_bridge.settings import BridgeSettings

_OF_LOGS = {LOG_LEVEL, LOG_FORMAT, TRACES}


def of_redis(ours: Mapping[str, str]) -> dict[str, str]:
    """The embedded Redis': the user's own variables, and of llamaq's settings those of logs."""
    return _with_settings(ours)


def of_api(ours: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The API's: the settings of the queue and of the API. `told` goes before `ours`."""
    return _with_settings({**ours, **told}, QueueSettings, ApiSettings)


def of_bridge(ours: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """A bridge's: the settings of the queue and of bridges, so nothing that signs tokens."""
    return _with_settings({**ours, **told}, QueueSettings, BridgeSettings)


def _with_settings(whole: Mapping[str, str], *kinds: type[BaseSettings]) -> dict[str, str]:
    needed = variables(*kinds) | _OF_LOGS
    settings = {name: value for name, value in whole.items() if name.upper() in needed}
    return without_settings(whole) | settings
