"""Makes the parts of a running API, and names what runs beside its requests."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from api.answer_room import AnswerRoom
from api.auth import Authenticator
from api.context import Context
from api.dashboard.board import Board
from api.directory import Directory
from api.idempotency.once import Once
from api.jwks import Jwks
from api.limits import Limiter
from api.line import Line
from api.pulse import Pulse
from api.settings import ApiSettings
from api.usage_report import UsageKeeper
from api.visit import Room
from api.wake import Waker, read_command
from dispatcher.aliases import parse_aliases
from dispatcher.invited_keeper import InvitedKeeper
from dispatcher.invited_watch import InvitedWatch
from dispatcher.kept_answers import Bounds, KeptAnswers
from dispatcher.queue import Queue
from dispatcher.settings import QueueSettings

log = logging.getLogger("llamaq.api")

Works = Mapping[str, Callable[[], Awaitable[None]]]
"""What runs beside the requests until the API ends, by names for the log."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What requests need, and what runs beside them."""

    context: Context
    works: Works


def make_parts(settings: ApiSettings, queue_settings: QueueSettings, queue: Queue) -> Parts:
    """The parts of an API on this queue."""
    jwks, pulse = _jwks(settings), Pulse()
    authenticator = Authenticator(settings.token_values, jwks)
    usage = UsageKeeper(settings.usage_days)
    keeper = InvitedKeeper(queue.lifeline, queue_settings.lease_s, queue.keep_apart)
    limiter = Limiter(queue.redis, queue_settings.lease_s, lambda: directory.models)
    directory = Directory(
        *(queue.lifeline, settings.grace_s, queue.open, parse_aliases(settings.aliases)),
        readers=[authenticator.read_revocations, usage.keep, limiter.look],
        keeper=keeper,
    )
    authenticator.look_first = directory.refresh
    waker = _waker(settings, queue, directory)
    once = _once(settings, queue, pulse)
    context = Context(
        *(settings, queue, directory, authenticator, pulse, limiter, Board(queue.redis)),
        max_tenant_jobs=queue_settings.max_tenant_jobs,
        line=Line(settings.api_workers, most_of_tenant=settings.open_requests_of_a_tenant),
        room=Room(settings.held_bytes_of_a_process),
        answers=AnswerRoom(settings.held_bytes_of_a_process, settings.max_held_bytes),
        once=once,
    )
    most_bytes = queue_settings.max_invited_bytes
    watch = InvitedWatch(queue.redis, queue.api, lambda: keeper.invited, most_bytes)
    optional = {"waking of machines": waker, "jwks": jwks, "renewal of idempotency keys": once}
    works = {
        "directory": directory.run,
        "pulse": pulse.run,
        "watch over invited machines": watch.run,
        **{name: part.run for name, part in optional.items() if part is not None},
    }
    return Parts(context, works)


def _jwks(settings: ApiSettings) -> Jwks | None:
    if not settings.jwks_url:
        return None
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        log.warning(
            "An identity provider signs tokens for others too: set LLAMAQ_JWT_ISSUER and "
            "LLAMAQ_JWT_AUDIENCE, so that only those for this API are believed"
        )
    return Jwks(settings.jwks_url)


def _waker(settings: ApiSettings, queue: Queue, directory: Directory) -> Waker | None:
    command = read_command(settings.wake_command)
    directory.wakes = bool(command)
    return Waker(command, queue.lifeline, lambda: directory.models) if command else None


def _once(settings: ApiSettings, queue: Queue, pulse: Pulse) -> Once | None:
    if not settings.idempotency_s:
        return None
    bytes_ = settings.idempotency_tenant_bytes, settings.idempotency_bytes
    kept = KeptAnswers(queue.redis, queue.lifeline, Bounds(settings.idempotency_s, *bytes_))
    return Once(kept, pulse, settings.queue_position_after_s, settings.client_buffer_bytes)
