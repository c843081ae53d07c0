"""What has been lost: the day, the peak and the limits of both, as a table of facts and a pure function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import msgspec

from workbench.gate.limits import Limits

__all__ = ["Breach", "Losses", "observe"]

_SECOND_NS = 1_000_000_000


class Breach(StrEnum):
    """A loss limit that was reached."""

    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"


class Losses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What the gate remembers of equity.

    Attributes
    ----------
    breach : Breach, optional
        The loss limit that was reached: no new risk until the day ends (daily loss), or until somebody clears it.
    peak : Decimal, optional
        The highest equity so far.
    day : str
        The day, ISO 8601, as the limits count days.
    day_equity : Decimal, optional
        The equity with which it began: the last one known before, or the first of it.
    equity : Decimal, optional
        The equity that was observed last.

    """

    breach: Breach | None = None
    peak: Decimal | None = None
    day: str = ""
    day_equity: Decimal | None = None
    equity: Decimal | None = None


def observe(limits: Limits, losses: Losses, ts_ns: int, equity: Decimal | None) -> Losses:
    """
    Return what is remembered after equity was measured.

    Parameters
    ----------
    limits : Limits
        The limits.
    losses : Losses
        What was remembered until then.
    ts_ns : int
        When it was measured, UNIX nanoseconds UTC.
    equity : Decimal, optional
        Marked to market, in the reporting currency; ``None`` where a price or a rate is missing, which changes nothing.

    """
    if equity is None:
        return losses
    day = _find_day(limits, ts_ns)
    breach = losses.breach
    day_equity = losses.day_equity
    if day != losses.day or day_equity is None:
        day_equity = equity if losses.equity is None else losses.equity
        if breach == Breach.DAILY_LOSS:
            breach = None
    peak = equity if losses.peak is None else max(losses.peak, equity)
    if breach is None:
        breach = _find_breach(limits, equity, day_equity, peak)
    return Losses(breach=breach, peak=peak, day=day, day_equity=day_equity, equity=equity)


def _find_breach(limits: Limits, equity: Decimal, day_equity: Decimal, peak: Decimal) -> Breach | None:
    # The lasting one first.
    if limits.max_drawdown is not None and peak - equity >= limits.max_drawdown * peak and equity < peak:
        return Breach.DRAWDOWN
    if (
        limits.max_daily_loss is not None
        and day_equity - equity >= limits.max_daily_loss
        and equity < day_equity
    ):
        return Breach.DAILY_LOSS
    return None


def _find_day(limits: Limits, ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // _SECOND_NS, UTC).astimezone(limits.day_zone)
    # On the wall clock: a day that begins at 17:00 does so in summer and in winter.
    return (moment.replace(tzinfo=None) - timedelta(minutes=limits.day_start_mins)).date().isoformat()
