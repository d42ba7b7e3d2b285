"""Who waits for a model, which bridge loads it, and which API wakes machines for it."""

from dataclasses import dataclass

from dispatcher.commands import Commands
from dispatcher.key_lock import lock
from dispatcher.keys import Keys
from dispatcher.link import Link

_LOADING_MS = 5000
_LOADING = "loading"


@dataclass(frozen=True, slots=True)
class Demand:
    """How many `jobs` wait for a model; the oldest has for `waited_s`.

    Other workers offer `slots` that take them. A job holds a slot for `service_s`, 0 where that is
    not known. `loader` is the worker that loads the model now, empty where none does.
    """

    jobs: int = 0
    waited_s: float = 0
    slots: int = 0
    service_s: float = 0
    loader: str = ""


async def read_demand(commands: Commands, worker: str) -> Demand:
    """As this worker sees it. Raises `RedisUnavailable` and `ResponseError`."""
    jobs, waited_ms, slots, mean_ms, loader = await commands.oldest_waiting(worker)
    return Demand(jobs, waited_ms / 1000, slots, float(mean_ms) / 1000, loader.decode())


async def begin_loading(commands: Commands, worker: str) -> bool:
    """Whether this worker may load the model: no other one does. It asks again every second.

    Raises `RedisUnavailable`.
    """
    key = commands.keys.named(_LOADING)
    return await lock(commands.redis.link, key, worker, _LOADING_MS)


async def end_loading(commands: Commands, worker: str) -> None:
    """The model is loaded, or can't be. Raises `RedisUnavailable`."""
    link, key = commands.redis.link, commands.keys.named(_LOADING)
    if await link.call("GET", key) == worker.encode():  # at worst two load it
        await link.call("DEL", key)


async def begin_waking(link: Link, model: str, every_ms: int) -> bool:
    """Whether this API may wake machines for the model: no API has within `every_ms`.

    Raises `RedisUnavailable` and `ResponseError`.
    """
    key = Keys(model).woken
    return await link.call("SET", key, 1, "NX", "PX", every_ms) is not None
