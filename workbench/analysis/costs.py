"""Costs, from gross to net: fees, spread and slippage of every fill, in the reporting currency."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pandas as pd

from workbench.analysis.columns import MONEY, read_decimals, read_text, require_columns, round_money
from workbench.analysis.definitions import Metric, Outcome, Unknown, build_metrics
from workbench.analysis.equity import build_curve
from workbench.analysis.performance import measure_total

__all__ = ["build_costs", "build_fill_costs", "measure_turnover"]

_COLUMNS = (
    *("instrument_id", "order_side", "last_qty", "last_px", "multiplier", "is_inverse", "liquidity_side"),
    *("best_bid", "best_ask", "commission", "rate", "commission_rate"),
)
_ZERO = Decimal(0)
_HALF = Decimal("0.5")
_NOT_MODELLED = Unknown("not modelled: no funding or swap is charged in this run")


class _Fill(msgspec.Struct, frozen=True, gc=False):
    """One fill: ``quantity`` is quantity x multiplier x rate, or ``None`` without a rate."""

    is_buy: bool
    is_maker: bool
    is_inverse: bool
    quantity: Decimal | None
    price: Decimal
    bid: Decimal | None
    ask: Decimal | None

    @property
    def notional(self) -> Decimal | None:
        if self.quantity is None or (self.is_inverse and self.price <= 0):
            return None
        return self.quantity / self.price if self.is_inverse else self.quantity * abs(self.price)

    def cost(self, fair: Decimal, paid: Decimal) -> Decimal | None:
        """Return what it costs to deal at `paid` instead of `fair`."""
        if self.quantity is None:
            return None
        if not self.is_inverse:
            worse = paid - fair if self.is_buy else fair - paid
            return self.quantity * worse
        if fair <= 0 or paid <= 0:
            return None
        # An inverse contract pays quantity x (1 / entry - 1 / exit): a dear price buys less of the settlement
        # currency's worth, so the cost is the difference of the reciprocals.
        worse = paid - fair if self.is_buy else fair - paid
        return self.quantity * worse / (fair * paid)


def build_fill_costs(fills: pd.DataFrame) -> pd.DataFrame:
    """
    Return notional and costs of every fill, in the reporting currency.

    The costs of a fill add up to its distance from the middle of the venue's book right at the fill: a
    taker pays the way to the touch as spread and the rest as slippage, a maker's whole way is spread
    (normally negative, earned).

    Parameters
    ----------
    fills : pd.DataFrame
        A run's fills frame.

    Returns
    -------
    pd.DataFrame
        The index as given; ``notional``, ``fee``, ``spread``, ``slippage``: `Decimal`, positive is paid,
        ``None`` where a rate or the book is missing; ``is_maker`` bool. The spread is also unknown for
        every fill of an instrument whose book never showed one (bid equals ask at each of its fills: data
        of last prices).

    Raises
    ------
    InputError
        If a column is missing or holds floats where numbers are exact.

    """
    require_columns(fills, _COLUMNS, frame_name="fills")
    rows = _read_fills(fills)
    instruments = read_text(fills, "instrument_id")
    quoted = {
        name
        for name, fill in zip(instruments, rows, strict=True)
        if fill.bid is not None and fill.ask is not None and fill.bid != fill.ask
    }
    notional: list[Decimal | None] = []
    spread: list[Decimal | None] = []
    slippage: list[Decimal | None] = []
    with decimal.localcontext(MONEY):
        for name, fill in zip(instruments, rows, strict=True):
            notional.append(fill.notional)
            spread.append(_measure_spread(fill) if name in quoted else None)
            slippage.append(_measure_slippage(fill))
        fee = [
            _measure_fee(commission, rate)
            for commission, rate in zip(
                read_decimals(fills, "commission"), read_decimals(fills, "commission_rate"), strict=True
            )
        ]
    columns = {"notional": notional, "fee": fee, "spread": spread, "slippage": slippage}
    frame = pd.DataFrame(
        {name: pd.Series(values, index=fills.index, dtype=object) for name, values in columns.items()},
        index=fills.index,
    )
    frame["is_maker"] = pd.Series([fill.is_maker for fill in rows], index=fills.index, dtype=bool)
    return frame


def _read_fills(fills: pd.DataFrame) -> list[_Fill]:
    with decimal.localcontext(MONEY):
        return [
            _Fill(
                is_buy=side == "BUY",
                is_maker=liquidity == "MAKER",
                is_inverse=bool(inverse),
                quantity=None
                if rate is None or qty is None or multiplier is None
                else qty * multiplier * rate,
                price=_ZERO if price is None else price,
                bid=bid,
                ask=ask,
            )
            for side, liquidity, inverse, qty, multiplier, rate, price, bid, ask in zip(
                read_text(fills, "order_side"),
                read_text(fills, "liquidity_side"),
                fills["is_inverse"].tolist(),
                read_decimals(fills, "last_qty"),
                read_decimals(fills, "multiplier"),
                read_decimals(fills, "rate"),
                read_decimals(fills, "last_px"),
                read_decimals(fills, "best_bid"),
                read_decimals(fills, "best_ask"),
                strict=True,
            )
        ]


def _measure_spread(fill: _Fill) -> Decimal | None:
    if fill.bid is None or fill.ask is None:
        return None
    middle = (fill.bid + fill.ask) * _HALF
    if fill.is_maker:
        return fill.cost(middle, fill.price)
    return fill.cost(middle, fill.ask if fill.is_buy else fill.bid)


def _measure_slippage(fill: _Fill) -> Decimal | None:
    if fill.is_maker:
        return _ZERO
    touch = fill.ask if fill.is_buy else fill.bid
    return None if touch is None else fill.cost(touch, fill.price)


def _measure_fee(commission: Decimal | None, rate: Decimal | None) -> Decimal | None:
    if commission is None:
        return None
    if commission == 0:
        return _ZERO
    return None if rate is None else commission * rate


def measure_turnover(fills: pd.DataFrame) -> Outcome:
    """Return the traded notional in the reporting currency, see ``turnover`` in `DEFINITIONS`."""
    require_columns(fills, _COLUMNS, frame_name="fills")
    with decimal.localcontext(MONEY):
        return _total(
            [fill.notional for fill in _read_fills(fills)], "notional", _explain_rate(fills, "rate")
        )


def build_costs(
    fills: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    currency: str,
    starting_balance: Decimal | None = None,
    funding: Decimal | None = None,
) -> dict[str, Metric]:
    """
    Return a run's way from gross to net.

    Every component is rounded once, to the 16 decimals in which money is stored, so that
    ``gross_pnl == net_pnl + fees + spread + slippage (+ funding)`` holds exactly.

    Parameters
    ----------
    fills : pd.DataFrame
        A run's fills frame.
    equity : pd.DataFrame
        A run's equity frame; the net PnL is its last equity less its first.
    currency : str
        The reporting currency.
    starting_balance : Decimal, optional
        See `build_curve`.
    funding : Decimal, optional
        Funding or swap that is part of the equity, positive where paid. Without it the result says that
        financing is not modelled.

    Returns
    -------
    dict[str, Metric]
        By the names of `DEFINITIONS`. Unknown is ``None`` with the reason, never zero.

    """
    costs = build_fill_costs(fills)
    net = measure_total(build_curve(equity, starting_balance=starting_balance))["pnl"]
    maker = costs["is_maker"].tolist()
    spreads: list[Decimal | None] = costs["spread"].tolist()
    why_rate, why_book = _explain_rate(fills, "rate"), _explain_book(fills)
    why_slippage = _join(why_rate, why_book)
    why_spread = _join(why_slippage, _explain_locked(fills, costs))
    with decimal.localcontext(MONEY):
        turnover = _total(costs["notional"].tolist(), "notional", why_rate)
        fees = _total(costs["fee"].tolist(), "the fee", _explain_rate(fills, "commission_rate"))
        paid = _total([s for s, m in zip(spreads, maker, strict=True) if not m], "the spread", why_spread)
        earned = _total([s for s, m in zip(spreads, maker, strict=True) if m], "the spread", why_spread)
        spread = _add(paid, earned)
        slippage = _total(costs["slippage"].tolist(), "slippage", why_slippage)
        total = _add(fees, spread, slippage, *(() if funding is None else (round_money(funding),)))
        gross = _add(net, total)
        outcomes: dict[str, Outcome] = {
            "net_pnl": net,
            "fees": fees,
            "spread": spread,
            "spread_paid": paid,
            "spread_earned": _negate(earned),
            "slippage": slippage,
            "funding": _NOT_MODELLED if funding is None else round_money(funding),
            "total_costs": total,
            "pnl_before_fees": _add(net, fees),
            "gross_pnl": gross,
            "turnover": turnover,
            "cost_rate": _divide(total, turnover),
            "breakeven_cost": _divide(gross, turnover),
            "fills_maker": sum(maker),
            "fills_taker": len(maker) - sum(maker),
        }
    return build_metrics(outcomes, currency=currency)


def _total(values: Sequence[Decimal | None], what: str, reason: str) -> Decimal | Unknown:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        missing = len(values) - len(known)
        because = f": {reason}" if reason else ""
        return Unknown(f"{what} is unknown at {missing} of {len(values)} fills{because}")
    return round_money(sum(known, _ZERO))


def _add(*terms: Outcome) -> Decimal | Unknown:
    total = _ZERO
    for term in terms:
        if isinstance(term, Unknown):
            return term
        total = MONEY.add(total, Decimal(term))
    return total


def _negate(value: Decimal | Unknown) -> Decimal | Unknown:
    return value if isinstance(value, Unknown) else MONEY.subtract(_ZERO, value)


def _divide(value: Decimal | Unknown, turnover: Decimal | Unknown) -> Outcome:
    if isinstance(value, Unknown):
        return value
    if isinstance(turnover, Unknown):
        return turnover
    return float(value / turnover) if turnover > 0 else Unknown("nothing was traded")


def _join(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _explain_rate(fills: pd.DataFrame, column: str) -> str:
    missing = fills[column].isna()
    if not missing.any():
        return ""
    source = "commission_currency" if column == "commission_rate" else "currency"
    names = sorted(set(fills.loc[missing, source].dropna().astype(str))) if source in fills.columns else []
    return f"no conversion rate from {', '.join(names) or 'the settlement currency'} at the fill"


def _explain_book(fills: pd.DataFrame) -> str:
    is_missing = (fills["best_bid"].isna() | fills["best_ask"].isna()).any()
    return "the best bid or ask at the fill is missing" if is_missing else ""


def _explain_locked(fills: pd.DataFrame, costs: pd.DataFrame) -> str:
    has_book = fills["best_bid"].notna() & fills["best_ask"].notna() & fills["rate"].notna()
    names = sorted(set(fills.loc[has_book & costs["spread"].isna(), "instrument_id"].astype(str)))
    return f"the data of {', '.join(names)} show no spread (bid equals ask at every fill)" if names else ""
