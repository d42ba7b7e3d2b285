"""What an error that Redis answers means to us."""

import re

from redis.exceptions import ResponseError

from dispatcher.errors import RedisFull, RedisUnavailable

# A server says this while it fails over or starts, without memory, or as a Redis Cluster. Redis 6
# puts what a script met into the text, after a hyphen; a script that passes it on puts ERR before.
FOR_NOW = re.compile(
    "(^|^ERR |-)(OOM|READONLY|MASTERDOWN|UNBLOCKED|BUSY|NOREPLICAS|MISCONF|NOPERM|LOADING"
    "|NOSCRIPT|CLUSTERDOWN|TRYAGAIN|MOVED|ASK) "
)
_ENDS_LINK = re.compile("(^|^ERR |-)(NOSCRIPT|READONLY|MOVED) ")
_NO_SCRIPT = re.compile("(^|^ERR |-)NOSCRIPT ")
_FULL = re.compile("(^|^ERR |-)OOM ")
_LOGIN = re.compile("WRONGPASS |NOAUTH |ERR (AUTH|invalid password)")

_SCRIPTS_ARE_GONE = (
    "Redis lacks llamaq's scripts (NOSCRIPT). An API loads them in a second or two, and so does a "
    "bridge that was not invited. An invited machine needs the same version of llamaq as the API."
)

_IS_FULL = (
    "Redis refuses work: its memory is full (maxmemory). What is queued goes on: please send the "
    "request again later. Its operator gives it more: maxmemory, of `llamaq up` "
    "LLAMAQ_REDIS_MAX_BYTES; or queues less: LLAMAQ_MAX_QUEUE_BYTES."
)


def error_of(text: str) -> RedisUnavailable | ResponseError:
    """The exception for an error reply: `ResponseError` where the command or the script is wrong.

    >>> str(error_of("OOM command not allowed"))[:59]
    'Redis refuses work: its memory is full (maxmemory). What is'
    >>> type(error_of("ERR READONLY You can't write. script: on @user_script:163."))
    <class 'dispatcher.errors.RedisUnavailable'>
    >>> str(error_of("ERR wrong number of arguments"))
    'wrong number of arguments'
    """
    if _LOGIN.match(text):
        return RedisUnavailable(f"Redis refuses our login: {text}")
    if _NO_SCRIPT.search(text):
        return RedisUnavailable(_SCRIPTS_ARE_GONE)
    if _FULL.search(text):
        return RedisFull(_IS_FULL)
    if FOR_NOW.search(text):
        return RedisUnavailable(f"Redis refuses work: {text}")
    return ResponseError(text.removeprefix("ERR "))


def ends_link(text: str) -> bool:
    """Whether this server can't be talked to as before: it has lost its scripts or its role.

    Later commands on the same connection might be executed all the same, in another order.
    """
    return _ENDS_LINK.search(text) is not None
