"""What a run would have made if trading had cost more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.analysis.definitions import Metric
from workbench.ui.cards import build_card
from workbench.ui.tables import Definitions, build_label, build_metric_rows, build_value
from workbench.ui.view import View

__all__ = ["StressTable"]


class StressTable(View):
    """
    Results under multiples of the costs, and the multiple at which nothing is left.

    Parameters
    ----------
    results : Mapping of float to Mapping of str to Metric
        Multiple -> metrics, as `measure_cost_stress` names them.
    breakeven : Metric
        The break-even multiple.
    components : sequence of str
        The costs that are multiplied: those known at every fill.
    definitions : Mapping
        Name -> label, text and source.

    """

    def __init__(
        self,
        results: Mapping[float, Mapping[str, Metric]],
        breakeven: Metric,
        components: Sequence[str],
        definitions: Definitions,
    ) -> None:
        self._results = results
        self._breakeven = breakeven
        self._components = components
        self._definitions = definitions

    def __repr__(self) -> str:
        return f"StressTable({', '.join(f'{multiple:g}x' for multiple in self._results)})"

    def build_html(self) -> str:
        """Return the table as a card, a column for each multiple."""
        title = "If costs had been higher"
        if not self._components:
            text = "No cost is known at every fill, so there is nothing to multiply."
            return build_card(title, f"<div class='wb-empty'>{text}</div>")
        head = "".join(
            f"<th class='n'>{multiple:g}\N{MULTIPLICATION SIGN} costs</th>" for multiple in self._results
        )
        rows = build_metric_rows(list(self._results.values()), self._definitions)
        span = len(self._results)
        label = build_label("breakeven_multiple", self._definitions)
        value = self._breakeven["reason"] or build_value("breakeven_multiple", self._breakeven)
        kind = "why" if self._breakeven["reason"] else "n"
        total = "" if self._breakeven["reason"] else "total"
        rows += f"<tr class='{total}'><td>{label}</td><td class='{kind}' colspan='{span}'>{value}</td></tr>"
        left_out = [name for name in ("fee", "spread", "slippage") if name not in self._components]
        more = (
            f"; the {' and the '.join(left_out)} {'are' if len(left_out) > 1 else 'is'} not known at every fill"
            if left_out
            else ""
        )
        note = f"Multiplied: {', '.join(self._components)}{more}. The same fills are assumed."
        table = (
            f"<table class='wb-dense'><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
        return build_card(title, f"<div class='wb-scroll'>{table}</div><div class='wb-note'>{note}</div>")
