from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from workbench.errors import NotFoundError
from workbench.ui.report import Report
from workbench.ui.run_view import RunView, build_run_view, find_instruments


def _stored(run: RunView, **tables: pd.DataFrame) -> Any:
    def load_table(name: str) -> pd.DataFrame:
        if name not in tables:
            raise NotFoundError(f"no table {name}")
        return tables[name]

    return SimpleNamespace(
        manifest=run.manifest, config=run.config, metrics=run.metrics, load_table=load_table
    )


def test_run_view_of_a_run_that_kept_no_tables_can_be_shown(run: RunView) -> None:
    empty = build_run_view(_stored(run))
    assert len(empty.equity) == len(empty.positions) == len(empty.fills) == 0
    html = Report(empty).build_html()
    assert "No equity samples" in html
    assert "No trades" in html


def test_run_view_takes_the_tables_that_are_there(run: RunView) -> None:
    view = build_run_view(_stored(run, equity=run.equity, fills=run.fills), prices=run.prices)
    assert view.equity is run.equity
    assert view.prices is run.prices
    assert find_instruments(view) == ["GBP/USD.SIM"]


def test_find_instruments_of_a_run_without_fills_are_those_that_it_read(run: RunView) -> None:
    config = {"data": [{"bar_types": ["A.SIM-1-MINUTE-BID-EXTERNAL"]}, {"instrument_ids": ["B.SIM"]}]}
    assert find_instruments(replace(run, fills=run.fills.iloc[:0], config=config)) == ["A.SIM", "B.SIM"]


@pytest.mark.parametrize(
    ("state", "has_ended"), [("RUNNING", False), ("PAUSED", False), ("FAILED", True), (None, True)]
)
def test_run_view_knows_whether_it_has_ended(run: RunView, state: str | None, has_ended: bool) -> None:
    assert replace(run, manifest={"state": state}).has_ended == has_ended


def test_run_view_name_is_its_own_or_what_it_trades(run: RunView) -> None:
    assert run.name == "EMACross GBP/USD.SIM"
    assert replace(run, manifest={"name": "mine"}).name == "mine"
