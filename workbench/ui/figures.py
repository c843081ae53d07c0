"""What a reader asks of a run and what its directory does not hold: made once, when it is first looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.analysis.attribution import build_trade_costs
from workbench.analysis.benchmark import build_benchmark, build_benchmark_closes, measure_benchmark
from workbench.analysis.capacity import measure_capacity
from workbench.analysis.definitions import (
    DEFINITIONS,
    Metric,
    Outcome,
    Unknown,
    build_definitions,
    build_metrics,
)
from workbench.analysis.distribution import measure_distribution
from workbench.analysis.drawdown import build_drawdown_table
from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.analysis.excursions import build_excursions
from workbench.analysis.exposure import build_daily_exposure
from workbench.analysis.risk import measure_risk, measure_tail_risk
from workbench.analysis.rolling import build_rolling
from workbench.analysis.sharpe import measure_deflated_sharpe, measure_moments
from workbench.analysis.stress import find_known_costs, measure_breakeven_multiple, measure_cost_stress
from workbench.analysis.trades import build_trades
from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.ui.run_view import RunView

__all__ = ["CONFIDENCES", "COST_MULTIPLES", "PARTICIPATION", "RunFigures", "measure_trials"]

CONFIDENCES = (0.95, 0.99)
COST_MULTIPLES = (1, 2, 3)
PARTICIPATION = 0.05

type Metrics = Mapping[str, Metric]


class RunFigures:
    """
    The figures of a run. Each is made when it is first asked for, and kept.

    Parameters
    ----------
    run : RunView
        The run.

    Raises
    ------
    InputError
        If the manifest names no currency.

    """

    def __init__(self, run: RunView) -> None:
        currency = run.manifest.get("currency")
        if not isinstance(currency, str) or not currency:
            raise InputError(
                "the run's manifest names no currency", expected="a finished run's manifest.json"
            )
        self.run = run
        self.currency = currency

    def __repr__(self) -> str:
        return f"RunFigures({self.run.run_id})"

    @property
    def headline(self) -> Metrics:
        """The stored headline."""
        found: Metrics = self.run.metrics.get("headline") or {}
        return found

    @property
    def costs(self) -> Metrics:
        """The stored way from gross to net."""
        found: Metrics = self.run.metrics.get("costs") or {}
        return found

    @cached_property
    def definitions(self) -> dict[str, Mapping[str, str]]:
        """What every number means; as the run stored it, where it did."""
        return {**build_definitions(DEFINITIONS), **(self.run.metrics.get("definitions") or {})}

    @cached_property
    def periods_per_year(self) -> int:
        """The calendar of the run."""
        stored: Any = self.run.metrics.get("periods_per_year")
        if stored is None:
            stored = self._find_headline("periods_per_year")
        return 365 if stored is None else int(stored)

    @cached_property
    def starting_balance(self) -> Decimal | None:
        """The equity before the first event."""
        value = self._find_headline("starting_balance")
        return None if value is None else Decimal(str(value))

    @cached_property
    def closes(self) -> pd.Series:
        """Equity at the close of each day."""
        return build_daily_closes(
            self.run.equity, periods_per_year=self.periods_per_year, starting_balance=self.starting_balance
        )

    @cached_property
    def trades(self) -> pd.DataFrame:
        """
        The trades, with how far the price went for and against each, and what each cost.

        As `build_trades`, and ``mae``, ``mfe``, ``spread``, ``slippage`` (`Decimal` or ``None``), ``excursion_unknown``
        and ``cost_unknown`` (why, or ``None``).
        """
        trades = self.run.trades
        if trades is None:
            trades = build_trades(self.run.positions, currency=self.currency)
        trades = trades.copy()
        if {"mae", "slippage"} <= set(trades.columns):
            return trades
        moved = build_excursions(trades, self.run.prices or {}, self.run.fills)
        paid = build_trade_costs(trades, self.run.fills)
        for name in ("mae", "mfe"):
            trades[name] = moved[name]
        for name in ("spread", "slippage"):
            trades[name] = paid[name]
        trades["excursion_unknown"] = moved["unknown"]
        trades["cost_unknown"] = paid["unknown"]
        return trades

    @cached_property
    def deflated_sharpe(self) -> Metric:
        """The probability that the true Sharpe ratio is above what luck alone would show after as many trials."""
        outcome = measure_trials(self.run, self.closes, self.periods_per_year)
        if isinstance(outcome, Unknown):
            return Metric(value=None, unit="ratio", reason=outcome.reason)
        return Metric(value=outcome, unit="ratio", reason=None)

    @cached_property
    def risk(self) -> Metrics:
        """Ulcer index, tail ratio, drawdowns in number, mean depth and length, time under water."""
        return self._build(measure_risk(self.closes))

    @cached_property
    def tail_risk(self) -> dict[float, Metrics]:
        """Value at risk and expected shortfall of a day, by confidence."""
        return {c: self._build(measure_tail_risk(self.closes, confidence=c)) for c in CONFIDENCES}

    @cached_property
    def drawdowns(self) -> pd.DataFrame:
        """The deepest drawdowns, see `build_drawdown_table`."""
        return build_drawdown_table(self.closes, limit=5)

    @cached_property
    def distribution(self) -> Metrics:
        """Moments of the daily returns."""
        return self._build(measure_distribution(self.closes))

    @property
    def window(self) -> int:
        """The days of rolling figures: a quarter, a month of a run shorter than a year, 10 of a very short one."""
        month = 21 if self.periods_per_year == 252 else 30
        days = len(self.closes) - 1
        return 3 * month if days >= self.periods_per_year else month if days >= 2 * month else 10

    @cached_property
    def rolling(self) -> pd.DataFrame:
        """Sharpe ratio and volatility of the last `window` days, at every day."""
        return build_rolling(self.closes, window=self.window, periods_per_year=self.periods_per_year)

    @cached_property
    def exposure(self) -> pd.Series:
        """The share of each day with an open position."""
        if "open_positions" not in self.run.equity.columns:
            return pd.Series(dtype="float64", index=pd.DatetimeIndex([], tz="UTC"))
        return build_daily_exposure(self.run.equity)["exposure"]

    @cached_property
    def capacity(self) -> Metrics:
        """How many times its size the run could have had at a participation rate of 5 %."""
        return self._build(
            measure_capacity(
                self.run.fills,
                self.run.prices or {},
                volume_is_traded=self._has_traded_volume,
                participation=PARTICIPATION,
            )
        )

    @cached_property
    def known_costs(self) -> tuple[str, ...]:
        """Which of fee, spread and slippage are known at every fill."""
        return find_known_costs(self.run.fills)

    @cached_property
    def cost_stress(self) -> dict[float, Metrics]:
        """Results under multiples of the known costs."""
        found = measure_cost_stress(
            self.run.fills,
            self.run.equity,
            periods_per_year=self.periods_per_year,
            multiples=COST_MULTIPLES,
            components=self.known_costs,
            starting_balance=self.starting_balance,
        )
        return {multiple: self._build(outcomes) for multiple, outcomes in found.items()}

    @cached_property
    def breakeven_multiple(self) -> Metric:
        """The multiple of the known costs at which nothing is left."""
        outcome = measure_breakeven_multiple(
            self.run.fills,
            self.run.equity,
            components=self.known_costs,
            starting_balance=self.starting_balance,
        )
        return self._build({"breakeven_multiple": outcome})["breakeven_multiple"]

    def build_benchmark(self, instrument_id: str) -> tuple[pd.DataFrame, Metrics]:
        """
        Return a buy and hold of an instrument as an equity frame, and the run against it.

        Raises
        ------
        InputError
            If there are no prices of it.

        """
        prices = (self.run.prices or {}).get(instrument_id)
        if prices is None:
            reason = self.run.missing_prices.get(instrument_id, "they were not loaded")
            raise InputError(f"there are no prices of {instrument_id}: {reason}")
        line = build_benchmark(prices, self.run.equity)
        outcomes = measure_benchmark(
            self.closes, build_benchmark_closes(line, self.closes), periods_per_year=self.periods_per_year
        )
        frame = pd.DataFrame({"ts": line.index, "equity": line.to_numpy()})
        return frame, self._build(outcomes)

    @property
    def _has_traded_volume(self) -> bool:
        """Whether the volume of the prices is what was traded, as far as whoever has read them says."""
        prices = self.run.prices or {}
        ids = self.run.fills["instrument_id"].astype(str) if "instrument_id" in self.run.fills.columns else ()
        known = [prices[name] for name in dict.fromkeys(ids) if name in prices]
        return all(frame.attrs.get("volume_is_traded") is True for frame in known or prices.values())

    def _find_headline(self, name: str) -> str | float | None:
        metric = self.headline.get(name)
        return None if metric is None else metric["value"]

    def _build(self, outcomes: Mapping[str, Outcome]) -> dict[str, Metric]:
        return build_metrics(outcomes, currency=self.currency)


def measure_trials(run: RunView, closes: pd.Series, periods_per_year: int) -> float | Unknown:
    """
    Return a run's deflated Sharpe ratio, a probability, given all that was tried on the same data.

    The variance of the trials' Sharpe ratios is that of their annualised ones over the days per year.

    Parameters
    ----------
    run : RunView
        The run, with its `Trials`.
    closes : pd.Series
        Its daily closes.
    periods_per_year : int
        The calendar of the run.

    """
    if run.trials is None:
        return Unknown("how much else was tried is not known here")
    returns = build_daily_returns(closes).to_numpy()
    if np.isnan(returns).any():
        return Unknown("equity is unknown on a day")
    variance = _measure_variance(run.trials.sharpes, periods_per_year)
    if run.trials.count > 1 and variance is None:
        known = len(run.trials.sharpes)
        return Unknown(
            f"{known} of {run.trials.count} trials have a Sharpe ratio: too few to tell their spread"
        )
    try:
        moments = measure_moments(returns)
        found = measure_deflated_sharpe(moments, trials=run.trials.count, variance=variance or 0.0)
    except InputError as error:
        return Unknown(error.message)
    return found.probability if math.isfinite(found.probability) else Unknown("it is no number")


def _measure_variance(sharpes: Sequence[float], periods_per_year: int) -> float | None:
    known = [value for value in sharpes if math.isfinite(value)]
    return float(np.var(known, ddof=1)) / periods_per_year if len(known) > 1 else None
