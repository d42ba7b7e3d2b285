"""From a request's bytes to JSON (RFC 8259), bounded in size and depth."""

import json
import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from math import isfinite
from typing import Any, NoReturn

from starlette.types import Receive

from api.errors import ApiError, bad_request

# Python's JSON parser lets nothing else run, in whatever thread it is. With these bounds it takes
# some tenths of a second.
MAX_BRACKETS = 250_000
MAX_QUOTES = 400_000
MAX_COMMAS = 2_000_000
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # 1 or -1, as signed bytes
_BOM = "\ufeff"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


async def read_body(
    headers: Mapping[str, str], receive: Receive, limit: int, hold: Callable[[int], None]
) -> bytes:
    """The whole body; `ApiError` 413 as soon as it is known to be longer than `limit` bytes.

    `hold` is told how many bytes it takes, and may raise. The names in `headers` are in lower case.
    Raises `ApiError` 400 where the client goes.
    """
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size > limit:
        raise too_large(limit)
    hold(size)
    piece, has_more = await _receive(receive)
    if not has_more and len(piece) <= limit:
        return piece
    # One block of memory: pieces, or a block that grows, take the memory twice.
    body, end = bytearray(size), 0
    while True:
        body[end : end + len(piece)] = piece
        end += len(piece)
        if end > limit:
            raise too_large(limit)
        hold(end)
        if not has_more:
            return bytes(memoryview(body)[:end])
        del piece  # the next one may take its time
        piece, has_more = await _receive(receive)


async def _receive(receive: Receive) -> tuple[bytes, bool]:
    """The next piece, and whether more come."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _cut_off()
    return message.get("body", b""), message.get("more_body", False)


def has_left(receive: Receive) -> bool:
    """Whether the client has gone, after its body was read. It does not wait.

    It begins to receive, as a task would, and looks whether that has an answer at once.
    """
    receiving = receive()
    try:
        receiving.send(None)  # type: ignore[attr-defined]
    except StopIteration as ended:
        return bool(ended.value["type"] == "http.disconnect")
    receiving.close()  # type: ignore[attr-defined]
    return False


def parse_object(body: bytes, max_depth: int) -> dict[str, Any]:
    """The fields of the JSON object that `body` is, or an `ApiError` 400 that says what it is.

    A field that is null is left out: OpenAI's null means "not given".
    """
    value = parse_json(body, max_depth)
    if not isinstance(value, dict):
        raise bad_request('The body must be a JSON object, such as {"model": …}.')
    return {name: field for name, field in value.items() if field is not None}


def parse_json(body: bytes, max_depth: int) -> Any:
    """The JSON value that `body` is; `ApiError` 400 for all that llama-server would not read."""
    if len(body) > MAX_BRACKETS:
        _check_counts(body)
    try:
        value = _decoder.decode(body.decode().removeprefix(_BOM))
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise bad_request(f"The body must be UTF-8; byte {error.start} is not.") from error
    except UnicodeEncodeError as error:
        raise bad_request("The body has half of a \\u surrogate pair.") from error
    except ValueError as error:
        raise bad_request(f"The body must be JSON: {error}.") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    # Python bounds its own recursion, so parsing comes first: most bad input ends there, cheaply.
    if _deeper_than(body, max_depth):
        raise _too_deep(max_depth)
    return value


def _check_counts(body: bytes) -> None:
    """Raises `ApiError` 400 for a body of too many values, without a look at each."""
    if body.count(b'"') - body.count(b'\\"') > MAX_QUOTES:
        raise bad_request(f"The body has more than {MAX_QUOTES // 2} names and strings: send less.")
    if _brackets(body) > MAX_BRACKETS or body.count(b",") > MAX_COMMAS:
        values = _outside_strings(body)
        if _brackets(values) > MAX_BRACKETS:
            raise bad_request(
                f"The body has more than {MAX_BRACKETS} lists and objects: send less."
            )
        if values.count(b",") > MAX_COMMAS:
            raise bad_request(f"The body has more than {MAX_COMMAS} values: send less.")


def _brackets(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _outside_strings(body: bytes) -> bytes:
    # Without escapes every second piece between quotes is a string.
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])


def _deeper_than(body: bytes, max_depth: int) -> bool:
    """Whether valid JSON nests deeper. Cheaper than a walk over its values."""
    if _brackets(body) <= max_depth:
        return False
    steps = _outside_strings(body).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > max_depth


def _too_deep(max_depth: int) -> ApiError:
    return bad_request(f"The body nests deeper than {max_depth} levels: make it flatter.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"the number {text[:32]} is too large")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)


def too_large(limit: int) -> ApiError:
    """A 413 for a body of more bytes than that."""
    # Closing spares both sides the rest of the body.
    return ApiError(
        413,
        f"The body is larger than {limit} bytes: send less.",
        type="invalid_request_error",
        code="request_too_large",
        headers={"Connection": "close"},
    )


def _cut_off() -> ApiError:
    return ApiError(
        400,
        "The connection closed before the whole body was here.",
        type="invalid_request_error",
        code="client_disconnected",
    )
