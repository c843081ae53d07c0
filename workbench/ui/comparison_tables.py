"""Runs side by side as tables: their numbers with the best one marked, and where their configurations differ."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from workbench.analysis.compare import build_config_diff
from workbench.analysis.definitions import Metric
from workbench.ui.cards import build_card
from workbench.ui.tables import Definitions, build_label, build_value
from workbench.ui.view import View

__all__ = ["SERIES_TOKENS", "ConfigDiffTable", "MetricComparison", "build_swatch"]

# The colours of the curves of a chart, in their order.
SERIES_TOKENS = ("accent", "other1", "other3", "other4", "other5", "other2")
_HIGHER = (
    *("total_return", "annualised_return", "pnl", "sharpe", "sortino", "calmar", "max_drawdown"),
    *("max_drawdown_intraday", "win_rate", "profit_factor", "expectancy", "worst_day", "worst_trade"),
)
_LOWER = ("annualised_volatility", "longest_drawdown")
_NEUTRAL = ("days", "trades", "exposure", "turnover_ratio", "average_holding_time")
_SHOWN = (
    *(
        "total_return",
        "annualised_return",
        "pnl",
        "max_drawdown",
        "longest_drawdown",
        "annualised_volatility",
    ),
    *("sharpe", "deflated_sharpe", "sortino", "calmar", "trades", "win_rate", "profit_factor", "expectancy"),
    *("worst_trade", "average_holding_time", "exposure", "turnover_ratio", "days"),
)


def build_swatch(number: int) -> str:
    """Return the colour of a run's curve as HTML."""
    return (
        f"<i class='wb-swatch' aria-hidden='true' style='background:var(--wb-{SERIES_TOKENS[number]})'></i>"
    )


class MetricComparison(View):
    """
    A row for each number, a column for each run; the best is bold and has a star.

    Parameters
    ----------
    runs : Mapping of str to Mapping of str to Metric
        Label -> the headline of the run. Money is compared only where it is in one currency.
    definitions : Mapping
        Name -> label, text and source.

    """

    def __init__(self, runs: Mapping[str, Mapping[str, Metric]], definitions: Definitions) -> None:
        self._runs = runs
        self._definitions = definitions

    def __repr__(self) -> str:
        return f"MetricComparison({', '.join(self._runs)})"

    def build_html(self) -> str:
        """Return the table as a card."""
        heads = "".join(
            f"<th class='n'>{build_swatch(k)}{escape(label)}<span class='wb-star'></span></th>"
            for k, label in enumerate(self._runs)
        )
        rows = "".join(
            self._build_row(name) for name in _SHOWN if any(name in run for run in self._runs.values())
        )
        if not rows:
            return build_card("Numbers", "<div class='wb-empty'>None of these runs kept its numbers.</div>")
        table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        star = "<span aria-hidden='true'>\N{BLACK STAR}</span>"
        note = f"<div class='wb-note'>{star} the best of the row, where there is a better and a worse.</div>"
        return build_card(
            "Numbers", f"<div class='wb-scroll'>{table}</div>{note}", right="definition on hover"
        )

    def _build_row(self, name: str) -> str:
        unknown = Metric(value=None, unit="ratio", reason="the run has no such number")
        metrics = [run.get(name, unknown) for run in self._runs.values()]
        best = _find_best(name, metrics)
        cells = "".join(
            f"<td class='n'>{_mark(build_value(name, metric), is_best=k in best)}</td>"
            for k, metric in enumerate(metrics)
        )
        return f"<tr><td>{build_label(name, self._definitions)}</td>{cells}</tr>"


def _mark(text: str, *, is_best: bool) -> str:
    if not is_best:
        return f"{text}<span class='wb-star'></span>"
    return f"<strong>{text}</strong><span class='wb-star' role='img' aria-label='best'>\N{BLACK STAR}</span>"


def _find_best(name: str, metrics: list[Metric]) -> set[int]:
    """Return the positions of the best; none where nothing is better, or units differ."""
    if name not in (*_HIGHER, *_LOWER, "deflated_sharpe"):
        return set()
    known = {k: float(metric["value"]) for k, metric in enumerate(metrics) if metric["value"] is not None}
    units = {metrics[k]["unit"] for k in known}
    if len(known) < 2 or len(units) > 1 or len(set(known.values())) == 1:
        return set()
    best = min(known.values()) if name in _LOWER else max(known.values())
    return {k for k, value in known.items() if value == best}


class ConfigDiffTable(View):
    """
    Where the configurations of runs differ.

    Parameters
    ----------
    configs : Mapping of str to Mapping
        Label -> ``config.json``.

    """

    def __init__(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        self._configs = configs
        self._diff = build_config_diff(configs)

    def __repr__(self) -> str:
        return f"ConfigDiffTable({len(self._diff)} differences)"

    def build_html(self) -> str:
        """Return the table as a card."""
        title = "Configuration, where it differs"
        if self._diff.empty:
            return build_card(title, "<div class='wb-empty'>The configurations are the same.</div>")
        heads = "".join(
            f"<th class='n'>{build_swatch(k)}{escape(label)}</th>" for k, label in enumerate(self._configs)
        )
        rows = "".join(
            f"<tr><td>{_name_key(str(key))}</td>{''.join(f'<td class=n>{_write(value)}</td>' for value in values)}</tr>"
            for key, values in zip(
                self._diff.index, self._diff.itertuples(index=False, name=None), strict=True
            )
        )
        table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        return build_card(
            title,
            f"<div class='wb-scroll'>{table}</div>",
            right=f"{len(self._diff):,} place{'s' if len(self._diff) > 1 else ''}",
        )


def _name_key(key: str) -> str:
    short = key.rpartition(".config.")[2] if ".config." in key else key
    return f"<span class='id' title='{escape(key, quote=True)}'>{escape(short)}</span>"


def _write(value: object) -> str:
    if value is pd.NA:
        return "<span class='mute'>not there</span>"
    return escape("null" if value is None else str(value))
