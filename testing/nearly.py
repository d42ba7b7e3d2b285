"""Compares answers of llama.cpp, whose figures differ a little with what was in the cache."""

from typing import Any

import pytest

_NOISE = 1e-3


def nearly(value: Any) -> Any:
    """Equal to a JSON value whose fractions differ from those of this one by noise."""
    if isinstance(value, float):
        return pytest.approx(value, abs=_NOISE)
    if isinstance(value, list):
        return [nearly(each) for each in value]
    if isinstance(value, dict):
        return {name: nearly(each) for name, each in value.items()}
    return value


def without_fractions(value: Any) -> Any:
    """The JSON value with 0 in place of each fraction."""
    if isinstance(value, float):
        return 0
    if isinstance(value, list):
        return [without_fractions(each) for each in value]
    if isinstance(value, dict):
        return {name: without_fractions(each) for name, each in value.items()}
    return value
