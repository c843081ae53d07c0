"""Bar types, and when their bars close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.catalog.rows import BarShift
from workbench.errors import InputError

if TYPE_CHECKING:
    from nautilus_trader.model.data import BarType

__all__ = ["STAMPS", "Stamp", "build_shift", "interval_ns", "parse_bar_type", "suggest_stamp"]

Stamp = Literal["open", "close"]
"""Whether a bar's time stamp is that of its open or of its close."""

STAMPS: tuple[Stamp, ...] = ("open", "close")

_FIXED = {"MILLISECOND", "SECOND", "MINUTE", "HOUR"}
_DAYS = {"DAY": 1, "WEEK": 7}


def parse_bar_type(text: str, instrument_id: str) -> BarType:
    """
    Return the bar type that a full or a short text names.

    Parameters
    ----------
    text : str
        ``1-MINUTE-BID``, ``1-MINUTE-BID-EXTERNAL``, or all of ``GBP/USD.FXCM-1-MINUTE-BID-EXTERNAL``.
    instrument_id : str
        The instrument of the bars.

    Raises
    ------
    InputError
        If it names no bar type, or one of another instrument, or bars that nautilus makes itself.

    """
    from nautilus_trader.model.data import BarType

    given = text.removeprefix(f"{instrument_id}-")
    full = f"{instrument_id}-{given}"
    if given.count("-") == 2:
        full = f"{full}-EXTERNAL"
    try:
        bar_type = BarType.from_str(full) if text.isascii() else None
    except ValueError:
        bar_type = None
    if bar_type is None or bar_type.instrument_id.value != instrument_id or bar_type.is_composite():
        raise InputError(
            f"{text!r} is no bar type of {instrument_id}",
            expected="STEP-AGGREGATION-PRICE, such as 1-MINUTE-BID or 1-DAY-LAST; a step must divide the next unit",
            advice="fix --bar-type",
        )
    if bar_type.is_internally_aggregated():
        raise InputError(
            f"{text!r} are bars that nautilus makes itself",
            expected="EXTERNAL bars, such as 1-MINUTE-BID",
            advice="leave out -INTERNAL",
        )
    return bar_type


def interval_ns(bar_type: BarType) -> int | None:
    """Return the length of a bar in nanoseconds, or None if bars differ in length."""
    spec = bar_type.spec
    if spec.is_time_aggregated() and _aggregation(bar_type) in _FIXED:
        return int(spec.get_interval_ns())
    return None


def build_shift(bar_type: BarType, stamp: Stamp, tz: str | None) -> BarShift:
    """
    Return how far time stamps move, so that they stand at the close.

    Nautilus wants bars stamped when they are complete: ``ts_event`` and ``ts_init`` at the close. A strategy
    that got a bar at its open would know the future.

    Parameters
    ----------
    bar_type : BarType
        The type of the bars.
    stamp : {'open', 'close'}
        What their time stamps are.
    tz : str, optional
        The zone in which days begin at midnight (default UTC).

    Raises
    ------
    InputError
        If bars of this type have no common length.

    """
    if stamp == "close":
        return BarShift()
    nanos = interval_ns(bar_type)
    if nanos is not None:
        return BarShift(nanos=nanos)
    days = _DAYS.get(_aggregation(bar_type))
    if days is None:
        raise InputError(
            f"bars of type {bar_type} have no fixed length, so their close does not follow from their open",
            expected="bars stamped at the close",
            advice="stamp them at the close in the file and use --stamp close",
        )
    return BarShift(days=days * int(bar_type.spec.step), tz=tz or "UTC")


def suggest_stamp(bar_type: BarType, first_ns: int, column: str) -> Stamp | None:
    """Guess from the first bar and the name of its column which stamp a file uses; never more than a hint."""
    name = column.lower()
    if "open" in name or "start" in name:
        return "open"
    if "close" in name or "end" in name:
        return "close"
    nanos = interval_ns(bar_type)
    if nanos is None:
        return "open"
    # Sessions and downloads start on the hour.
    hour = 3600 * 10**9
    if first_ns % hour == 0:
        return "open"
    return "close" if first_ns % hour == nanos else None


def _aggregation(bar_type: BarType) -> str:
    from nautilus_trader.model.enums import bar_aggregation_to_str

    name: str = bar_aggregation_to_str(bar_type.spec.aggregation)
    return name
