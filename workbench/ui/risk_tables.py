"""Risk of a run as tables: what a bad day costs, drawdowns, capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench.analysis.definitions import Metric
from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_decimal, format_percent
from workbench.ui.tables import Definitions, build_metric_rows
from workbench.ui.view import View

__all__ = ["DrawdownsTable", "TailRiskTable"]

_DAY_SECS = 86_400.0


class TailRiskTable(View):
    """
    Value at risk and expected shortfall of one day, by method and confidence.

    Parameters
    ----------
    figures : Mapping of float to Mapping of str to Metric
        Confidence -> metrics, as `measure_tail_risk` names them.
    definitions : Mapping
        Name -> label, text and source.
    days : int
        The daily returns that they are made from.

    """

    def __init__(
        self, figures: Mapping[float, Mapping[str, Metric]], definitions: Definitions, *, days: int
    ) -> None:
        self._figures = figures
        self._definitions = definitions
        self._days = days

    def __repr__(self) -> str:
        return f"TailRiskTable({', '.join(map(str, self._figures))})"

    def build_html(self) -> str:
        """Return the table as a card; a loss is positive."""
        head = "".join(
            f"<th class='n'>{confidence * 100:g} % confidence</th>" for confidence in self._figures
        )
        rows = build_metric_rows(list(self._figures.values()), self._definitions)
        reasons = {metric["reason"] for column in self._figures.values() for metric in column.values()} - {
            None
        }
        note = f"<div class='wb-note'>{'; '.join(sorted(map(str, reasons)))}.</div>" if reasons else ""
        table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"
        return build_card(
            "Loss of one day", table, right=f"from {self._days:,} daily returns, positive is a loss"
        )


class DrawdownsTable(View):
    """
    The deepest drawdowns.

    Parameters
    ----------
    drawdowns : pandas.DataFrame
        As `build_drawdown_table` returns them.
    currency : str
        The reporting currency.

    """

    def __init__(self, drawdowns: pd.DataFrame, currency: str) -> None:
        self._drawdowns = drawdowns
        self._currency = currency

    def __repr__(self) -> str:
        return f"DrawdownsTable({len(self._drawdowns)} drawdowns)"

    def build_html(self) -> str:
        """Return the table as a card; the pointer on a row lights up its span in the charts."""
        title = "Deepest drawdowns"
        if self._drawdowns.empty:
            return build_card(title, "<div class='wb-empty'>No daily close lies below an earlier one.</div>")
        rows = "".join(
            self._build_row({str(k): v for k, v in row.items()})
            for row in self._drawdowns.to_dict(orient="records")
        )
        heads = "".join(f"<th class='n'>{name}</th>" for name in ("depth", self._currency, "days"))
        head = f"<tr><th>peak</th><th>lowest</th><th>recovered</th>{heads}</tr>"
        return build_card(
            title,
            f"<div class='wb-scroll'><table class='wb-dense'><thead>{head}</thead><tbody>{rows}</tbody></table></div>",
            right="of daily closes, UTC days",
        )

    def _build_row(self, row: Mapping[str, Any]) -> str:
        end = row["end"]
        stop = row["trough"] if pd.isna(end) else end
        start_ms, end_ms = (pd.Timestamp(time).timestamp() * 1_000 for time in (row["start"], stop))
        days = row["length"].total_seconds() / _DAY_SECS
        cells = [
            *(
                f"<td class='n' style='text-align:left'>{_day(row[name])}</td>"
                for name in ("start", "trough")
            ),
            "<td class='mute'>not yet</td>"
            if pd.isna(end)
            else f"<td class='n' style='text-align:left'>{_day(end)}</td>",
            f"<td class='n down'>{format_percent(row['depth'])}</td>",
            f"<td class='n'>{format_decimal(row['money'], 2) if row['money'] is not None else UNKNOWN}</td>",
            f"<td class='n'>{days:,.0f}</td>",
        ]
        return f"<tr tabindex='0' data-span='{start_ms:.0f},{end_ms:.0f}'>{''.join(cells)}</tr>"


def _day(time: Any) -> str:
    return f"{pd.Timestamp(time):%Y-%m-%d}"
