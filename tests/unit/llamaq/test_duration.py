import click
import pytest

from llamaq.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("12h", 43200), ("90d", 7776000), ("2w", 1209600), (" 1h ", 3600)],
)
def test_duration_is_in_seconds(text: str, seconds: int) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "0d", "-1d", "1.5h", "1 d", "d", "1y", "1d2h", "9999999d"]
)
def test_anything_else_says_how_to_write_it(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90d"):
        Duration().convert(text, None, None)
