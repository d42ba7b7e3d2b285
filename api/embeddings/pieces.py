"""Cuts the inputs of a request, so that several workers share it. Pure."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

MOST_PIECES = 16
PIECE_BYTES = 16 * 1024
_OF_EACH_BYTES = 64  # what an input costs beside its text

T = TypeVar("T")


def cut(inputs: Sequence[T], sizes: Sequence[int]) -> list[Sequence[T]]:
    """The inputs in their order, in pieces of about the same work; `sizes` are their bytes.

    >>> cut("abcd", [9000, 9000, 9000, 9000]), cut("ab", [1, 1])
    (['ab', 'cd'], ['ab'])
    """
    ends = list(accumulate(size + _OF_EACH_BYTES for size in sizes))
    most = min(MOST_PIECES, len(inputs))
    count = max(1, min(most, ends[-1] // PIECE_BYTES))
    pieces, start = [], 0
    for number in range(1, count):
        goal, latest = ends[-1] * number / count, len(inputs) - (count - number)
        end = start + 1
        while end < latest and ends[end - 1] < goal:
            end += 1
        pieces.append(inputs[start:end])
        start = end
    return [*pieces, inputs[start:]]
