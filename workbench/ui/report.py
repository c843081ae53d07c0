"""The report of one run: all its sections on one page."""

from __future__ import annotations

from workbench.ui.cards import build_card
from workbench.ui.run_sections import Row, RunSections, Stack
from workbench.ui.run_view import RunView
from workbench.ui.view import View

__all__ = ["Report", "RunView"]


class Report(RunSections, View):
    """
    Everything a reader asks of a finished run. Each section is a property of its own, for a notebook cell each.

    Parameters
    ----------
    run : RunView
        The run.

    Raises
    ------
    InputError
        If the manifest names no currency, or a frame is not what a run writes.

    """

    def __repr__(self) -> str:
        return f"Report({self._run.run_id})"

    def build_html(self) -> str:
        """Return the report as one page of cards."""
        run = self._run
        parts = [self.build_state(), build_card(run.name, self.headline.build_html(), right=run.run_id)]
        parts.append(self.equity.build_html())
        parts += [chart.build_html() for chart in self.prices]
        left_out = len(run.prices or {}) - len(self.charted)
        if left_out > 0:
            parts.append(
                f"<div class='wb-note'>{left_out:,} more instruments have prices; not drawn here.</div>"
            )
        views: list[View] = [
            self.monthly_returns,
            self.metrics,
            self.shape,
            self.risk,
            Row(self.costs, self.nautilus),
        ]
        views += [self.stress, self.breakdown, self.trades, self.facts]
        return f"<div class='wb-stack'>{''.join(parts)}{Stack(*views).build_html()}</div>"
