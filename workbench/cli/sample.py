"""The sample data of the demo: real daily prices of stocks, adjusted for splits."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from workbench.errors import NotFoundError
from workbench.files import write_atomically

__all__ = ["Split", "build_stock_csv", "find_splits"]

_CENT = Decimal("0.01")
_PRICES = ("Open", "High", "Low", "Close")
# A special dividend moves the adjusted close by a tenth at the most here; the smallest split by a half.
_LEAST_SPLIT = Decimal("1.4")


class Split(NamedTuple):
    """A split: the first day of trading after it, and how many shares one became."""

    date: str
    ratio: int


def build_stock_csv(symbol: str, directory: Path) -> tuple[Path, str]:
    """
    Write the daily bars of a stock of the package ``bokeh_sampledata`` as CSV, adjusted for splits.

    Prices before a split are divided by its ratio, volumes multiplied; prices are then rounded to cents.
    Dividends are not adjusted for: they are paid in cash. Times are the close of the day, 16:00 New York.

    Returns
    -------
    tuple[Path, str]
        The file, and what was done in words.

    """
    rows = _load(symbol)
    splits = find_splits(rows)
    path = directory / f"{symbol}-daily.csv"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["timestamp", "open", "high", "low", "close", "volume"])
    for row in rows:
        ratio = 1
        for split in splits:
            if row["Date"] < split.date:
                ratio *= split.ratio
        prices = [(Decimal(row[name]) / ratio).quantize(_CENT, ROUND_HALF_EVEN) for name in _PRICES]
        writer.writerow([f"{row['Date']}T16:00:00", *prices, int(row["Volume"]) * ratio])
    write_atomically(path, out.getvalue().encode())
    done = ", ".join(f"{s.ratio}:1 on {s.date}" for s in splits)
    return path, (
        f"adjusted for splits ({done})" if splits else "no splits in the data"
    ) + ", not for dividends"


def find_splits(rows: list[dict[str, str]]) -> list[Split]:
    """Return the splits of a stock: where the close jumps against the adjusted close by a whole ratio."""
    splits = []
    for before, after in itertools.pairwise(rows):
        jump = (Decimal(after["Adj Close"]) / Decimal(after["Close"])) / (
            Decimal(before["Adj Close"]) / Decimal(before["Close"])
        )
        if jump >= _LEAST_SPLIT and abs(jump - round(jump)) < Decimal("0.02"):
            splits.append(Split(after["Date"], round(jump)))
    return splits


def _load(symbol: str) -> list[dict[str, str]]:
    source = resources.files("bokeh_sampledata") / "_data" / "stocks.csv.gz"
    text = gzip.decompress(source.read_bytes()).decode()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["Ticker"] == symbol]
    if not rows:
        raise NotFoundError(
            f"the sample data hold no stock {symbol!r}", expected="AAPL, FB, GOOG, IBM or MSFT"
        )
    return rows
