"""How numbers, times and names are written: one place, so that every table agrees."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from html import escape

import pandas as pd

__all__ = [
    "UNKNOWN",
    "find_places",
    "format_bytes",
    "format_decimal",
    "format_duration",
    "format_percent",
    "format_time",
    "shorten",
    "tint",
]

UNKNOWN = "\N{EM DASH}"
_MINUS = "\N{MINUS SIGN}"
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
_MOST_PLACES = 9  # nautilus's standard price precision; averages of prices have more, which say nothing


def format_decimal(value: Decimal | float | None, places: int, *, is_signed: bool = False) -> str:
    """
    Return a number with thousands separated, a fixed number of decimals and a real minus sign.

    Examples
    --------
    >>> format_decimal(Decimal("-1234.5"), 2)
    '−1,234.50'
    >>> format_decimal(Decimal("69"), 2, is_signed=True)
    '+69.00'

    """
    exact = _read(value)
    if exact is None:
        return UNKNOWN
    rounded = exact.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    if rounded == 0:
        return f"{abs(rounded):,f}"
    sign = _MINUS if rounded < 0 else "+" if is_signed else ""
    return f"{sign}{abs(rounded):,f}"


def format_percent(value: float | None, *, is_signed: bool = False, places: int = 2) -> str:
    """Return a fraction as a percentage: 0.0413 is ``+4.13 %``."""
    exact = _read(value)
    return UNKNOWN if exact is None else f"{format_decimal(exact * 100, places, is_signed=is_signed)} %"


def format_time(value: object, *, has_seconds: bool = False) -> str:
    """Return a time in UTC and ISO order, without its zone: the view says it once."""
    if value is None or value is pd.NaT:
        return UNKNOWN
    stamp = pd.Timestamp(value)  # type: ignore[arg-type]
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.strftime("%Y-%m-%d %H:%M:%S" if has_seconds else "%Y-%m-%d %H:%M")


def format_duration(secs: float | None) -> str:
    """
    Return a length of time in the one unit that suits it, or two.

    Examples
    --------
    >>> format_duration(852.0)
    '14 min'
    >>> format_duration(100_000.0)
    '1 d 3 h'

    """
    if secs is None or pd.isna(secs):
        return UNKNOWN
    if secs < 10:
        return f"{secs:.1f} s"
    if secs < 120:
        return f"{secs:.0f} s"
    if secs < 7_200:
        return f"{secs / 60:.0f} min"
    hours = round(secs / 3_600)
    if hours < 24:
        return f"{secs / 3_600:.1f} h"
    if hours >= 240 or hours % 24 == 0:
        return f"{round(hours / 24):,} d"
    return f"{hours // 24:,} d {hours % 24} h"


def format_bytes(count: int) -> str:
    """Return a size in memory or on disk, in decimal units."""
    if count < 1_000_000:
        return f"{count / 1_000:,.0f} kB"
    return f"{count / 1_000_000:,.0f} MB" if count < 10_000_000_000 else f"{count / 1_000_000_000:,.1f} GB"


def find_places(values: Iterable[Decimal | None], *, default: int = 2) -> int:
    """
    Return the decimals that a column of exact prices or quantities needs.

    A value with more than 9 is an average; it does not count.
    """
    places = [_count_places(value) for value in values if isinstance(value, Decimal) and value.is_finite()]
    sensible = [count for count in places if count <= _MOST_PLACES]
    if sensible:
        return max(sensible)
    return _MOST_PLACES if places else default


def _read(value: Decimal | float | None) -> Decimal | None:
    """Return a number exactly as it prints; ``None`` for a missing one, whether None, NaN, NaT or NA."""
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    return None if value is None or bool(pd.isna(value)) else Decimal(repr(float(value)))


def _count_places(value: Decimal) -> int:
    exponent = Decimal(value).normalize(_EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def shorten(name: object, *, most: int = 14) -> str:
    """Return HTML of an id, shortened in its middle, with the whole one on hover."""
    text = str(name)
    if len(text) <= most:
        return f"<span class='id'>{escape(text)}</span>"
    head = (most - 1) // 2
    short = f"{text[:head]}…{text[-(most - 1 - head) :]}"
    return f"<span class='id' title='{escape(text, quote=True)}'>{escape(short)}</span>"


def tint(value: Decimal | float | None) -> str:
    """Return the class of a gain or a loss; colour only underlines the sign that is written."""
    exact = _read(value)
    if exact is None or exact == 0:
        return ""
    return "up" if exact > 0 else "down"
