"""The rules of the gate: pure functions over what is held and what is wanted."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "Holding",
    "Intent",
    "TradingState",
    "check_amount",
    "check_closing",
    "check_position",
    "check_state",
    "measure_opening",
]

_NONE = Decimal(0)


class TradingState(StrEnum):
    """Nautilus's trading states, as the gate reads them."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


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


def check_state(state: TradingState, intent: Intent, holding: Holding, why: str = "") -> str | None:
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
    why : str
        Why it holds.

    """
    if state == TradingState.ACTIVE:
        return None
    name = f"the gate is {state} ({why})" if why else f"the gate is {state}"
    if state == TradingState.HALTED:
        return name
    if not intent.is_reduce_only:
        return f"{name}: the order is not reduce-only"
    held = holding.short if intent.is_buy else holding.long
    return (
        f"{name}: {intent.quantity:f} is more than the position of {held:f}"
        if intent.quantity > held
        else None
    )


def check_closing(intent: Intent, held: Decimal, asked: Decimal) -> str | None:
    """
    Return why an order may not close a position while nothing else passes, or ``None``.

    Parameters
    ----------
    intent : Intent
        What is wanted.
    held : Decimal
        The size of the position on the other side; 0 where there is none.
    asked : Decimal
        What other closing orders under way close of it.

    """
    if not intent.is_reduce_only and not intent.is_market:
        return "a closing order must be reduce-only, or fill at once"
    if intent.quantity <= held - asked:
        return None
    rest = f", of which {asked:f} are being closed already" if asked else ""
    return f"{intent.quantity:f} is more than the position of {held:f}{rest}"


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


def check_amount(
    name: str, most: Decimal | None, held: Decimal | None, opening: Decimal | None, *, unknown: str = ""
) -> str | None:
    """
    Return why the limit of an amount forbids an order, or ``None``.

    Parameters
    ----------
    name : str
        What is limited, such as ``gross exposure``.
    most : Decimal, optional
        The limit.
    held : Decimal, optional
        What is held and pending now; ``None`` where a price or a rate is missing.
    opening : Decimal, optional
        What the order would add; ``None`` likewise.
    unknown : str
        What is missing then.

    """
    if most is None or opening == 0:
        return None
    if held is None or opening is None:
        return f"the {name} is unknown: {unknown or 'a price or a rate is missing'}"
    after = held + opening
    return None if after <= most else f"a {name} of {_write(after)} would be more than the limit of {most:f}"


def _write(amount: Decimal) -> str:
    """Return an amount without the zeros that a multiplication leaves behind."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
