"""Asks a server and llamaq for the same, and says how their answers differ."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.differential.differences import Difference, differences
from tests.differential.kinds import kind_of
from tests.differential.requests import Request
from tests.differential.stage import Stage

AT_ONCE = 3


def compared(there: Stage, asked: Sequence[Request]) -> list[Difference]:
    """How the answers differ. A few requests run at once.

    A server rounds differently where it works on several at once, and another token may win. So a
    request whose answers say something else is asked again alone.
    """

    def compare(request: Request) -> list[Difference]:
        return _compared(there, request)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        each = list(pool.map(compare, asked))
    pairs = zip(asked, each, strict=True)
    again = [compare(request) if _may_be_rounding(found) else found for request, found in pairs]
    return [difference for found in again for difference in found]


def _compared(there: Stage, request: Request) -> list[Difference]:
    plan = request.plan
    own, ours = there.both(plan.model, plan.path, request.body, request.media_type)
    try:
        return list(differences(request, own, ours))
    except (ValueError, LookupError, TypeError) as error:
        return [Difference(request, own, ours, f"unreadable: {error}", own.body, ours.body)]


def _may_be_rounding(found: Sequence[Difference]) -> bool:
    faults = [difference for difference in found if kind_of(difference) is None]
    return bool(faults) and all(fault.at[:1] in ".+-" for fault in faults)
