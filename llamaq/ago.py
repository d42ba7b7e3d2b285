"""Spans of time for people. Pure."""

_UNITS = (86_400, "d"), (3600, "h"), (60, "min")


def lasting(seconds: float) -> str:
    """In the largest unit of which it has two, or in seconds.

    >>> lasting(0.4), lasting(119), lasting(150), lasting(7300)
    ('0 s', '119 s', '2 min', '2 h')
    """
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(seconds: float) -> str:
    """The same before now.

    >>> ago(150)
    '2 min ago'
    """
    return f"{lasting(seconds)} ago"
