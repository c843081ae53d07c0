"""Tables that are longer than a screen: which rows are shown, in which order, and how a reader changes that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import pandas as pd

__all__ = ["PAGE_ROWS", "TableState", "build_pager", "build_sort_header", "sort_rows"]

PAGE_ROWS = 50


@dataclass(frozen=True)
class TableState:
    """
    What of a table is shown.

    Parameters
    ----------
    sort : str
        The column; empty for the order in which the rows are.
    is_descending : bool
        The direction.
    page : int
        Counted from 0.
    filters : tuple of (str, str)
        Column -> value; without those that let everything pass.

    """

    sort: str = ""
    is_descending: bool = False
    page: int = 0
    filters: tuple[tuple[str, str], ...] = ()

    def sorted_by(self, column: str) -> TableState:
        """Return the state after a click on a header: this column, or the other direction."""
        return replace(
            self, sort=column, is_descending=self.sort == column and not self.is_descending, page=0
        )

    def turned_to(self, page: int) -> TableState:
        """Return the state with another page."""
        return replace(self, page=max(page, 0))

    def filtered(self, name: str, value: str) -> TableState:
        """Return the state with a filter; an empty value takes it away."""
        kept = [(key, old) for key, old in self.filters if key != name]
        return replace(self, filters=tuple(sorted([*kept, (name, value)] if value else kept)), page=0)

    def find_filter(self, name: str) -> str:
        """Return the value of a filter; empty without one."""
        return dict(self.filters).get(name, "")


def sort_rows(frame: pd.DataFrame, column: str, *, is_descending: bool) -> pd.DataFrame:
    """
    Return the rows by a column, equal ones in their order, missing values last in both directions.

    Parameters
    ----------
    frame : pandas.DataFrame
        Decimals compare exactly.
    column : str
        If the frame has no such column, the rows stay as they are.
    is_descending : bool
        The direction.

    """
    if column not in frame.columns:
        return frame
    values = frame[column].tolist()
    is_missing = frame[column].isna().tolist()
    known = [i for i, missing in enumerate(is_missing) if not missing]
    try:
        known.sort(key=values.__getitem__, reverse=is_descending)
    except TypeError:  # Numbers and texts in one column
        known.sort(key=lambda i: str(values[i]), reverse=is_descending)
    return frame.iloc[[*known, *(i for i, missing in enumerate(is_missing) if missing)]]


def build_sort_header(
    table: str, column: str, label: str, state: TableState, *, is_number: bool, hint: str = ""
) -> str:
    """Return a header cell whose button sorts the table: ``data-action="sort"``, key ``table:column``."""
    direction = "none"
    mark = ""
    if state.sort == column:
        direction = "descending" if state.is_descending else "ascending"
        mark = (
            "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
            if state.is_descending
            else "\N{BLACK UP-POINTING SMALL TRIANGLE}"
        )
    title = f" title='{escape(hint, quote=True)}'" if hint else ""
    key = escape(f"{table}:{column}", quote=True)
    return (
        f"<th class='{'n' if is_number else ''}' aria-sort='{direction}'><button class='wb-sort' type='button' "
        f"id='wb-sort-{key}' data-action='sort' data-key='{key}'{title}>{escape(label)}"
        f"<i aria-hidden='true'>{mark}</i></button></th>"
    )


def build_pager(table: str, page: int, total: int, *, what: str, rows: int = PAGE_ROWS) -> str:
    """Return which rows are shown, and buttons to the others: ``data-action="page"``, key ``table:number``."""
    if total <= rows:
        return ""
    last = (total - 1) // rows
    page = min(page, last)
    first_row, last_row = page * rows + 1, min((page + 1) * rows, total)
    targets = (("First", 0), ("Previous", page - 1), ("Next", page + 1), ("Last", last))
    buttons = "".join(
        f"<button class='wb-btn' type='button' id='wb-page-{table}-{label}' data-action='page' "
        f"data-key='{table}:{target}'{'' if 0 <= target <= last and target != page else ' disabled'}>{label}</button>"
        for label, target in targets
    )
    return (
        f"<nav class='wb-pager' aria-label='Pages of {escape(what, quote=True)}'>"
        f"<span>{first_row:,}\N{EN DASH}{last_row:,} of {total:,} {escape(what)}</span>{buttons}</nav>"
    )
