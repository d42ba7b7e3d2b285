"""Has the embedded Redis rewrite its files now and then: answered prompts leave the disk."""

import asyncio
import logging

from llamaq.redis_socket import ask

log = logging.getLogger("llamaq.redis")

_TIMEOUT_S = 60.0
_UNDER_WAY = "already in progress"


async def keep_rewriting(url: str, every_s: float) -> None:
    """Asks for it every `every_s` seconds, for ever. A failure is logged, and tried again then."""
    while True:
        await asyncio.sleep(every_s)
        if why := await _refusal(url):
            log.warning(
                "Redis has not rewritten its files, so answered prompts stay on the disk for "
                "another %g s: %s",
                every_s,
                why,
            )


async def _refusal(url: str) -> str:
    """Why it does not; empty where it does."""
    try:
        said = await asyncio.wait_for(ask(url, "BGREWRITEAOF"), _TIMEOUT_S)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        return str(error) or "no answer"
    return "" if said.startswith("+") or _UNDER_WAY in said else said
