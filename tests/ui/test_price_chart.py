from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.price_chart import PriceChart
from workbench.ui.report import RunView

type ReadColumn = Callable[[str, str, str], list[float | None]]


def _chart(run: RunView, **changes: Any) -> PriceChart:
    given = {
        "fills": run.fills,
        "positions": run.positions,
        "instrument_id": "GBP/USD.SIM",
        "currency": "USD",
    }
    assert run.prices is not None
    return PriceChart(run.prices["GBP/USD.SIM"], **(given | changes))


def test_price_chart_month_of_minutes_shows_every_fill_says_so_and_is_small(
    run: RunView, read_column: ReadColumn
) -> None:
    html = _chart(run).build_html()
    buys, sells = read_column(html, "fills_BUY", "px"), read_column(html, "fills_SELL", "px")
    assert sorted([*buys, *sells]) == sorted(float(px) for px in run.fills["last_px"])  # type: ignore[type-var]
    assert f"{len(run.fills):,} fills, every one drawn" in html
    assert "30,117 bars" in html
    assert "candles of 10 min" in html
    assert len(html) < 120_000


def test_price_chart_line_keeps_highest_and_lowest_close(run: RunView, read_column: ReadColumn) -> None:
    line = [v for v in read_column(_chart(run).build_html(), "line", "close") if v is not None]
    assert run.prices is not None
    closes = run.prices["GBP/USD.SIM"]["close"]
    assert (min(line), max(line)) == (float(min(closes)), float(max(closes)))


def test_price_chart_very_many_fills_is_limited_and_says_which(run: RunView, read_column: ReadColumn) -> None:
    fills = pd.concat([run.fills] * 6, ignore_index=True)
    html = _chart(run, fills=fills).build_html()
    shown = len(read_column(html, "fills_BUY", "px")) + len(read_column(html, "fills_SELL", "px"))
    assert shown == 4_000
    assert f"the first 4,000 of {len(fills):,} fills" in html
    assert len(html) < 150_000


def test_price_chart_other_instrument_is_left_out(run: RunView) -> None:
    html = _chart(run, instrument_id="EUR/USD.SIM").build_html()
    assert "no fills" in html


def test_price_chart_position_still_open_is_counted_not_drawn(run: RunView, read_column: ReadColumn) -> None:
    positions = run.positions.iloc[:3].copy()
    positions.loc[1, "ts_closed"] = pd.NaT
    html = _chart(run, positions=positions).build_html()
    drawn = len(read_column(html, "spans_up", "ts")) + len(read_column(html, "spans_down", "ts"))
    assert drawn == 2
    assert "1 still open, not drawn" in html


def test_price_chart_spans_are_split_by_the_sign_of_their_pnl(run: RunView, read_column: ReadColumn) -> None:
    html = _chart(run).build_html()
    assert all(pnl is not None and pnl > 0 for pnl in read_column(html, "spans_up", "pnl"))
    assert all(pnl is not None and pnl <= 0 for pnl in read_column(html, "spans_down", "pnl"))


def test_price_chart_few_bars_embeds_them_all(run: RunView, read_column: ReadColumn) -> None:
    assert run.prices is not None
    bars = run.prices["GBP/USD.SIM"].iloc[:300]
    html = PriceChart(bars).build_html()
    assert read_column(html, "bars", "high") == [float(high) for high in bars["high"]]
    assert "300 bars; candles when at most 400 are visible" in html


def test_price_chart_float_prices_show_the_decimals_they_print(read_payload: Callable[[str], Any]) -> None:
    ts = pd.date_range("2012-02-01", periods=2, freq="D", tz="UTC")
    frame = pd.DataFrame({"ts": ts, "open": [1.5, 1.25], "high": 2.0, "low": 1.0, "close": [1.5, 1.125]})
    assert read_payload(PriceChart(frame).build_html())["tips"]["price_digits"] == 3


def test_price_chart_no_bars_shows_the_empty_state() -> None:
    frame = pd.DataFrame({name: [] for name in ("ts", "open", "high", "low", "close")})
    html = PriceChart(frame).build_html()
    assert "No prices for this instrument" in html
    assert "<script" not in html


def test_price_chart_unequal_columns_raise(run: RunView) -> None:
    with pytest.raises(InputError, match="no column last_px"):
        _chart(run, fills=run.fills.drop(columns="last_px"))


def test_price_chart_descending_bars_raise() -> None:
    ts = pd.date_range("2012-02-01", periods=2, freq="D", tz="UTC")[::-1]
    frame = pd.DataFrame({"ts": ts, **dict.fromkeys(("open", "high", "low", "close"), Decimal(1))})
    with pytest.raises(InputError, match="back in time"):
        PriceChart(frame)
