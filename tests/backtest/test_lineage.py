"""Trials are counted by strategy and data, whatever the parameters and the range."""

from __future__ import annotations

from pathlib import Path

from nautilus_trader.backtest.config import BacktestDataConfig

from tests.backtest.configs import ema_cross, strategy
from tests.backtest.tiny import ASK, BID, MARKER, NAME, entry, tiny_config
from workbench.backtest.lineage import describe_dataset, describe_lineage
from workbench.backtest.sources import build_strategy_config

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"


def test_lineage_names_the_strategies_whatever_their_parameters_and_order(tmp_path: Path) -> None:
    one = tiny_config(tmp_path, ema_cross(2, 3), strategy("Slow"))
    other = tiny_config(tmp_path, strategy("Slow", secs=1), ema_cross(5, 9), start="2012-02-01")
    assert describe_lineage(one) == describe_lineage(other) == f"bt_strategies:Slow+{EMA}"
    assert describe_lineage(tiny_config(tmp_path)) == ""


def test_lineage_of_a_captured_strategy_stays_when_its_text_changes(tmp_path: Path) -> None:
    found = set()
    for text in (MARKER, MARKER + "\n# another word\n"):
        (tmp_path / "mine.py").write_text(text)
        built = build_strategy_config(f"{tmp_path / 'mine.py'}:Marker", {}, runs=tmp_path)
        found.add(built.strategy_path)
        assert describe_lineage(tiny_config(tmp_path, built)) == "Marker"
    assert len(found) == 2


def test_dataset_names_the_data_whatever_their_order_and_range(tmp_path: Path) -> None:
    one = tiny_config(tmp_path, data=[entry(tmp_path, ASK, BID)])
    other = tiny_config(tmp_path, data=[entry(tmp_path, BID), entry(tmp_path, ASK)], end="2012-02-02")
    assert describe_dataset(one) == describe_dataset(other) == f"{ASK},{BID}"
    ticks = BacktestDataConfig(
        catalog_path="x", data_cls="nautilus_trader.model.data:TradeTick", instrument_id=NAME
    )
    assert describe_dataset(tiny_config(tmp_path, data=[ticks, ticks])) == f"{NAME}@TradeTick"


def test_dataset_that_is_long_is_cut_and_still_its_own(tmp_path: Path) -> None:
    names = [f"PAIR{i}.SIM-1-MINUTE-LAST-EXTERNAL" for i in range(30)]
    one = describe_dataset(tiny_config(tmp_path, data=[entry(tmp_path, *names)]))
    other = describe_dataset(
        tiny_config(tmp_path, data=[entry(tmp_path, *names[:-1], "Z.SIM-1-DAY-LAST-EXTERNAL")])
    )
    assert len(one) == len(other) == 200
    assert one[:180] == other[:180]
    assert one != other
