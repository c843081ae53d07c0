"""The history of the equity: what is kept finely, what coarsely, and what of it is shown."""

from __future__ import annotations

import contextlib
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine_records import EquityPage, EquitySample, StrategyPnl
from workbench.errors import StoreError
from workbench.live.equity_history import (
    COARSE_NS,
    FINE_NS,
    KEPT_NS,
    SECOND_NS,
    EquityHistory,
    build_sample,
    load_last,
    read_equity,
    thin_samples,
)

NOW_NS = 1_800_000_000 * SECOND_NS


def build(ts_ns: int, equity: str | None = "1000.000000000000000001", currency: str = "USD") -> EquitySample:
    return EquitySample(
        ts_ns=ts_ns,
        currency=currency,
        equity=equity,
        strategies={"S-1": StrategyPnl(realized="1.5", unrealized=None, why="no price")},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "equity.sqlite"


def test_samples_come_back_as_they_were_after_another_host_and_beside_it(path: Path) -> None:
    assert read_equity(path) == EquityPage([], 0)
    assert load_last(path, "USD") is None
    first, second = build(NOW_NS), build(NOW_NS + 1, None)
    history = EquityHistory(path)
    history.add(first)
    assert read_equity(path).items == [first]
    history.close()
    again = EquityHistory(path)
    again.add(second)
    assert read_equity(path) == EquityPage([first, second], 2)
    assert read_equity(path, start_ns=NOW_NS + 1).items == read_equity(path, end_ns=NOW_NS + 9).items[1:]
    assert read_equity(path, end_ns=NOW_NS).items == [first]
    assert load_last(path, "USD") == second
    assert load_last(path, "EUR") is None
    again.close()


def test_a_day_is_kept_finely_and_what_was_before_by_the_minute_for_a_month(path: Path) -> None:
    history = EquityHistory(path)
    begin = NOW_NS // COARSE_NS * COARSE_NS
    old = [begin + i * 5 * SECOND_NS for i in range(36)]  # Three minutes
    for ts_ns in [begin - KEPT_NS, *old]:
        history.add(build(ts_ns))
    late = begin + FINE_NS + 2 * COARSE_NS
    history.add(build(late))
    kept = [one.ts_ns for one in read_equity(path).items]
    # Of the two minutes that are more than a day ago the last samples, of the third all.
    assert kept == [old[11], old[23], *old[24:], late]
    history.add(build(late + KEPT_NS))
    assert [one.ts_ns for one in read_equity(path).items] == [late, late + KEPT_NS]
    history.close()


def test_file_that_is_none_is_moved_aside_and_one_that_cannot_be_written_says_so(
    path: Path, tmp_path: Path
) -> None:
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StoreError):
        read_equity(path)
    with pytest.raises(StoreError):
        load_last(path, "USD")
    history = EquityHistory(path)
    history.add(build(NOW_NS))
    assert len(read_equity(path).items) == 1
    assert path.with_name("equity.sqlite.damaged").exists()
    history.close()
    with pytest.raises(StoreError, match="cannot be written"):
        EquityHistory(tmp_path / "none" / "equity.sqlite").add(build(NOW_NS))


def test_history_that_is_removed_while_it_is_written_begins_anew(path: Path) -> None:
    history = EquityHistory(path)
    history.add(build(NOW_NS))
    path.unlink()
    history.add(build(NOW_NS + 1))
    assert [one.ts_ns for one in read_equity(path).items] == [NOW_NS + 1]
    history.close()


def test_busy_file_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.live.equity_history._BUSY_SECS", 0.05)
    history = EquityHistory(path)
    history.add(build(NOW_NS))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            history.add(build(NOW_NS + 1))
    history.add(build(NOW_NS + 2))
    history.close()
    assert [one.ts_ns for one in read_equity(path).items] == [NOW_NS, NOW_NS + 2]


@given(
    st.lists(st.one_of(st.none(), st.decimals(-1000, 1000, places=2)), min_size=1, max_size=200),
    st.integers(3, 60),
)
def test_thinned_line_keeps_its_extremes_its_end_and_its_order(
    values: list[Decimal | None], limit: int
) -> None:
    samples = [(i * 7, None if value is None else str(value)) for i, value in enumerate(values)]
    found = thin_samples(samples, limit)
    assert found == sorted(set(found))
    assert len(found) <= limit
    assert found[-1] == len(samples) - 1
    known = [value for value in values if value is not None]
    shown = [values[i] for i in found if values[i] is not None]
    if known:
        assert (min(shown), max(shown)) == (min(known), max(known))


def test_holes_stay_holes_in_a_thinned_line() -> None:
    samples = [(i, None if 40 <= i < 60 else "1") for i in range(100)]
    assert any(samples[i][1] is None for i in thin_samples(samples, 21))


def test_sample_is_what_the_main_loop_told() -> None:
    assert build_sample({}) is None
    valuation = {
        "currency": "USD",
        "equity": None,
        "day_pnl": None,
        "gross": "1",
        "net": "-1",
        "missing": "no price of X",
    }
    pnl = {"S-1": StrategyPnl(realized="1", unrealized="2")}
    sample = build_sample({"valuation": valuation, "told_ns": 5, "strategy_pnl": pnl})
    assert sample == EquitySample(
        ts_ns=5, currency="USD", gross="1", net="-1", missing="no price of X", strategies=pnl
    )
