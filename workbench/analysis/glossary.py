"""What the numbers mean that a reader makes from a run's frames, beyond those that the run stores."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

__all__ = ["READER_DEFINITIONS", "Definition"]


class Definition(msgspec.Struct, frozen=True):
    """
    How a metric is defined.

    Attributes
    ----------
    label : str
        What to call it on a screen.
    unit : str
        ``%`` and ``bp`` (a fraction), ``ratio``, ``money`` (the reporting currency), ``days``, ``s``,
        ``count`` or ``time``.
    text : str
        The definition.
    source : str
        Where the formula comes from.

    """

    label: str
    unit: str
    text: str
    source: str = "bookkeeping identity"


_RETURNS = "Daily returns of marked-to-market equity (UTC days)"
_AGAINST = "Daily returns of the run against those of the benchmark on the same days"
_BOOK = "Jorion 2007, Value at Risk, 3rd ed."

READER_DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {
        # Risk
        "value_at_risk_historical": Definition(
            "Value at risk, historical",
            "%",
            f"{_RETURNS}: the (1 - confidence) quantile with its sign reversed, linear between neighbouring "
            "returns. A loss of one day is positive.",
            f"{_BOOK}; quantile type 7 of Hyndman and Fan 1996, Sample Quantiles in Statistical Packages",
        ),
        "expected_shortfall_historical": Definition(
            "Expected shortfall, historical",
            "%",
            f"{_RETURNS}: mean of the returns at or below the historical value at risk, sign reversed.",
            "Acerbi and Tasche 2002, On the Coherence of Expected Shortfall (there the tail mean)",
        ),
        "value_at_risk_normal": Definition(
            "Value at risk, normal",
            "%",
            f"{_RETURNS}: z x sample standard deviation (ddof 1) - mean, where z is the standard normal "
            "quantile of the confidence. It assumes a normal distribution. A loss of one day is positive.",
            _BOOK,
        ),
        "expected_shortfall_normal": Definition(
            "Expected shortfall, normal",
            "%",
            f"{_RETURNS}: standard normal density at z / (1 - confidence) x sample standard deviation "
            "(ddof 1) - mean. It assumes a normal distribution.",
            "McNeil, Frey and Embrechts 2015, Quantitative Risk Management, section 2.3",
        ),
        "ulcer_index": Definition(
            "Ulcer index",
            "%",
            "Root of the mean squared drawdown of the daily closes.",
            "Martin and McCann 1989, The Investor's Guide to Fidelity Funds",
        ),
        "tail_ratio": Definition(
            "Tail ratio",
            "ratio",
            f"{_RETURNS}: absolute 95 % quantile / absolute 5 % quantile, linear between neighbouring returns. "
            "Above 1 the good days reach further than the bad ones.",
            "empyrical, tail_ratio",
        ),
        "drawdowns": Definition("Drawdowns", "count", "Times that a daily close fell below its peak."),
        "average_drawdown": Definition(
            "Average drawdown",
            "%",
            "Mean of the depths of all drawdowns of the daily closes, one that is still open included.",
            "Bacon 2008, Practical Portfolio Performance Measurement",
        ),
        "average_drawdown_length": Definition(
            "Average drawdown length",
            "days",
            "Mean time from a peak to the first close back at it, or to the end of the run.",
        ),
        "time_under_water": Definition(
            "Time under water", "%", "Share of days that closed below the highest close so far."
        ),
        # Distribution
        "mean_day": Definition("Mean day", "%", "Mean of the daily returns."),
        "median_day": Definition("Median day", "%", "Median of the daily returns."),
        "deviation_day": Definition(
            "Daily volatility", "%", "Sample standard deviation (ddof 1) of the daily returns."
        ),
        "positive_days": Definition("Positive days", "%", "Days with a return above 0 / days."),
        "skewness": Definition(
            "Skewness",
            "ratio",
            f"{_RETURNS}: third standardised moment of the sample. 0 for a normal distribution; below 0 the "
            "losses reach further.",
            "moments of the sample, not corrected for bias",
        ),
        "kurtosis": Definition(
            "Kurtosis",
            "ratio",
            f"{_RETURNS}: fourth standardised moment of the sample, not the excess: 3 for a normal "
            "distribution, more with fat tails.",
            "moments of the sample, not corrected for bias",
        ),
        # Trades
        "mae": Definition(
            "Maximum adverse excursion",
            "money",
            "How far the price went against a trade while it was held: quantity x multiplier x price distance "
            "from the average entry x rate. Whole bars count, the first and the last too, so that it is too "
            "large rather than too small.",
            "Sweeney 1997, Maximum Adverse Excursion",
        ),
        "mfe": Definition(
            "Maximum favourable excursion",
            "money",
            "How far the price went in favour of a trade while it was held, made as the adverse one.",
            "Sweeney 1997, Maximum Adverse Excursion",
        ),
        # Costs and size
        "breakeven_multiple": Definition(
            "Break-even multiple",
            "ratio",
            "PnL before the multiplied costs / those costs: at this multiple of the costs nothing is left. "
            "It assumes the same fills.",
        ),
        "capacity_multiple": Definition(
            "Capacity",
            "ratio",
            "The largest multiple of the present size at which the given share of fills (95 % unless stated) "
            "lies in bars of which the run trades no more than the given part (5 % unless stated) of the "
            "volume. It assumes the same fills and depends on the length of the bars.",
            "participation rate; Kissell 2014, The Science of Algorithmic Trading and Portfolio Management",
        ),
        "participation_median": Definition(
            "Median participation",
            "%",
            "Quantity that the run traded in the bar of a fill / volume of that bar, median over fills.",
        ),
        "participation_high": Definition(
            "High participation",
            "%",
            "The participation that the given share of fills (95 % unless stated) does not exceed.",
        ),
        # Benchmark
        "benchmark_return": Definition(
            "Benchmark return",
            "%",
            "Last price / first price - 1 over the days of the run, in the currency of the prices.",
        ),
        "alpha": Definition(
            "Alpha",
            "%",
            f"{_AGAINST}: (mean return - beta x mean benchmark return) x days per year. "
            "The risk-free rate is 0.",
            "Jensen 1968, The Performance of Mutual Funds in the Period 1945-1964",
        ),
        "beta": Definition(
            "Beta",
            "ratio",
            f"{_AGAINST}: covariance / variance of the benchmark.",
            "Sharpe 1964, Capital Asset Prices",
        ),
        "correlation": Definition(
            "Correlation", "ratio", f"{_AGAINST}: Pearson's coefficient.", "Pearson's coefficient"
        ),
        "tracking_error": Definition(
            "Tracking error",
            "%",
            f"{_AGAINST}: sample standard deviation (ddof 1) of the differences x sqrt(days per year).",
            "Bacon 2008, Practical Portfolio Performance Measurement",
        ),
        "information_ratio": Definition(
            "Information ratio",
            "ratio",
            f"{_AGAINST}: mean difference / sample standard deviation (ddof 1) of the differences x "
            "sqrt(days per year).",
            "Goodwin 1998, The Information Ratio, Financial Analysts Journal 54(4)",
        ),
    }
)
