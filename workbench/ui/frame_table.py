"""Any frame of a run as a table of pages: orders, fills, accounts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

import pandas as pd

from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, find_places, format_decimal, format_time, shorten, tint
from workbench.ui.paging import PAGE_ROWS, TableState, build_pager, build_sort_header, sort_rows
from workbench.ui.view import View

__all__ = ["FrameTable"]

_LONG = 22


class FrameTable(View):
    """
    The rows of a frame: times in UTC, exact numbers with the decimals that their column needs.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    name : str
        What actions call it: ``sort`` and ``page`` with a key that begins with it and a colon.
    title : str
        The title of the card.
    empty : str
        What is said without rows.
    columns : sequence of str, optional
        Which to show; default: all. Those that the frame does not have are left out; those without a value in any
        row are named below the table.
    state : TableState, optional
        Which page of which order; without it the first rows are shown, and nothing can be clicked.
    signed : sequence of str
        The columns with gains and losses.

    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        name: str,
        title: str,
        empty: str,
        columns: Sequence[str] | None = None,
        state: TableState | None = None,
        signed: Sequence[str] = (),
    ) -> None:
        known = [c for c in (columns or frame.columns) if c in frame.columns]
        self._columns = [c for c in known if frame.empty or frame[c].notna().any()]
        self._without = [c for c in known if c not in self._columns]
        self._frame = frame
        self._name = name
        self._title = title
        self._empty = empty
        self._state = state
        self._signed = frozenset(signed)
        self._places = {c: find_places(frame[c]) for c in self._columns if _holds_decimals(frame[c])}

    def __repr__(self) -> str:
        return f"FrameTable({self._name}, {len(self._frame):,} rows)"

    def build_html(self) -> str:
        """Return the table as a card."""
        total = len(self._frame)
        if total == 0:
            return build_card(self._title, f"<div class='wb-empty'>{escape(self._empty)}</div>")
        state = self._state or TableState()
        page = min(state.page, (total - 1) // PAGE_ROWS)
        rows = sort_rows(self._frame, state.sort, is_descending=state.is_descending)
        part = rows.iloc[page * PAGE_ROWS : (page + 1) * PAGE_ROWS][self._columns]
        body = "".join(
            f"<tr>{''.join(self._build_cell(c, v) for c, v in zip(self._columns, row, strict=True))}</tr>"
            for row in part.itertuples(index=False, name=None)
        )
        head = "".join(self._build_head(column) for column in self._columns)
        pager = "" if self._state is None else build_pager(self._name, page, total, what=self._title.lower())
        shown = (
            f"{total:,}"
            if self._state is not None or total <= PAGE_ROWS
            else f"first {PAGE_ROWS} of {total:,}"
        )
        table = f"<table class='wb-dense'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        table = f"<div class='wb-scroll tall' tabindex='0'>{table}</div>"
        names = ", ".join(column.replace("_", " ") for column in self._without)
        note = f"<div class='wb-note'>Without a value in any row: {escape(names)}.</div>" if names else ""
        return build_card(self._title, f"{table}{note}{pager}", right=f"{shown}, times in UTC")

    def _build_head(self, column: str) -> str:
        label = column.replace("_", " ")
        is_number = _is_number(self._frame[column]) or column in self._places
        if self._state is None:
            return f"<th{' class=n' if is_number else ''}>{escape(label)}</th>"
        return build_sort_header(self._name, column, label, self._state, is_number=is_number)

    def _build_cell(self, column: str, value: Any) -> str:
        if isinstance(value, pd.Timestamp):
            return f"<td class='n' style='text-align:left'>{format_time(value, has_seconds=True)}</td>"
        if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):
            kind = (
                " class='n mute'"
                if column in self._places or _is_number(self._frame[column])
                else " class=mute"
            )
            return f"<td{kind}>{UNKNOWN}</td>"
        if isinstance(value, Decimal):
            is_signed = column in self._signed
            kind = f" {tint(value)}" if is_signed else ""
            text = format_decimal(value, self._places.get(column, 2), is_signed=is_signed)
            return f"<td class='n{kind}'>{text}</td>"
        if isinstance(value, bool):
            return f"<td>{'yes' if value else 'no'}</td>"
        if isinstance(value, int | float):
            return f"<td class='n'>{value:,}</td>"
        text = str(value)
        return f"<td>{shorten(text, most=_LONG) if len(text) > _LONG else escape(text)}</td>"


def _holds_decimals(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(value, Decimal) for value in column)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
