"""Trades by what they have in common, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_decimal, format_duration, format_percent, tint
from workbench.ui.view import View

__all__ = ["BreakdownTable"]

_TITLES: Mapping[str, str] = {
    "instrument_id": "By instrument",
    "side": "By side",
    "strategy_id": "By strategy",
    "hour": "By hour of entry",
    "weekday": "By weekday of entry",
    "month": "By month of entry",
}


class BreakdownTable(View):
    """
    Statistics per group, with a bar that compares the net PnL.

    Parameters
    ----------
    breakdown : pandas.DataFrame
        As `build_breakdown` returns it.
    currency : str
        The reporting currency.

    """

    def __init__(self, breakdown: pd.DataFrame, currency: str) -> None:
        self._breakdown = breakdown
        self._by = str(breakdown.index.name)
        self._currency = currency

    def __repr__(self) -> str:
        return f"BreakdownTable({self._by}, {len(self._breakdown)} groups)"

    def build_html(self) -> str:
        """Return the table as a card."""
        title = _TITLES.get(self._by, f"By {self._by}")
        if self._breakdown.empty:
            return build_card(title, "<div class='wb-empty'>No trades to compare.</div>")
        known = [abs(value) for value in self._breakdown["net_pnl"] if value is not None]
        largest = max(known, default=None)
        rows = "".join(
            self._build_row(label, {str(k): v for k, v in row.items()}, largest)
            for label, row in zip(
                self._breakdown.index, self._breakdown.to_dict(orient="records"), strict=True
            )
        )
        names = ("trades", "win rate", "profit factor", f"net PnL, {self._currency}")
        head = "".join(f"<th class='n'>{escape(name)}</th>" for name in names)
        head = f"<th></th>{head}<th aria-hidden='true'></th><th class='n'>held</th>"
        table = (
            f"<table class='wb-groups wb-dense'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
        right = "UTC" if self._by in ("hour", "weekday", "month") else ""
        return build_card(title, f"<div class='wb-scroll'>{table}</div>", right=right)

    def _build_row(self, label: Any, row: Mapping[str, Any], largest: Any) -> str:
        name = f"{int(label):02d}:00" if self._by == "hour" else str(label)
        pnl = row["net_pnl"]
        share = 0.0 if pnl is None or not largest else float(abs(pnl) / largest)
        open_count = (
            f" <span class='mute'>+{row['open_positions']} open</span>" if row["open_positions"] else ""
        )
        factor = row["profit_factor"]
        cells = [
            f"<td style='white-space:nowrap'>{escape(name)}{open_count}</td><td class='n'>{row['trades']:,}</td>",
            f"<td class='n'>{format_percent(row['win_rate'], places=1)}</td>",
            f"<td class='n'>{UNKNOWN if pd.isna(factor) else format_decimal(factor, 2)}</td>",
            f"<td class='n {tint(pnl)}'>{format_decimal(pnl, 2, is_signed=True)}</td>",
            f"<td class='wb-share' aria-hidden='true'><i class='{tint(pnl)}' style='width:{share:.1%}'></i></td>",
            f"<td class='n'>{format_duration(row['average_holding_time'])}</td>",
        ]
        return f"<tr>{''.join(cells)}</tr>"
