"""What `llamaq doctor` says of Redis and of the clocks. Pure."""

from collections.abc import Iterator

from dispatcher.redis_advice import eviction, refusal, warnings
from llamaq.doctor_facts import RedisLook
from llamaq.finding import Finding, ok, warn, wrong

_FAR_MS = 50.0
_DIFFERS_S, _WRONG_S = 2.0, 30.0  # an API believes a token for 30 s after its end


def of_redis(look: RedisLook) -> Iterator[Finding]:
    """Can it be reached, can it hold the queue, and what may go wrong with it one day?"""
    if look.problem:
        yield wrong("redis", f"{look.url}: {look.problem}", look.advice)
        return
    facts = look.facts
    yield ok("redis", f"{facts.product} {facts.version} at {look.url} answers{_memory(look)}")
    told = warnings(facts, behind_sentinels=look.is_behind_sentinels)
    if refused := refusal(facts, may_evict=look.allows_eviction):
        yield wrong("redis", *refused)
    elif evicts := eviction(facts):
        told.insert(0, evicts)
    if look.refusal:
        yield wrong("redis", look.refusal, "New requests get 503 until it takes writes again.")
    for remark in told:
        yield warn("redis", *remark)
    yield from _of_sentinels(look)
    if look.latency_ms > _FAR_MS:
        yield warn(
            "redis",
            f"it takes {look.latency_ms:.0f} ms to answer, and each request takes three such trips",
            "Run APIs nearer to it; bridges may be far away. If it is near, it is overloaded.",
        )


def of_clock(look: RedisLook) -> Finding:
    """Compares this machine's clock with that of Redis."""
    differs_s = abs(look.ahead_s)
    what = f"this machine is {differs_s:.1f} s {'ahead of' if look.ahead_s > 0 else 'behind'} Redis"
    advice = "Run an NTP client on both machines: timedatectl set-ntp true."
    if differs_s > _WRONG_S:
        return wrong("clock", f"{what}: tokens begin and end at the wrong time", advice)
    if differs_s > _DIFFERS_S:
        return warn("clock", what, advice)
    return ok("clock", f"this machine and Redis agree within {max(0.1, differs_s):.1f} s")


def _of_sentinels(look: RedisLook) -> Iterator[Finding]:
    away = [each for each in look.sentinels if each.problem]
    for each in away:
        yield warn(
            "redis",
            f"the Sentinel {each.sentinel} {each.problem}",
            "Start it again, or take it out of LLAMAQ_REDIS_URL.",
        )
    if 0 < len(look.sentinels) - len(away) <= len(look.sentinels) // 2:
        yield wrong(
            "redis",
            "most Sentinels are of no use, so none can replace the primary when it fails",
            "Bring a majority of them back.",
        )
    elif 0 < len(look.sentinels) < 3:
        yield warn(
            "redis",
            f"the address names {len(look.sentinels)} Sentinels, too few to agree when one fails",
            "Run three on machines that don't fail together, and name all of them.",
        )


def _memory(look: RedisLook) -> str:
    facts = look.facts
    bound = f" of {_mebibytes(facts.max_bytes)}" if facts.max_bytes else ""
    used = f", uses {_mebibytes(facts.used_bytes)}{bound}" if facts.used_bytes else ""
    return f" in {look.latency_ms:.1f} ms{used}"


def _mebibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"
