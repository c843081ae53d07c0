"""What each number of a report means, and the one shape in which numbers leave the package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TypedDict

import msgspec

from workbench.analysis.columns import round_money
from workbench.analysis.glossary import READER_DEFINITIONS, Definition

__all__ = [
    "DEFINITIONS",
    "HEADLINE",
    "Definition",
    "Metric",
    "Outcome",
    "Unknown",
    "build_definitions",
    "build_metrics",
]


class Metric(TypedDict):
    """
    One number of a report, JSON as it stands.

    ``value`` is a decimal string for money, a finite float for ratios, an int for counts, ISO 8601 for
    times, and ``None`` where the number is unknown or undefined, with the ``reason`` in one clause.
    ``unit`` ``%`` and ``bp`` say how to show the value: it is the plain fraction (0.05 is 5 %, or 500 bp).
    """

    value: str | float | int | None
    unit: str
    reason: str | None


class Unknown(msgspec.Struct, frozen=True):
    """A number that cannot be given, and why."""

    reason: str


type Outcome = Decimal | float | int | str | Unknown


_CLOSES = "Daily closes of marked-to-market equity (UTC days)"

# What a run stores in its metrics.json.
_STORED: Mapping[str, Definition] = MappingProxyType(
    {
        # The run
        "start": Definition("Start", "time", "Time of the first equity sample (UTC)."),
        "end": Definition(
            "End", "time", "Time of the last equity sample (UTC), after everything has settled."
        ),
        "starting_balance": Definition("Starting balance", "money", "Equity before the first event."),
        "ending_equity": Definition("Ending equity", "money", "Equity at the last sample."),
        "periods_per_year": Definition(
            "Days per year",
            "count",
            "Days by which daily figures are annualised: 365 counts every calendar day; 252 counts "
            "weekdays on which data arrived or equity moved, and what happens on other days falls into "
            "the next counted one.",
            "calendar convention",
        ),
        "days": Definition("Days", "count", "Daily returns that the figures below are made from."),
        # Return and risk
        "pnl": Definition(
            "Net PnL", "money", "Ending equity less starting balance, open positions marked to market."
        ),
        "total_return": Definition("Total return", "%", "Ending equity / starting balance - 1."),
        "annualised_return": Definition(
            "Annualised return",
            "%",
            "(1 + total return) ^ (days per year / days) - 1, compounded (CAGR). An extrapolation where "
            "the run is shorter than a year. At least 2 days.",
            "compound annual growth rate; Bacon 2008, Practical Portfolio Performance Measurement",
        ),
        "annualised_volatility": Definition(
            "Annualised volatility",
            "%",
            f"{_CLOSES}: sample standard deviation (ddof 1) of daily returns x sqrt(days per year).",
            "Bacon 2008, Practical Portfolio Performance Measurement",
        ),
        "sharpe": Definition(
            "Sharpe ratio",
            "ratio",
            f"{_CLOSES}: mean daily return / sample standard deviation (ddof 1) x sqrt(days per year). "
            "The risk-free rate is 0.",
            "Sharpe 1994, The Sharpe Ratio, Journal of Portfolio Management 21(1)",
        ),
        "sortino": Definition(
            "Sortino ratio",
            "ratio",
            f"{_CLOSES}: mean daily return / sqrt(mean of min(return, 0)^2 over all days) x sqrt(days per "
            "year). The target return is 0.",
            "Sortino and Price 1994, Performance Measurement in a Downside Risk Framework",
        ),
        "calmar": Definition(
            "Calmar ratio",
            "ratio",
            "Annualised return / depth of the maximum drawdown, both over the whole run.",
            "Young 1991, Calmar Ratio: A Smoother Tool, Futures (there over 36 months)",
        ),
        "max_drawdown": Definition(
            "Maximum drawdown",
            "%",
            f"{_CLOSES}: lowest value of equity / highest equity so far - 1. Below -100 % if equity is "
            "negative.",
            "Magdon-Ismail and Atiya 2004, Maximum Drawdown, Risk 17(10)",
        ),
        "max_drawdown_money": Definition(
            "Maximum drawdown in money", "money", "Trough less peak of the maximum drawdown."
        ),
        "max_drawdown_length": Definition(
            "Length of the maximum drawdown",
            "days",
            "From its peak to the first close back at the peak, or to the end of the run if it is still "
            "open.",
        ),
        "longest_drawdown": Definition(
            "Longest drawdown", "days", "The longest time from a peak to the recovery or the end of the run."
        ),
        "max_drawdown_intraday": Definition(
            "Maximum intraday drawdown",
            "%",
            "As the maximum drawdown, over every equity sample: it depends on how often equity was sampled.",
            "Magdon-Ismail and Atiya 2004, Maximum Drawdown, Risk 17(10)",
        ),
        "best_day": Definition("Best day", "%", "Highest daily return."),
        "worst_day": Definition("Worst day", "%", "Lowest daily return."),
        # Trades
        "exposure": Definition(
            "Exposure", "%", "Share of equity samples, without the first, at which a position was open."
        ),
        "trades": Definition(
            "Trades", "count", "Closed position cycles, from flat to flat (or to a reversal)."
        ),
        "open_positions": Definition(
            "Open positions", "count", "Position cycles still open at the end; not in the trade figures."
        ),
        "win_rate": Definition("Win rate", "%", "Trades with net PnL above 0 / trades."),
        "profit_factor": Definition(
            "Profit factor", "ratio", "Sum of winning trades / sum of losing trades, net of fees."
        ),
        "average_win": Definition("Average win", "money", "Mean net PnL of trades above 0."),
        "average_loss": Definition("Average loss", "money", "Mean net PnL of trades below 0."),
        "expectancy": Definition("Expectancy", "money", "Mean net PnL of a trade."),
        "best_trade": Definition("Best trade", "money", "Highest net PnL of a trade."),
        "worst_trade": Definition("Worst trade", "money", "Lowest net PnL of a trade."),
        "average_holding_time": Definition("Average holding time", "s", "Mean time from entry to exit."),
        # Activity
        "orders": Definition("Orders", "count", "Orders, whatever became of them."),
        "orders_filled": Definition("Orders filled", "count", "Orders with at least one fill."),
        "fills": Definition("Fills", "count", "Fills; an order may have several."),
        "turnover": Definition(
            "Turnover",
            "money",
            "Sum over fills of quantity x multiplier x price x rate, or of quantity x multiplier / price "
            "x rate for inverse instruments. The rate is settlement currency to reporting currency at the "
            "fill.",
        ),
        "turnover_ratio": Definition(
            "Turnover ratio", "ratio", "Turnover / mean of the daily closes, over the whole run."
        ),
        # Costs
        "net_pnl": Definition(
            "Net PnL", "money", "Ending equity less starting balance, after all costs below."
        ),
        "fees": Definition(
            "Fees", "money", "Sum of commission x its rate to the reporting currency. Positive is paid."
        ),
        "spread": Definition(
            "Spread",
            "money",
            "From the middle of the venue's book at the fill to the touch (taker: ask for a BUY, bid for "
            "a SELL) or to the fill price (maker: normally negative, earned), x quantity x multiplier x "
            "rate. Inverse instruments: quantity x multiplier x (1 / lower price - 1 / higher price). "
            "Positive is paid.",
            "effective spread decomposition; Perold 1988, The Implementation Shortfall",
        ),
        "spread_paid": Definition("Spread paid", "money", "The spread of taker fills."),
        "spread_earned": Definition("Spread earned", "money", "The spread of maker fills, sign reversed."),
        "slippage": Definition(
            "Slippage",
            "money",
            "Taker fills, from the touch to the fill price (BUY: price - ask, SELL: bid - price), in "
            "money as the spread. Positive is paid, negative is price improvement. Maker fills have none.",
            "effective spread decomposition; Perold 1988, The Implementation Shortfall",
        ),
        "funding": Definition("Funding or swap", "money", "Financing of positions. Positive is paid."),
        "total_costs": Definition(
            "Total costs", "money", "Fees + spread + slippage (+ funding where it is modelled)."
        ),
        "pnl_before_fees": Definition("PnL before fees", "money", "Net PnL + fees."),
        "gross_pnl": Definition(
            "Gross PnL",
            "money",
            "Net PnL + total costs: what the same fills would have made at the middle of the book, "
            "without fees.",
        ),
        "cost_rate": Definition("Cost per turnover", "bp", "Total costs / turnover."),
        "breakeven_cost": Definition(
            "Break-even cost",
            "bp",
            "Gross PnL / turnover: the cost per unit traded at which nothing is left.",
        ),
        "fills_maker": Definition("Maker fills", "count", "Fills of resting orders."),
        "fills_taker": Definition("Taker fills", "count", "Fills that took liquidity."),
    }
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType({**_STORED, **READER_DEFINITIONS})

# What a run is judged by at first sight, in this order.
HEADLINE = ("total_return", "max_drawdown", "sharpe", "trades", "win_rate", "profit_factor")


def build_definitions(names: Iterable[str] | None = None) -> dict[str, dict[str, str]]:
    """
    Return definitions as plain JSON: name to label, unit, text and source.

    Parameters
    ----------
    names : Iterable[str], optional
        Names in `DEFINITIONS`, such as `DEFINITIONS` itself for all; default: those that a run stores beside
        its metrics.

    """
    chosen = _STORED if names is None else names
    return {name: msgspec.to_builtins(DEFINITIONS[name]) for name in chosen}


def build_metrics(outcomes: Mapping[str, Outcome], *, currency: str) -> dict[str, Metric]:
    """
    Return outcomes in the shape in which numbers leave the package.

    Parameters
    ----------
    outcomes : Mapping[str, Outcome]
        Value or `Unknown` by the name of a definition. Money is `Decimal`.
    currency : str
        The reporting currency, the unit of money.

    Returns
    -------
    dict[str, Metric]
        JSON as it stands: never NaN or infinity.

    """
    return {name: _build_metric(DEFINITIONS[name], value, currency) for name, value in outcomes.items()}


def _build_metric(definition: Definition, value: Outcome, currency: str) -> Metric:
    unit = currency if definition.unit == "money" else definition.unit
    if isinstance(value, Unknown):
        return Metric(value=None, unit=unit, reason=value.reason)
    if isinstance(value, Decimal):
        return Metric(value=_write_money(value), unit=unit, reason=None)
    if isinstance(value, float):
        if not math.isfinite(value):
            return Metric(value=None, unit=unit, reason="the result is too large for a number")
        # Adding 0.0 turns -0.0 into 0.0.
        return Metric(value=value + 0.0, unit=unit, reason=None)
    return Metric(value=value, unit=unit, reason=None)


def _write_money(value: Decimal) -> str:
    text = f"{round_money(value):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
