"""Speaks to the embedded Redis over its socket without a client library.

The program that does so stays for months, and loads little.
"""

import asyncio
import time
from urllib.parse import unquote, urlsplit

POLL_S = 0.02


async def wait_until_ready(url: str, timeout_s: float) -> None:
    """Return once the server answers, its data loaded; raises TimeoutError with the reason."""
    until, reason = time.monotonic() + timeout_s, ""
    while (left_s := until - time.monotonic()) > 0:
        try:
            reason = await asyncio.wait_for(ask(url, "PING"), left_s)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            reason = str(error) or "no answer"
        if reason == "+PONG":
            return
        await asyncio.sleep(POLL_S)
    raise TimeoutError(f"The Redis server did not answer within {timeout_s:g} s: {reason}")


async def ask(url: str, *words: str) -> str:
    """The line that the server on this socket answers to a command.

    Raises `OSError` and `asyncio.IncompleteReadError` where it is away.
    """
    where = urlsplit(url)
    reader, writer = await asyncio.open_unix_connection(unquote(where.path))
    try:
        if where.password is not None:
            writer.write(_command("AUTH", unquote(where.password)))
            if not (said := await _line(reader)).startswith("+"):
                return said
        writer.write(_command(*words))
        return await _line(reader)
    finally:
        writer.close()


def _command(*words: str) -> bytes:
    bulks = (f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{''.join(bulks)}".encode()


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n")).decode().strip()
