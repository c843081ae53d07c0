"""Round steps for axes."""

from __future__ import annotations

import math

__all__ = ["find_step"]

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
