"""Round steps for axes, and the order of what is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["find_step", "sort_categories"]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_ROUNDING = 1e-9


def find_step(span: float, most: int) -> float:
    """
    Return the smallest round step of which at most `most` fit into a span.

    Examples
    --------
    >>> find_step(84.0, 4)
    25.0

    """
    rough = max(span, _ROUNDING) / most
    scale = 10.0 ** math.floor(math.log10(rough))
    return next(scale * step for step in _STEPS if scale * step >= rough * (1 - _ROUNDING))


def sort_categories[T](values: Iterable[T]) -> list[T]:
    """
    Return values in the order of their texts; texts of numbers, as a configuration has decimals, in that of numbers.

    Examples
    --------
    >>> sort_categories(["1000", "500"])
    ['500', '1000']

    """
    found = list(values)
    try:
        return sorted(found, key=lambda value: float(str(value)))
    except ValueError:
        return sorted(found, key=str)
