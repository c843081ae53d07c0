from __future__ import annotations

import numpy as np
import pytest

from workbench.ui.candles import build_candles

MINUTE = 60_000.0


def _bars(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    ts = (np.arange(count) + 1) * MINUTE
    close = np.arange(count, dtype=np.float64)
    return ts, {"open": close - 0.5, "high": close + 1, "low": close - 1, "close": close}


def test_build_candles_few_bars_gives_the_bars() -> None:
    ts, ohlc = _bars(10)
    candles = build_candles(ts, ohlc, most=10)
    assert candles.per_candle == 1
    assert candles.step == MINUTE
    assert candles.ts is ts


def test_build_candles_many_bars_joins_whole_multiples() -> None:
    ts, ohlc = _bars(25)
    candles = build_candles(ts, ohlc, most=6)
    assert candles.per_candle == 5
    assert candles.ts.tolist() == [5 * MINUTE * n for n in range(1, 6)]
    assert candles.ohlc["open"].tolist() == [-0.5, 4.5, 9.5, 14.5, 19.5]
    assert candles.ohlc["close"].tolist() == [4, 9, 14, 19, 24]
    assert candles.ohlc["high"].tolist() == [5, 10, 15, 20, 25]
    assert candles.ohlc["low"].tolist() == [-1, 4, 9, 14, 19]


def test_build_candles_gap_joins_nothing_across_it() -> None:
    ts, ohlc = _bars(20)
    keep = np.r_[0:7, 15:20]
    candles = build_candles(ts[keep], {k: v[keep] for k, v in ohlc.items()}, most=6)
    assert candles.per_candle == 2
    assert (candles.ohlc["close"] <= candles.ohlc["open"] + 1.5).all()


@pytest.mark.parametrize("count", [1, 2])
def test_build_candles_one_or_two_bars_have_a_length(count: int) -> None:
    ts, ohlc = _bars(count)
    assert build_candles(ts, ohlc, most=4_000).step == MINUTE
