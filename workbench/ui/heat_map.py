"""Two parameters of a sweep against its objective: a table whose cells are as strong as they are good."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.component import Component
from workbench.ui.formats import format_decimal
from workbench.ui.series import require_columns
from workbench.ui.ticks import find_step, sort_categories

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.ui.live_html import Action, LiveHtml

__all__ = ["HeatMap"]

_MOST_VALUES = 24  # of a parameter; more are put together into ranges
_RANGES = 12
_MOST_PRINTED = 14  # columns; more leave no room for values
_FEW = 8  # columns; the values of more are written smaller where the page is narrow
_SWATCHES = 5

type Cell = dict[str, Any]


@dataclass(frozen=True)
class _Scale:
    labels: list[str]
    members: list[list[Hashable]]


class HeatMap(Component):
    """
    The best or the mean objective for each pair of values of two parameters.

    One hue, mixed with the background in equal steps of OKLab, which are equal steps to the eye; the value is printed
    in each cell where there is room. It is an HTML table: it follows the theme, a keyboard reaches its cells, and it
    needs no script to be read.

    Parameters
    ----------
    trials : pandas.DataFrame
        One row for each trial: a column for each parameter and one for the objective (NaN for a trial that failed).
    x, y : str
        The columns of the two parameters.
    objective : str
        The column of the objective.
    how : {'best', 'mean'}
        What of the trials that share a cell is shown.
    is_maximised : bool, default True
        Whether a larger objective is better.
    digits : int, default 2
        Decimals of the objective.
    on_pick : Callable[[dict], object], optional
        Takes the cell that was chosen: parameter -> list of its values there.

    Raises
    ------
    InputError
        If the frame lacks a column, or `x` is `y`.

    """

    def __init__(
        self,
        trials: pd.DataFrame,
        x: str,
        y: str,
        objective: str,
        *,
        how: Literal["best", "mean"] = "best",
        is_maximised: bool = True,
        digits: int = 2,
        on_pick: Callable[[Cell], object] | None = None,
    ) -> None:
        require_columns(trials, (x, y, objective), "the trials frame")
        if x == y:
            raise InputError(f"both axes are {x!r}", expected="two parameters")
        self.x, self.y, self.objective = x, y, objective
        self._how, self._is_maximised, self._digits, self._on_pick = how, is_maximised, digits, on_pick
        self._selected: tuple[int, int] | None = None
        self._live: LiveHtml | None = None
        self._read(trials)

    def __repr__(self) -> str:
        return f"HeatMap({self.objective} by {self.x} and {self.y}; {self._total:,} trials)"

    def show(self, trials: pd.DataFrame) -> None:
        """Show other trials of the same sweep, or more of them; on the kernel's thread."""
        require_columns(trials, (self.x, self.y, self.objective), "the trials frame")
        self._read(trials)
        self._refresh()

    def build_html(self) -> str:
        """Return the table as a card."""
        return self._render(is_live=False)

    def build_widget(self) -> DOMWidget:
        """Return the table with cells that can be chosen."""
        from workbench.ui.live_html import LiveHtml

        self._live = LiveHtml(self._render(is_live=True), on_action=self.act)
        return self._live

    def act(self, action: Action) -> None:
        """Choose a cell; the chosen one again to choose none."""
        if action.name != "pick":
            return
        column, row = (int(part) for part in action.key.split(","))
        self._selected = None if self._selected == (column, row) else (column, row)
        self._refresh()
        if self._on_pick is not None:
            chosen: Cell = {self.x: self._xs.members[column], self.y: self._ys.members[row]}
            self._on_pick(chosen if self._selected else {})

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.html = self._render(is_live=True)

    def _read(self, trials: pd.DataFrame) -> None:
        known = trials[trials[self.objective].notna() & trials[self.x].notna() & trials[self.y].notna()]
        self._total, self._failed = len(known), len(trials) - len(known)
        self._xs, columns = _scale(known[self.x])
        self._ys, rows = _scale(known[self.y])
        scores = known[self.objective].astype(float).to_numpy()
        groups = pd.Series(scores).groupby([columns, rows])
        best = groups.max() if self._is_maximised else groups.min()
        shown = best if self._how == "best" else groups.mean()
        self._cells: dict[tuple[int, int], float] = {
            (int(key[0]), int(key[1])): float(value)  # type: ignore[index]
            for key, value in shown.items()
        }
        self._counts = {(int(k[0]), int(k[1])): int(n) for k, n in groups.size().items()}  # type: ignore[index]

    def _render(self, *, is_live: bool) -> str:
        word = {"best": "best", "mean": "mean"}[self._how]
        title = f"{self.objective[:1].upper()}{self.objective[1:]} by {self.x} and {self.y}"
        if not self._cells:
            return build_card(title, "<div class='wb-empty'>No trial has an objective yet.</div>")
        low, high = min(self._cells.values()), max(self._cells.values())
        has_room = len(self._xs.labels) <= _MOST_PRINTED
        head = "".join(f"<th scope='col'>{escape(label)}</th>" for label in self._xs.labels)
        body = "".join(
            f"<tr><th scope='row'>{escape(self._ys.labels[row])}</th>"
            + "".join(
                self._build_cell(column, row, low, high, has_room=has_room, is_live=is_live)
                for column in range(len(self._xs.labels))
            )
            + "</tr>"
            for row in reversed(range(len(self._ys.labels)))  # upwards, like any vertical axis
        )
        many = " many" if len(self._xs.labels) > _FEW else ""
        table = (
            f"<div class='wb-scroll'><table class='wb-heat{many}'><caption>{escape(self.y)} \N{UPWARDS ARROW}</caption>"
            f"<tbody>{body}</tbody><tfoot><tr><th></th>{head}</tr>"
            f"<tr><th></th><td colspan='{len(self._xs.labels)}'>{escape(self.x)} \N{RIGHTWARDS ARROW}</td></tr>"
            "</tfoot></table></div>"
        )
        several = f", the {word} of those that share a cell" if self._total > len(self._cells) else ""
        note = f"{self._total:,} trials{several}" + (
            f"; {self._failed:,} without a value" if self._failed else ""
        )
        return build_card(
            title, f"{table}{self._build_legend(low, high)}<div class='wb-note'>{note}.</div>", right=word
        )

    def _build_cell(
        self, column: int, row: int, low: float, high: float, *, has_room: bool, is_live: bool
    ) -> str:
        score = self._cells.get((column, row))
        if score is None:
            return "<td class='none'></td>"
        share = (score - low) / (high - low) if high > low else 1.0
        strength = share if self._is_maximised else 1 - share
        text = format_decimal(score, self._digits)
        count = self._counts[column, row]
        words = (
            f"{self.x} {self._xs.labels[column]}, {self.y} {self._ys.labels[row]}: {self.objective} {text}"
            + (f", {self._how} of {count:,} trials" if count > 1 else "")
        )
        side = " right" if column * 2 > len(self._xs.labels) else ""
        content = text if has_room else ""
        place = f"class='cell{side}' style='--v:{strength:.3f}' data-tip='{escape(words, quote=True)}'"
        if not is_live:
            return f"<td><span {place}>{content}</span></td>"
        is_chosen = "true" if self._selected == (column, row) else "false"
        return (
            f"<td><button type='button' id='wb-cell-{column}-{row}' {place} data-action='pick' "
            f"data-key='{column},{row}' aria-pressed='{is_chosen}' aria-label='{escape(words, quote=True)}'>"
            f"{content}</button></td>"
        )

    def _build_legend(self, low: float, high: float) -> str:
        weak, strong = (low, high) if self._is_maximised else (high, low)
        swatches = "".join(f"<i style='--v:{k / (_SWATCHES - 1):.2f}'></i>" for k in range(_SWATCHES))
        return (
            f"<div class='wb-heat-legend'>{format_decimal(weak, self._digits)}<span>{swatches}</span>"
            f"{format_decimal(strong, self._digits)} <em>better</em></div>"
        )


def _scale(values: pd.Series) -> tuple[_Scale, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Return the steps of an axis, and the step of each value; many numbers are put together into ranges."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    distinct = sorted(values.unique()) if is_number else sort_categories(values.unique())
    if not is_number or len(distinct) <= _MOST_VALUES:
        labels = [_write(value) for value in distinct]
        places = {value: k for k, value in enumerate(distinct)}
        steps = np.array([places[value] for value in values], dtype=np.intp)
        return _Scale(labels, [[_plain(value)] for value in distinct]), steps
    numbers = values.astype(float).to_numpy()
    step = find_step(float(np.ptp(numbers)), _RANGES)
    first = np.floor(numbers.min() / step)
    steps = (np.floor(numbers / step) - first).astype(np.intp)
    edges = (first + np.arange(steps.max() + 2)) * step
    labels = [f"{_write(low)}\N{EN DASH}{_write(high)}" for low, high in pairwise(edges)]
    members: list[list[Hashable]] = [
        sorted({_plain(value) for value in values[steps == k]}) for k in range(len(labels))
    ]
    return _Scale(labels, members), steps


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _write(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float | np.floating) else str(value)
