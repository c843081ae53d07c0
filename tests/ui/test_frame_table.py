from __future__ import annotations

from decimal import Decimal

import pandas as pd

from workbench.ui.frame_table import FrameTable
from workbench.ui.paging import TableState


def _frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ts_event": pd.date_range("2012-02-01", periods=rows, freq="min", tz="UTC"),
            "price": pd.Series([Decimal(i) / 8 for i in range(rows)], dtype=object),
            "note": ["<b>"] * rows,
            "is_open": [True] * rows,
        }
    )


def test_frame_table_shows_the_page_that_is_asked_for() -> None:
    table = FrameTable(_frame(120), name="fills", title="Fills", empty="No fills.", state=TableState(page=2))
    html = table.build_html()
    assert "101–120 of 120 fills" in html
    assert html.count("<tr>") == 1 + 20
    assert "2012-02-01 01:40:00" in html
    assert "2012-02-01 01:39:00" not in html


def test_frame_table_sorts_by_an_exact_column() -> None:
    state = TableState(sort="price", is_descending=True)
    html = FrameTable(_frame(120), name="fills", title="Fills", empty="", state=state).build_html()
    assert html.index(">14.875<") < html.index(">14.750<")
    assert "aria-sort='descending'" in html


def test_frame_table_without_state_cannot_be_clicked() -> None:
    html = FrameTable(_frame(60), name="fills", title="Fills", empty="").build_html()
    assert "data-action" not in html
    assert "first 50 of 60" in html


def test_frame_table_escapes_and_leaves_out_columns_that_are_not_there() -> None:
    html = FrameTable(
        _frame(1), name="x", title="X", empty="", columns=("note", "missing", "is_open")
    ).build_html()
    assert "&lt;b&gt;" in html
    assert "missing" not in html
    assert ">yes<" in html


def test_frame_table_no_rows_says_why() -> None:
    assert "No <i>" not in FrameTable(_frame(0), name="x", title="X", empty="No <i>").build_html()


def test_frame_table_names_columns_without_a_value_below() -> None:
    frame = _frame(3).assign(trigger_price=None, reason=float("nan"))
    html = FrameTable(frame, name="x", title="X", empty="").build_html()
    assert "Without a value in any row: trigger price, reason." in html
    assert "<th>trigger price</th>" not in html
    assert "Without a value" not in FrameTable(_frame(3), name="x", title="X", empty="").build_html()
