"""Why, and when, an attempt is stopped before its end. Pure."""

from enum import StrEnum

from worker_bridge.settings import BridgeSettings


class Stop(StrEnum):
    """Why an attempt is stopped before its end."""

    CANCELLED = "cancelled"  # nobody waits for it
    ORPHANED = "orphaned"  # its API was taken for dead
    DEADLINE = "deadline"
    FENCED = "fenced"  # it is somebody else's
    STALLED = "stalled"
    WEDGED = "wedged"  # the engine of the server stands still, and has not begun with it
    DEAD = "dead"  # the server has ended, though the connection has not
    CROWDED = "crowded"  # others use the slot that it was meant for
    HURRY = "hurry"  # the bridge has no time left


class Phase(StrEnum):
    """What a request has yet to get from its server."""

    SLOT = "slot"
    PROMPT = "progress of its prompt"
    FIRST_TOKEN = "first token"  # noqa: S105
    NEXT_TOKEN = "next token"  # noqa: S105


def stall_limit_s(phase: Phase, settings: BridgeSettings) -> float:
    """How long a request may wait for what it has yet to get."""
    if phase is Phase.NEXT_TOKEN:
        return settings.stall_token_s
    if phase is Phase.FIRST_TOKEN:
        return settings.stall_first_token_s
    return settings.stall_prompt_s
