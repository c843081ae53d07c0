"""The rules of the gate: pure functions over what is held, what is wanted and what has been lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from workbench.gate.limits import Limits

__all__ = [
    "Breach",
    "GateState",
    "Holding",
    "Intent",
    "TradingState",
    "check_exposure",
    "check_position",
    "check_state",
    "measure_opening",
    "observe",
]

_NONE = Decimal(0)


class TradingState(StrEnum):
    """Nautilus's trading states, as the gate reads them."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Breach(StrEnum):
    """A loss limit that was reached."""

    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"


class Intent(NamedTuple):
    """
    What an order, or the growth of one, wants.

    `quantity` is what is not filled yet. `target` is what is held, and not yet asked for by other orders, in the
    position that the order would reduce; ``None`` where it names none.
    """

    is_buy: bool
    quantity: Decimal
    is_reduce_only: bool = False
    target: Decimal | None = None


class Holding(NamedTuple):
    """
    What is held of an instrument and what is under way, all without sign.

    `buys` and `sells` are the unfilled quantities of other orders that may open or add; those that only reduce are in
    `reducing_buys` and `reducing_sells`.
    """

    long: Decimal = _NONE
    short: Decimal = _NONE
    buys: Decimal = _NONE
    sells: Decimal = _NONE
    reducing_buys: Decimal = _NONE
    reducing_sells: Decimal = _NONE


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the gate remembers.

    Attributes
    ----------
    requested : TradingState
        What people asked for.
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

    requested: TradingState = TradingState.ACTIVE
    breach: Breach | None = None
    peak: Decimal | None = None
    day: str = ""
    day_equity: Decimal | None = None
    equity: Decimal | None = None

    @property
    def effective(self) -> TradingState:
        """What holds: a breach leaves at most REDUCING."""
        if self.requested == TradingState.HALTED or self.breach is None:
            return self.requested
        return TradingState.REDUCING


def observe(limits: Limits, state: GateState, ts_ns: int, equity: Decimal | None) -> GateState:
    """
    Return the state after equity was measured.

    Parameters
    ----------
    limits : Limits
        The limits.
    state : GateState
        The state until then.
    ts_ns : int
        When it was measured, UNIX nanoseconds UTC.
    equity : Decimal, optional
        Marked to market, in the reporting currency; ``None`` where a price or a rate is missing, which changes nothing.

    """
    if equity is None:
        return state
    day = _find_day(limits, ts_ns)
    breach = state.breach
    day_equity = state.day_equity
    if day != state.day or day_equity is None:
        day_equity = equity if state.equity is None else state.equity
        if breach == Breach.DAILY_LOSS:
            breach = None
    peak = equity if state.peak is None else max(state.peak, equity)
    if breach is None:
        breach = _find_breach(limits, equity, day_equity, peak)
    return msgspec.structs.replace(
        state, breach=breach, peak=peak, day=day, day_equity=day_equity, equity=equity
    )


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
    moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).astimezone(limits.day_zone)
    # On the wall clock: a day that begins at 17:00 does so in summer and in winter.
    return (moment.replace(tzinfo=None) - timedelta(minutes=limits.day_start_mins)).date().isoformat()


def measure_opening(intent: Intent, holding: Holding, *, is_netting: bool) -> Decimal:
    """
    Return how much of what is wanted may open a position or add to one, if all that is under way is filled first.

    Parameters
    ----------
    intent : Intent
        What is wanted.
    holding : Holding
        What is there without it.
    is_netting : bool
        Whether the venue keeps one position per instrument. Otherwise an order reduces only the position that it names.

    """
    if intent.is_reduce_only:
        return _NONE
    if intent.target is not None:
        return max(_NONE, intent.quantity - intent.target)
    if not is_netting:
        return intent.quantity
    return max(_NONE, intent.quantity - _measure_room(intent, holding))


def _measure_room(intent: Intent, holding: Holding) -> Decimal:
    """Return what is held on the other side and not yet asked for by other orders."""
    if intent.is_buy:
        return max(_NONE, holding.short - holding.buys - holding.reducing_buys)
    return max(_NONE, holding.long - holding.sells - holding.reducing_sells)


def check_state(
    state: TradingState, intent: Intent, holding: Holding, *, is_netting: bool, is_unknown: bool = False
) -> str | None:
    """
    Return why the trading state forbids an order, or ``None``.

    Parameters
    ----------
    state : TradingState
        What holds.
    intent, holding
        As in `measure_opening`.
    is_netting : bool
        As in `measure_opening`.
    is_unknown : bool
        Whether equity is not known though a loss is limited: then nothing new is risked either.

    """
    if state == TradingState.HALTED:
        return "the gate is HALTED"
    if state == TradingState.ACTIVE and not is_unknown:
        return None
    why = "equity is unknown" if state == TradingState.ACTIVE else "the gate is REDUCING"
    opening = measure_opening(intent, holding, is_netting=is_netting)
    if opening > 0:
        return f"{why}: {opening:f} of {intent.quantity:f} would be new risk"
    held = intent.target if intent.target is not None else _find_other_side(intent, holding)
    if intent.quantity > held:
        return f"{why}: {intent.quantity:f} is more than the position of {held:f}"
    return None


def _find_other_side(intent: Intent, holding: Holding) -> Decimal:
    return holding.short if intent.is_buy else holding.long


def check_position(most: Decimal | None, intent: Intent, holding: Holding, *, is_netting: bool) -> str | None:
    """
    Return why the limit of a position forbids an order, or ``None``.

    Orders that cannot add to a position always pass, above the limit too: they are the way back below it.
    """
    if most is None:
        return None
    opening = measure_opening(intent, holding, is_netting=is_netting)
    if opening <= 0:
        return None
    held, pending = (holding.long, holding.buys) if intent.is_buy else (holding.short, holding.sells)
    other = _find_other_side(intent, holding) if is_netting else _NONE
    after = held + max(_NONE, pending - other) + opening
    if after <= most:
        return None
    side = "long" if intent.is_buy else "short"
    return f"{after:f} {side} would be more than the limit of {most:f}"


def check_exposure(most: Decimal | None, held: Decimal | None, opening: Decimal | None) -> str | None:
    """
    Return why the limit of exposure forbids an order, or ``None``.

    Parameters
    ----------
    most : Decimal, optional
        The limit.
    held : Decimal, optional
        What is held and pending now, gross; ``None`` where a price or a rate is missing.
    opening : Decimal, optional
        What the order would add; ``None`` likewise.

    """
    if most is None or opening == 0:
        return None
    if held is None or opening is None:
        return "the exposure is unknown: a price or a rate is missing"
    after = held + opening
    return None if after <= most else f"an exposure of {after:f} would be more than the limit of {most:f}"
