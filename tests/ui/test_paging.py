from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from workbench.ui.paging import TableState, build_pager, build_sort_header, sort_rows


def test_sort_rows_compares_exactly_and_keeps_missing_last() -> None:
    values = [Decimal("0.1000000000000000001"), None, Decimal("0.1"), Decimal(-3), Decimal("0.1")]
    frame = pd.DataFrame({"v": pd.Series(values, dtype=object), "n": range(5)})
    assert sort_rows(frame, "v", is_descending=False)["n"].tolist() == [3, 2, 4, 0, 1]
    assert sort_rows(frame, "v", is_descending=True)["n"].tolist() == [0, 2, 4, 3, 1]
    assert sort_rows(frame, "other", is_descending=True) is frame


def test_table_state_header_turns_the_direction_and_goes_to_the_first_page() -> None:
    once = TableState(page=4).sorted_by("pnl")
    assert once == TableState(sort="pnl")
    twice = once.sorted_by("pnl")
    assert twice.is_descending
    assert twice.sorted_by("other") == TableState(sort="other")


def test_table_state_filter_is_replaced_and_taken_away() -> None:
    state = TableState(page=3).filtered("side", "LONG").filtered("side", "SHORT")
    assert state.filters == (("side", "SHORT"),)
    assert state.page == 0
    assert state.filtered("side", "").filters == ()


def test_sort_header_says_its_direction() -> None:
    state = TableState(sort="pnl", is_descending=True)
    assert "aria-sort='descending'" in build_sort_header("trades", "pnl", "PnL", state, is_number=True)
    assert "aria-sort='none'" in build_sort_header("trades", "fees", "fees", state, is_number=True)
    assert "data-key='trades:&lt;i&gt;'" in build_sort_header("trades", "<i>", "<i>", state, is_number=False)


@pytest.mark.parametrize(
    ("page", "shown", "disabled"),
    [(0, "1–50 of 120", ["First", "Previous"]), (2, "101–120 of 120", ["Next", "Last"]), (99, "101–120", [])],
)
def test_pager_says_what_is_shown_and_stops_at_the_ends(page: int, shown: str, disabled: list[str]) -> None:
    html = build_pager("trades", page, 120, what="trades")
    assert shown in html
    for label in disabled:
        assert f"disabled>{label}<" in html
    assert build_pager("trades", 0, 50, what="trades") == ""
