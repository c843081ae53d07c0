from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from workbench.analysis.sharpe import measure_deflated_sharpe, measure_moments
from workbench.ui.figures import RunFigures
from workbench.ui.run_view import RunView, Trials


@pytest.fixture(scope="module")
def figures(run: RunView) -> RunFigures:
    return RunFigures(run)


def test_figures_days_are_those_of_the_headline(figures: RunFigures) -> None:
    headline = figures.headline
    assert len(figures.closes) - 1 == headline["days"]["value"]
    assert figures.closes.iloc[-1] == Decimal(str(headline["ending_equity"]["value"]))
    assert figures.risk["drawdowns"]["value"] == len(figures.drawdowns)


def test_figures_once_the_costs_are_the_headline(figures: RunFigures) -> None:
    once, twice = figures.cost_stress[1], figures.cost_stress[2]
    assert once["total_return"]["value"] == pytest.approx(figures.headline["total_return"]["value"])
    assert once["net_pnl"]["value"] == figures.headline["pnl"]["value"]
    assert Decimal(str(twice["net_pnl"]["value"])) < Decimal(str(once["net_pnl"]["value"]))


def test_figures_deflated_sharpe_counts_all_trials(run: RunView, figures: RunFigures) -> None:
    sharpes = tuple(0.5 * k for k in range(10))
    found = RunFigures(replace(run, trials=Trials(48, sharpes))).deflated_sharpe["value"]
    returns = np.diff(figures.closes.map(float)) / figures.closes.map(float).to_numpy()[:-1]
    variance = float(np.var(sharpes, ddof=1)) / 365
    expected = measure_deflated_sharpe(measure_moments(returns), trials=48, variance=variance)
    assert found == pytest.approx(expected.probability)


@pytest.mark.parametrize(
    ("trials", "reason"), [(None, "not known here"), (Trials(5, (1.0,)), "1 of 5 trials have a Sharpe ratio")]
)
def test_figures_deflated_sharpe_that_cannot_be_known_says_why(
    run: RunView, trials: Trials | None, reason: str
) -> None:
    metric = RunFigures(replace(run, trials=trials)).deflated_sharpe
    assert metric["value"] is None
    assert reason in str(metric["reason"])


def test_figures_capacity_of_quoted_bars_is_unknown(figures: RunFigures) -> None:
    assert figures.capacity["capacity_multiple"]["value"] is None
    assert "not what was traded" in str(figures.capacity["capacity_multiple"]["reason"])


def test_figures_capacity_is_known_where_all_prices_have_traded_volume(run: RunView) -> None:
    prices = {}
    for name, frame in (run.prices or {}).items():
        prices[name] = frame.assign(volume=1e9)
        prices[name].attrs["volume_is_traded"] = True
    found = RunFigures(replace(run, prices=prices)).capacity
    assert float(found["capacity_multiple"]["value"] or 0) > 0
    for frame in prices.values():
        frame.attrs["volume_is_traded"] = False
    assert RunFigures(replace(run, prices=prices)).capacity["capacity_multiple"]["value"] is None


def test_figures_excursions_of_every_trade_are_known_with_prices(run: RunView, figures: RunFigures) -> None:
    assert figures.trades["excursion_unknown"].isna().all()
    assert RunFigures(replace(run, prices=None)).trades["mae"].isna().all()


@pytest.mark.parametrize(("rows", "window"), [(10, 10), (70, 30), (400, 90)])
def test_figures_window_fits_the_run(run: RunView, rows: int, window: int) -> None:
    import pandas as pd

    ts = pd.date_range("2012-01-01", periods=rows + 1, freq="D", tz="UTC")
    equity = pd.DataFrame({"ts": ts, "equity": [Decimal(1000 + i) for i in range(rows + 1)]})
    figures = RunFigures(replace(run, equity=equity, metrics={}))
    assert figures.window == window
    assert figures.rolling["volatility"].notna().any() == (rows >= window)
