from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.live_html import Action
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


def _send_view(chart: PriceChart, start: float, end: float) -> dict[str, dict[str, np.ndarray]]:
    widget: Any = chart.build_widget()
    sent: dict[str, dict[str, np.ndarray]] = {}

    def send(content: dict[str, Any], buffers: list[bytes]) -> None:
        columns = zip(content["columns"], buffers, strict=True)
        sent[content["source"]] = {name: np.frombuffer(part) for name, part in columns}

    widget.send = send
    chart.act(Action("view", chart.name, [start, end]))
    return sent


def test_price_chart_view_gets_single_bars_and_the_line_outside(run: RunView) -> None:
    chart = _chart(run)
    assert run.prices is not None
    prices = run.prices["GBP/USD.SIM"]
    stamps = prices["ts"].dt.as_unit("ns").astype("int64").to_numpy() / 1e6
    sent = _send_view(chart, stamps[5_000], stamps[5_300])
    inside = (sent["bars"]["ts"] >= stamps[5_000]) & (sent["bars"]["ts"] <= stamps[5_300])
    assert inside.sum() == 301
    assert sent["bars"]["open"][inside].tolist() == [float(v) for v in prices["open"][5_000:5_301]]
    assert (sent["line"]["ts"][0], sent["line"]["ts"][-1]) == (stamps[0], stamps[-1])
    assert (np.diff(sent["line"]["ts"]) > 0).all()
    assert sum(part.nbytes for columns in sent.values() for part in columns.values()) < 300_000


def test_price_chart_with_a_loader_asks_it_for_more_than_is_visible(run: RunView) -> None:
    assert run.prices is not None
    prices = run.prices["GBP/USD.SIM"]
    asked: list[tuple[pd.Timestamp, pd.Timestamp]] = []

    def load(start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        asked.append((start, end))
        return prices[(prices["ts"] >= start) & (prices["ts"] <= end)]

    chart = PriceChart(prices.iloc[::60], load_prices=load)
    start = pd.Timestamp("2012-02-08 10:00", tz="UTC")
    sent = _send_view(chart, start.timestamp() * 1e3, (start.timestamp() + 3_600) * 1e3)
    assert asked == [(start - pd.Timedelta("1h"), start + pd.Timedelta("2h"))]
    assert len(sent["bars"]["ts"]) == 181
    assert np.median(np.diff(sent["bars"]["ts"])) == 60_000


def test_price_chart_loader_that_fails_says_so_and_leaves_the_overview(run: RunView) -> None:
    def load(start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        raise OSError("the server is away")

    assert run.prices is not None
    chart = PriceChart(run.prices["GBP/USD.SIM"].iloc[::60], load_prices=load)
    sent = _send_view(chart, 1_328_100_000_000, 1_328_200_000_000)
    assert len(sent["line"]["ts"]) > 100
    assert "the server is away" in chart._live.problem  # type: ignore[union-attr]


def test_price_chart_view_shows_fills_that_the_overview_left_out(run: RunView) -> None:
    fills = pd.concat([run.fills] * 3, ignore_index=True)
    last = fills["ts_event"].max().timestamp() * 1e3
    sent = _send_view(_chart(run, fills=fills), last - 3_600_000, last)
    times = np.concatenate([sent["fills_BUY"]["ts"], sent["fills_SELL"]["ts"]])
    expected = (fills["ts_event"] >= pd.Timestamp(last - 3_600_000, unit="ms", tz="UTC")).sum()
    assert len(times) == expected > 0
