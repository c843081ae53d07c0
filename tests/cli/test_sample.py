"""The sample data: splits are found and undone, nothing else is."""

from __future__ import annotations

import csv
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.cli.sample import Split, build_stock_csv, find_splits
from workbench.errors import NotFoundError


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_apple_has_its_two_splits(tmp_path: Path) -> None:
    path, notes = build_stock_csv("AAPL", tmp_path)
    assert "2:1 on 2000-06-21, 2:1 on 2005-02-28" in notes
    rows = read(path)
    # 118.56 and 9,616,100 before two splits of 2:1
    assert rows[0]["open"] == "29.64"
    assert rows[0]["volume"] == str(9_616_100 * 4)
    # untouched after the last split, but for cents: 438.1799
    assert rows[-1]["high"] == "438.18"
    jumps = [Decimal(b["close"]) / Decimal(a["close"]) for a, b in itertools.pairwise(rows)]
    # The fall of 2000-09-29, by half, was real and stays.
    assert [rows[i + 1]["timestamp"][:10] for i, j in enumerate(jumps) if j < Decimal("0.6")] == [
        "2000-09-29"
    ]


def test_special_dividend_is_no_split() -> None:
    rows = [
        {"Date": "2004-11-12", "Close": "29.97", "Adj Close": "21.30"},
        {"Date": "2004-11-15", "Close": "27.39", "Adj Close": "21.65"},
        {"Date": "2004-11-16", "Close": "13.70", "Adj Close": "21.66"},
    ]
    assert find_splits(rows) == [Split("2004-11-16", 2)]


def test_unknown_stock_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="AAPL, FB, GOOG, IBM or MSFT"):
        build_stock_csv("TSLA", tmp_path)
    assert list(tmp_path.iterdir()) == []
