"""The log line of a request."""

import doctest

from api import request_log
from api.request_log import Record, _line


def test_examples_hold() -> None:
    assert doctest.testmod(request_log).failed == 0


def test_line_has_what_is_known_and_nothing_else() -> None:
    record = Record("r1", tenant="ann", status=401)
    assert _line(record) == "id=r1 tenant=ann status=401"


def test_client_cannot_forge_a_field_or_a_line() -> None:
    record = Record("r1", tenant="ann status=200", model='x"\nid=r2')
    assert _line(record) == "id=r1 tenant=ann_status_200 model=x__id_r2"
