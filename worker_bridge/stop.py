"""Why, and when, an attempt is stopped before its end. Pure."""

from enum import StrEnum

from worker_bridge.ends import End, Result, failure
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
    ANSWER = "whole answer"  # and nothing before it: not that a slot has begun, nor any progress
    PROMPT = "progress of its prompt"
    FIRST_TOKEN = "first token"  # noqa: S105
    NEXT_TOKEN = "next token"  # noqa: S105


_ENDS = {
    Stop.CANCELLED: (End.UNWANTED, ""),
    Stop.DEADLINE: (End.UNWANTED, ""),
    Stop.FENCED: (End.FOREIGN, ""),
    Stop.ORPHANED: (
        End.ORPHANED,
        "The API was taken for dead while it waited for the answer.",
    ),
    Stop.STALLED: (
        End.STALLED,
        "The worker's llama-server stood still: it gave no {} for {:.0f} s.",
    ),
    Stop.DEAD: (
        End.CRASHED,
        "The worker's llama-server crashed while it had this request: it is gone.",
    ),
    Stop.CROWDED: (
        End.GIVEN_BACK,
        "The worker's llama-server is busy with the requests of others.",
    ),
    Stop.WEDGED: (End.GIVEN_BACK, "The worker's llama-server stands still."),
    Stop.HURRY: (End.GIVEN_BACK, "The worker was stopped."),
}


def stopped(why: Stop, phase: Phase, still_s: float) -> Result:
    """How an attempt ended that was stopped in this phase, `still_s` after its last progress."""
    end, message = _ENDS[why]
    return Result(end, failure(message.format(phase, still_s)) if message else b"{}")


def stall_limit_s(phase: Phase, settings: BridgeSettings) -> float:
    """How long a request may wait for what it has yet to get."""
    if phase is Phase.NEXT_TOKEN:
        return settings.stall_token_s
    if phase is Phase.FIRST_TOKEN:
        return settings.stall_first_token_s
    return settings.stall_prompt_s
