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
    What an order, or a changed one, wants.

    Attributes
    ----------
    is_buy : bool
        Its side.
    quantity : Decimal
        What is not filled yet.
    is_reduce_only : bool
        Whether the venue lets it reduce a position only.
    is_market : bool
        Whether it fills at once. Another order may rest until the position that it should close is long gone.
    target : Decimal, optional
        What is held, and not asked for by other orders, in the position of the other side that the order names;
        ``None`` where it names none. It counts where a venue keeps several positions.

    """

    is_buy: bool
    quantity: Decimal
    is_reduce_only: bool = False
    is_market: bool = False
    target: Decimal | None = None


class Holding(NamedTuple):
    """
    What is held of an instrument, and what other orders have not filled yet; all without sign.

    Resting orders are in `buys` and `sells`, those that fill at once in `market_buys` and `market_sells`, those that
    only reduce in `reducing_buys` and `reducing_sells`.
    """

    long: Decimal = _NONE
    short: Decimal = _NONE
    buys: Decimal = _NONE
    sells: Decimal = _NONE
    market_buys: Decimal = _NONE
    market_sells: Decimal = _NONE
    reducing_buys: Decimal = _NONE
    reducing_sells: Decimal = _NONE

    def turn(self) -> Holding:
        """Return the same with the sides exchanged."""
        return Holding(
            long=self.short,
            short=self.long,
            buys=self.sells,
            sells=self.buys,
            market_buys=self.market_sells,
            market_sells=self.market_buys,
            reducing_buys=self.reducing_sells,
            reducing_sells=self.reducing_buys,
        )


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
    Return how much of what is wanted may open a position or add to one, whatever else is filled first.

    An order that reduces only opens nothing. One that fills at once reduces what is held on the other side, as far as
    no other order asks for it; one that rests may fill when there is nothing left to reduce, so all of it counts.

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
    if not intent.is_market:
        return intent.quantity
    if not is_netting:
        return intent.quantity if intent.target is None else max(_NONE, intent.quantity - intent.target)
    own = holding if intent.is_buy else holding.turn()
    return max(_NONE, intent.quantity - max(_NONE, own.short - own.reducing_buys - own.market_buys))


def check_state(
    state: TradingState, intent: Intent, holding: Holding, *, is_unknown: bool = False
) -> str | None:
    """
    Return why the trading state forbids an order, or ``None``.

    REDUCING lets orders pass that only reduce, no larger than the position. Others are new risk even where they would
    close something: a reducing order may be filled before them.

    Parameters
    ----------
    state : TradingState
        What holds.
    intent, holding
        As in `measure_opening`.
    is_unknown : bool
        Whether equity is not known though a loss is limited: then nothing new is risked either.

    """
    if state == TradingState.HALTED:
        return "the gate is HALTED"
    if state == TradingState.ACTIVE and not is_unknown:
        return None
    why = "equity is unknown" if state == TradingState.ACTIVE else "the gate is REDUCING"
    if not intent.is_reduce_only:
        return f"{why}: the order is not reduce-only"
    held = holding.short if intent.is_buy else holding.long
    return (
        f"{why}: {intent.quantity:f} is more than the position of {held:f}"
        if intent.quantity > held
        else None
    )


def check_position(most: Decimal | None, intent: Intent, holding: Holding, *, is_netting: bool) -> str | None:
    """
    Return why the limit of a position forbids an order, or ``None``.

    In whatever order and however far all orders fill, the position stays within the limit. What only reduces passes
    above the limit too: it is the way back below it. The one exception: while an order that fills at once and turns the
    position is under way, a second one that closes it would let the first go too far.
    """
    if most is None:
        return None
    own = holding if intent.is_buy else holding.turn()
    rest = max(_NONE, own.short - own.reducing_buys) if is_netting else _NONE
    before = own.long + own.buys + max(_NONE, own.market_buys - rest)
    if intent.is_reduce_only:
        left = max(_NONE, own.short - own.reducing_buys - intent.quantity) if is_netting else _NONE
        after = own.long + own.buys + max(_NONE, own.market_buys - left)
        if after <= max(most, before):
            return None
        return f"an order under way closes this position: with both it could become {after:f}, above {most:f}"
    opening = measure_opening(intent, holding, is_netting=is_netting)
    after = before + opening
    if opening == 0 or after <= most:
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
