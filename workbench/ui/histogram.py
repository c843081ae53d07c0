"""How often each daily return occurred, with their mean and median marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import pandas as pd

from workbench.ui.cards import build_card
from workbench.ui.formats import format_percent
from workbench.ui.series import require_columns
from workbench.ui.ticks import find_step
from workbench.ui.view import View

__all__ = ["Histogram"]

_MOST_TICKS = 7
_NEAR_PERCENT = 14.0  # of the width: two labels that are nearer to each other than this share a line


class Histogram(View):
    """
    Daily returns by size: bars of days, losses and gains in their colours, mean and median as marks.

    It is plain HTML: it follows the theme, and shows its values where no script may run.

    Parameters
    ----------
    bins : pandas.DataFrame
        Ascending: ``left``, ``right`` (edges, returns as fractions) and ``days`` (how many are inside), as
        `workbench.analysis.distribution.build_histogram` makes them.
    marks : Mapping of str to float or None, optional
        Name -> return as a fraction: ``{"Mean": 0.0004, "Median": 0.0002}``.
    title : str, default "Daily returns"
        What is drawn.

    Raises
    ------
    InputError
        If the frame lacks a column.

    """

    def __init__(
        self,
        bins: pd.DataFrame,
        marks: Mapping[str, float | None] | None = None,
        title: str = "Daily returns",
    ) -> None:
        require_columns(bins, ("left", "right", "days"), "the histogram")
        self._bins = [
            (float(left), float(right), int(days))
            for left, right, days in bins[["left", "right", "days"]].itertuples(index=False)
        ]
        self._marks = {
            name: float(value)
            for name, value in (marks or {}).items()
            if value is not None and math.isfinite(value)
        }
        self._title = title

    def __repr__(self) -> str:
        return f"Histogram({self._title}; {sum(days for *_, days in self._bins):,} days)"

    def build_html(self) -> str:
        """Return the histogram as a card."""
        total = sum(days for *_, days in self._bins)
        if total == 0:
            body = "<div class='wb-empty'>No daily returns: they need two days with a known equity.</div>"
            return build_card(self._title, body)
        self._low, self._high = self._bins[0][0], self._bins[-1][1]
        most = max(days for *_, days in self._bins)
        step = find_step(most, 4)
        top = math.ceil(most / step) * step
        bars = "".join(self._build_bar(left, right, days, top, total) for left, right, days in self._bins)
        grid = "".join(
            f"<i style='bottom:{100 * n * step / top:.2f}%'><b>{n * step:,.0f}</b></i>"
            for n in range(round(top / step) + 1)
        )
        label = (
            f"{self._title}: {total:,} days from {format_percent(self._low)} to {format_percent(self._high)}"
        )
        body = (
            f"<div class='wb-hist' role='img' aria-label='{escape(label, quote=True)}'>"
            f"<div class='grid'>{grid}</div><div class='bars'>{bars}</div>"
            f"<div class='marks'>{self._build_marks()}</div><div class='axis'>{self._build_axis()}</div></div>"
        )
        return build_card(self._title, body, right=f"{total:,} days")

    def _place(self, value: float) -> float:
        return 100 * (value - self._low) / (self._high - self._low)

    def _build_bar(self, left: float, right: float, days: int, top: float, total: int) -> str:
        places = 2 if right - left >= 0.001 else 3
        words = (
            f"{format_percent(left, is_signed=True, places=places)} to "
            f"{format_percent(right, is_signed=True, places=places)}: {days:,} of {total:,} days"
        )
        start = self._place(left)
        side = "down" if right <= 0 else "up" if left >= 0 else "flat"
        # The column is as high as the frame, so that a small bar is as easy to point at as a large one.
        return (
            f"<div class='{side}{' right' if start > 50 else ''}' data-tip='{words}' "
            f"style='left:{start:.3f}%;width:{self._place(right) - start:.3f}%'>"
            f"<i style='height:{100 * days / top:.2f}%'></i></div>"
        )

    def _build_marks(self) -> str:
        made: list[str] = []
        taken: list[float] = []
        for name, value in sorted(self._marks.items(), key=lambda item: item[1]):
            at = min(max(self._place(value), 0.0), 100.0)
            row = sum(abs(at - other) < _NEAR_PERCENT * 2 for other in taken)
            taken.append(at)
            side = " left" if at > 65 else ""
            made.append(
                f"<div class='mark{side}' style='left:{at:.3f}%;--row:{row}'><span>{escape(name)} "
                f"<b>{format_percent(value, is_signed=True)}</b></span></div>"
            )
        return "".join(made)

    def _build_axis(self) -> str:
        step = find_step((self._high - self._low) * 100, _MOST_TICKS)
        first, last = math.ceil(self._low * 100 / step), math.floor(self._high * 100 / step)
        places = max(0, -math.floor(math.log10(step) + 1e-9)) if step % 1 else 0
        places = places + 1 if round(step * 10**places, 9) % 1 else places
        return "".join(
            f"<span style='left:{self._place(n * step / 100):.3f}%'>"
            f"{format_percent(n * step / 100, is_signed=True, places=places)}</span>"
            for n in range(first, last + 1)
            if 2 < self._place(n * step / 100) < 98
        )
