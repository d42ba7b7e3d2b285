"""The fields of a request that its endpoint doesn't know, and what becomes of them. Pure.

An operator may have some passed on as they are (`LLAMAQ_FORWARD_FIELDS`). A client is told in a
header of the reply which ones have no effect.
"""

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NamedTuple

from api.forwarded_fields import TOKEN
from api.settings import ApiSettings

MOST_NAMES = 20
_STREAMS = frozenset({"stream_options", "return_progress", "timings_per_token"})


class Unknown(NamedTuple):
    """The fields that llama-server gets as they are, and the names of those that have no effect.

    `clients` are the client's names for fields of the chat that a request becomes.
    """

    passed: Mapping[str, Any]
    ignored: Sequence[str]
    clients: Mapping[str, str] = MappingProxyType({})

    def names(self, more: Sequence[str]) -> Sequence[str]:
        """The names of all that has no effect: `more` are fields of a chat."""
        return [*(self.clients.get(name, name) for name in more), *self.ignored]


NONE = Unknown(MappingProxyType({}), ())


def unknown_fields(
    fields: Mapping[str, Any], known: Set[str], settings: ApiSettings, idle: Sequence[str] = ()
) -> Unknown:
    """What of a request's `fields` is not `known`: the operator may have it passed on.

    `idle` are known fields that have no effect on this request.
    """
    is_heeded = fields.get("stream") or _STREAMS.isdisjoint(fields)
    if is_heeded and not idle and fields.keys() <= known:
        return NONE
    if not is_heeded:
        known = known - _STREAMS
    strange = [name for name in fields if name not in known]
    passed = {name: fields[name] for name in strange if name in settings.forwarded}
    return Unknown(passed, (*idle, *(name for name in strange if name not in passed)))


def header_of(names: Sequence[str]) -> str:
    """The names as the value of a header: at most `MOST_NAMES`, each a token of HTTP.

    A count of the others follows them.

    >>> header_of(["store", "x\\r\\ny", "metadata"])
    'store, metadata, +1'
    """
    shown = [name for name in names[: 2 * MOST_NAMES] if TOKEN.fullmatch(name)][:MOST_NAMES]
    left = len(names) - len(shown)
    return ", ".join([*shown, f"+{left}"] if left else shown)
