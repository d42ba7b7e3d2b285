"""What a claim brings to a bridge."""

import logging
from dataclasses import dataclass
from typing import Any

from dispatcher.job import Claim, decode_wants, split_attempt_id
from dispatcher.needs import read_needs
from dispatcher.traces import valid_trace

log = logging.getLogger("llamaq.worker")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim brought: jobs, and the free slots and side places that are left.

    In `again_s` seconds (None: never) jobs can be had that are left to other workers now.
    """

    free: int
    claims: list[Claim]
    again_s: float | None
    free_sides: int = 0


def read_taken(free: int, again_ms: bytes, rows: list[Any], free_sides: int = 0) -> Taken:
    """Reads what claim.lua answers; a job that can't be read is left out."""
    claims = []
    for row in rows:
        try:
            claims.append(_read_claim(row))
        except (ValueError, TypeError) as error:  # renew doesn't name it, and it is given back
            log.error("A claimed job can't be read; its worker leaves it: %r", error)
    return Taken(free, claims, int(again_ms) / 1000 or None, free_sides)


def _read_claim(row: list[bytes]) -> Claim:
    name, api, wants, left_ms, queue_ms, class_, path, form, body, *trace = row
    attempt_id = name.decode()
    return Claim(
        job=split_attempt_id(attempt_id)[0],
        attempt_id=attempt_id,
        api=api.decode(),
        wants=decode_wants(wants.decode()),
        left_s=int(left_ms) / 1000,
        queue_ms=int(queue_ms),
        needs=read_needs(class_.decode()),
        path=path.decode(),
        form=form.decode(),
        body=body or None,
        trace=valid_trace(trace[0].decode()) if trace else "",
    )
