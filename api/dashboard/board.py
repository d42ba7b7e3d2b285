"""What the dashboard shows, of one process of the API."""

from functools import partial

from api.dashboard.live import Live
from api.dashboard.past import Past
from api.dashboard.snapshot import read_snapshot
from dispatcher.connection import LinkedRedis


class Board:
    """The `live` state, which is read while somebody looks, and the `past`."""

    def __init__(self, redis: LinkedRedis) -> None:
        self.live = Live(partial(read_snapshot, redis))
        self.past = Past(redis)
