"""All that `llamaq doctor` says: what is right and wrong, and what to do about it. Pure."""

from collections.abc import Iterator

from llamaq.ago import lasting
from llamaq.doctor_facts import Disk, Facts, Port, TokensLook
from llamaq.doctor_redis import of_clock, of_redis
from llamaq.doctor_workers import of_servers, of_versions
from llamaq.finding import Finding, ok, warn, wrong

_SOON_S = 7 * 24 * 3600.0
_SHOWN = 3
_LITTLE_BYTES, _LEAST_BYTES = 2**30, 100 * 2**20


def findings(facts: Facts) -> list[Finding]:
    """All of them, area by area; of the queue only if Redis can be used."""
    found = [*of_redis(facts.redis)]
    if not facts.redis.problem:
        found += [of_clock(facts.redis), *_of_queue(facts)]
    found += [*_of_tokens(facts.tokens), *_of_disk(facts.disk)]
    return found + [_of_port(port) for port in facts.ports]


def _of_queue(facts: Facts) -> Iterator[Finding]:
    if facts.queue.is_hidden:
        yield ok("servers", "this machine was invited: it sees no workers of others")
        return
    yield from of_versions(facts)
    yield from of_servers(facts)


def _of_tokens(look: TokensLook) -> Iterator[Finding]:
    if look.problem:
        yield wrong("tokens", look.problem, "Correct it, and start the API again.")
    elif look.has_keys:
        yield ok("tokens", "there is a secret or a key, and it is long enough")
    else:
        yield ok("tokens", "no secret and no key here: only the machine of an API needs one")
    if look.was_given and look.refusal:
        yield wrong("tokens", f"the token is not believed: {look.refusal}", "")
    elif look.was_given:
        yield ok("tokens", "the token is believed")
    yield from _of_records(look)


def _of_records(look: TokensLook) -> Iterator[Finding]:
    good = [each for each in look.records if not each.is_revoked]
    soon = [each for each in good if each.ends_in_s < _SOON_S]
    if look.records:
        revoked = len(look.records) - len(good)
        yield ok("tokens", f"{len(good)} of llamaq token create are valid, {revoked} are revoked")
    if soon:
        named = ", ".join(f"{each.subject} ({lasting(each.ends_in_s)})" for each in soon[:_SHOWN])
        more = f" and {len(soon) - _SHOWN} more" if len(soon) > _SHOWN else ""
        yield warn(
            "tokens",
            f"tokens end within a week: {named}{more}",
            "Make new ones: llamaq token create NAME --ttl 30d.",
        )


def _of_disk(disk: Disk) -> Iterator[Finding]:
    if not disk.exists:
        yield ok("disk", f"no `llamaq up` has been here ({disk.folder})")
        return
    room = f"{disk.free_bytes / 2**30:,.1f} GiB free"
    if not disk.is_writable:
        yield wrong(
            "disk",
            f"{disk.folder} can't be written",
            "Give it to the user of llamaq: chown -R USER FOLDER.",
        )
    if disk.free_bytes < _LEAST_BYTES:
        yield wrong("disk", f"{disk.folder}: {room}, so Redis can't keep requests", _MAKE_ROOM)
    elif disk.free_bytes < _LITTLE_BYTES:
        yield warn("disk", f"{disk.folder}: {room}, little for what Redis keeps", _MAKE_ROOM)
    elif disk.is_writable:
        yield ok("disk", f"{disk.folder} can be written: {room}")


_MAKE_ROOM = "Make room on that disk, or move the folder: LLAMAQ_DATA_DIR, LLAMAQ_REDIS_DIR."


def _of_port(port: Port) -> Finding:
    if port.answer == "llamaq":
        return ok("ports", f"{port.what} answers at {port.address}")
    if port.answer:
        return wrong(
            "ports",
            f"{port.answer} listens at {port.address}, where {port.what} would",
            "Stop it, or give llamaq another one: LLAMAQ_PORT, --redis-listen.",
        )
    if port.is_expected:
        return wrong(
            "ports",
            f"{port.what} should answer at {port.address}, and does not",
            "Look into the log of llamaq up, and start it again.",
        )
    return ok("ports", f"{port.what} does not run here: {port.address} is free")
