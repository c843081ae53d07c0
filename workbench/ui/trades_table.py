"""The trades of a run as an HTML table."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.formats import find_places, format_decimal, format_duration, format_time, shorten, tint
from workbench.ui.series import require_columns
from workbench.ui.view import View

__all__ = ["TradesTable"]


class TradesTable(View):
    """
    The trades of a run, and a plain statement of how many there are.

    Parameters
    ----------
    trades : pandas.DataFrame
        As `workbench.analysis.trades.build_trades` returns them.
    currency : str
        The reporting currency.
    first, last : int
        How many of the earliest and of the latest trades are shown.

    Raises
    ------
    InputError
        If a column is missing or a count is negative.

    """

    _COLUMNS = ("entry_time", "exit_time", "instrument_id", "side", "quantity", "entry_price", "exit_price",
                "held", "net_pnl", "fees")  # fmt: skip

    def __init__(self, trades: pd.DataFrame, currency: str, *, first: int = 10, last: int = 10) -> None:
        require_columns(trades, self._COLUMNS, "the trades frame")
        if first < 0 or last < 0:
            raise InputError(f"first is {first}, last is {last}", expected="0 or more")
        self._trades = trades
        self._currency = currency
        self._first = first
        self._last = last
        self._places: dict[Any, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"TradesTable({len(self._trades):,} trades)"

    def build_html(self) -> str:
        """Return the table as a card."""
        count = len(self._trades)
        if count == 0:
            body = "<div class='wb-empty'>No trades: the strategy opened no position in this run.</div>"
            return build_card("Trades", body)
        head, tail = (
            self._trades.iloc[: self._first],
            self._trades.iloc[max(self._first, count - self._last) :],
        )
        hidden = count - len(head) - len(tail)
        rows = self._build_rows(head)
        if hidden:
            rows += f"<tr class='group'><td colspan='9'>{hidden:,} more, not shown here</td></tr>"
        rows += self._build_rows(tail)
        heads = ("entry, UTC", "side", "instrument"), ("quantity", "entry", "exit", "held", f"fees, {self._currency}",
                                                       f"net PnL, {self._currency}")  # fmt: skip
        header = "".join(f"<th>{escape(h)}</th>" for h in heads[0])
        header += "".join(f"<th class='n'>{escape(h)}</th>" for h in heads[1])
        shown = f"all {count:,}" if not hidden else f"first {len(head):,} and last {len(tail):,} of {count:,}"
        body = f"<div class='wb-scroll'><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
        return build_card("Trades", body, right=shown)

    def _build_rows(self, part: pd.DataFrame) -> str:
        return "".join(self._build_row(row) for row in part[list(self._COLUMNS)].itertuples(index=False))

    def _find_places(self, instrument_id: Any) -> tuple[int, int]:
        # Each instrument has its own precision, taken from all of its trades so that its rows align.
        if instrument_id not in self._places:
            own = self._trades[self._trades["instrument_id"] == instrument_id]
            prices = [*own["entry_price"], *own["exit_price"]]
            self._places[instrument_id] = find_places(prices), find_places(own["quantity"], default=0)
        return self._places[instrument_id]

    def _build_row(self, row: Any) -> str:
        price, size = self._find_places(row.instrument_id)
        is_open = row.exit_time is pd.NaT
        held = "open" if is_open else format_duration(row.held.total_seconds())
        cells = [
            f"<td class='n' style='text-align:left'>{format_time(row.entry_time)}</td>",
            f"<td>{escape(str(row.side))}</td>",
            f"<td>{shorten(row.instrument_id, most=22)}</td>",
            *(f"<td class='n'>{text}</td>" for text in (
                format_decimal(row.quantity, size), format_decimal(row.entry_price, price),
                format_decimal(row.exit_price, price), held, format_decimal(row.fees, 2),
            )),
            f"<td class='n {tint(row.net_pnl)}'>{format_decimal(row.net_pnl, 2, is_signed=True)}</td>",
        ]  # fmt: skip
        return f"<tr>{''.join(cells)}</tr>"
