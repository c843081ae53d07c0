"""Metrics as people read them: one text for a screen, a table or a terminal."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pandas as pd

from workbench.analysis.columns import MONEY
from workbench.analysis.definitions import Metric

__all__ = ["format_metric"]

_MINUS = "\N{MINUS SIGN}"
_UNKNOWN = "\N{EM DASH}"


def format_metric(metric: Metric) -> str:
    """
    Return a metric's value with its unit; a dash where there is none (the reason is the metric's own).

    Examples
    --------
    >>> format_metric({"value": "1234567.891", "unit": "USD", "reason": None})
    '1,234,567.89 USD'
    >>> format_metric({"value": 0.0512, "unit": "%", "reason": None})
    '5.12 %'

    """
    value, unit = metric["value"], metric["unit"]
    if value is None:
        return _UNKNOWN
    if unit == "time":
        return f"{pd.Timestamp(value):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, str):
        return f"{_format_money(Decimal(value))} {unit}".replace("-", _MINUS, 1)
    return _format_number(value, unit).replace("-", _MINUS, 1)


def _format_number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:,.2f} %"
    if unit == "bp":
        return f"{value * 10_000:,.2f} bp"
    if unit == "count":
        return f"{value:,d}" if isinstance(value, int) else f"{value:,g}"
    if unit == "days":
        return f"{value:,.1f} days"
    if unit == "s":
        return _format_seconds(value)
    return f"{value:,.2f}"


def _format_money(value: Decimal) -> str:
    places = 2
    if value != 0 and abs(value) < 1:
        # Small amounts (of bitcoin, say) keep four significant digits, eight decimals at the most.
        places = min(3 - value.adjusted(), 8)
    text = f"{value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=MONEY):,f}"
    while places > 2 and text.endswith("0"):
        text, places = text[:-1], places - 1
    return text


def _format_seconds(secs: float) -> str:
    for size, name in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if secs >= size:
            return f"{secs / size:,.1f} {name}"
    return f"{secs:,.1f} s"
