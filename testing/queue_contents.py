"""What Redis holds of one model's queue, for tests to look at."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from dispatcher.frames import unpack
from dispatcher.keys import Keys

OF_JOBS = (
    *("classes", "turns:", "served:", "idle:", "charged", "waiting", "waiting_bytes"),
    *("busy", "parked"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """A frame in a reply stream, and the attempt it belongs to."""

    attempt_id: str
    kind: str
    payload: bytes


class QueueContents:
    """Reads one model's queue."""

    def __init__(self, redis: Redis, model: str) -> None:
        self.redis = redis
        self.keys = Keys(model)

    async def job(self, job: str) -> dict[str, str]:
        row = await self.redis.hgetall(self.keys.named("job", job))
        return {name.decode(): value.decode() for name, value in row.items()}

    async def state(self, job: str) -> str:
        return (await self.job(job)).get("state", "")

    async def queue(self) -> list[str]:
        places = await self.redis.zrange(self.keys.named("queue"), 0, -1)
        return [place.decode().rpartition("|")[2] for place in places]

    async def running(self, worker: str = "w") -> list[str]:
        attempt_ids = await self.redis.zrange(self.keys.named("running", worker), 0, -1)
        return [attempt_id.decode() for attempt_id in attempt_ids]

    async def counter(self, name: str) -> int:
        return int(await self.redis.hget(self.keys.named("counters"), name) or 0)

    async def told(self, api: str = "a") -> list[Told]:
        """The frames in an api's reply stream."""
        rows = await self.redis.xrange(self.keys.named("replies", api))
        return [
            Told(attempt_id.decode(), frame.kind.value, frame.payload)
            for _, fields in rows
            for attempt_id, value in fields.items()
            if attempt_id != b"hello"
            for frame in unpack(value)
        ]

    async def heard(self, api: str = "a") -> list[tuple[str, str]]:
        """The kinds of these frames, each with its attempt id."""
        return [(told.attempt_id, told.kind) for told in await self.told(api)]

    async def rung(self, worker: str = "") -> bool:
        """Whether a bell rings: a worker's own or the one all share; it is silent afterwards."""
        bell = self.keys.named("bell_of", worker) if worker else self.keys.named("bell")
        return bool(await self.redis.delete(bell))

    async def cancels(self, worker: str = "w") -> list[str]:
        attempt_ids = await self.redis.zrange(self.keys.named("cancels", worker), 0, -1)
        return [attempt_id.decode() for attempt_id in attempt_ids]

    async def of_jobs(self) -> list[str]:
        """The keys that are there only while a job waits or runs."""
        keys = [key.decode().rpartition("}:")[2] async for key in self.redis.scan_iter()]
        return sorted(key for key in keys if key.startswith(OF_JOBS))

    async def everything(self) -> dict[str, Any]:
        """All that Redis holds, to see that nothing changed."""
        keys = sorted([key.decode() async for key in self.redis.scan_iter()])
        return {key: await self._value(key) for key in keys}

    async def _value(self, key: str) -> Any:
        kind = (await self.redis.type(key)).decode()
        readers: dict[str, Any] = {
            "string": lambda: self.redis.get(key),
            "hash": lambda: self.redis.hgetall(key),
            "zset": lambda: self.redis.zrange(key, 0, -1, withscores=True),
            "stream": lambda: self.redis.xrange(key),
        }
        return await readers[kind]()
