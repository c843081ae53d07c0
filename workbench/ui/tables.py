"""HTML tables of a run: headline, metrics with their definitions, costs, trades, facts. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from workbench.analysis.definitions import HEADLINE, Metric
from workbench.analysis.display import format_metric
from workbench.ui.cards import build_card
from workbench.ui.formats import (
    UNKNOWN,
    shorten,
    tint,
)
from workbench.ui.view import View

__all__ = [
    "CostsTable",
    "Definitions",
    "FactsTable",
    "HeadlineStrip",
    "MetricsTable",
    "NautilusTable",
    "build_label",
    "build_metric_rows",
    "build_value",
]

type Definitions = Mapping[str, Mapping[str, str]]

_SIGNED = frozenset(
    {"total_return", "annualised_return", "max_drawdown", "pnl", "net_pnl", "best_day", "worst_day", "expectancy"}
    | {"best_trade", "worst_trade", "average_win", "average_loss", "max_drawdown_money", "max_drawdown_intraday"}
    | {"gross_pnl", "pnl_before_fees"}
)  # fmt: skip

# Measured when it is shown: it changes with every trial, so no run keeps it with its definitions.
_LATER: Definitions = {
    "deflated_sharpe": {
        "label": "Deflated Sharpe",
        "text": "A probability: that the true Sharpe ratio is above what the best of as many worthless trials would "
        "show. Below 0.95 it may well be luck. All backtests of this strategy on these data count.",
        "source": "Bailey and López de Prado 2014, The Deflated Sharpe Ratio",
    }
}
_MULTIPLES = frozenset({"capacity_multiple", "breakeven_multiple"})
_TIMES = "\N{MULTIPLICATION SIGN}"


def build_label(name: str, definitions: Definitions) -> str:
    """Return a metric's name as HTML, with its definition on hover and on focus."""
    definition = definitions.get(name) or _LATER.get(name, {})
    text = escape(definition.get("label") or name.replace("_", " ").capitalize())
    hint = definition.get("text", "")
    if definition.get("source"):
        hint = f"{hint} Source: {definition['source']}."
    return f"<abbr tabindex='0' title='{escape(hint, quote=True)}'>{text}</abbr>" if hint else text


def build_value(name: str, metric: Metric) -> str:
    """Return a value as HTML: signed and tinted where it is a gain or a loss, with the reason where it is unknown."""
    if metric["value"] is None:
        reason = escape(metric["reason"] or "not known", quote=True)
        return f"<abbr class='mute' title='{reason}'>{UNKNOWN}</abbr>"
    text = escape(format_metric(metric)) + (_TIMES if name in _MULTIPLES else "")
    if name not in _SIGNED:
        return text
    number = Decimal(str(metric["value"]))
    sign = "+" if number > 0 else ""
    return f"<span class='{tint(number)}'>{sign}{text}</span>"


def build_metric_rows(columns: Sequence[Mapping[str, Metric]], definitions: Definitions) -> str:
    """Return a row for each metric of the first column, with its value in each of them."""
    return "".join(
        f"<tr><td>{build_label(name, definitions)}</td>"
        + "".join(f"<td class='n'>{build_value(name, column[name])}</td>" for column in columns)
        + "</tr>"
        for name in (columns[0] if columns else {})
    )


class HeadlineStrip(View):
    """
    The few numbers that a reader looks for first.

    Parameters
    ----------
    headline : Mapping of str to Metric
        ``metrics.json``'s ``headline``.
    definitions : Mapping
        ``metrics.json``'s ``definitions``, shown on hover.
    names : sequence of str, optional
        Which to show.
    warnings : sequence of str, optional
        What a reader must know before the numbers: the manifest's ``warnings``.
    deflated_sharpe : Metric, optional
        The probability that the Sharpe ratio is more than luck; shown behind it.
    trials : int
        After how many trials.

    """

    _SHORT: Mapping[str, str] = {"total_return": "Return", "max_drawdown": "Max drawdown", "sharpe": "Sharpe"}
    _ENOUGH = 0.95  # What the authors of the deflated Sharpe ratio ask for

    def __init__(
        self,
        headline: Mapping[str, Metric],
        definitions: Definitions,
        *,
        names: Sequence[str] = HEADLINE,
        warnings: Sequence[str] = (),
        deflated_sharpe: Metric | None = None,
        trials: int = 0,
    ) -> None:
        self._headline = headline
        self._definitions = definitions
        self._names = names
        self._warnings = warnings
        self._deflated_sharpe = deflated_sharpe
        self._trials = trials

    def __repr__(self) -> str:
        parts = [f"{name} {format_metric(self._get(name))}" for name in self._names]
        return f"HeadlineStrip({', '.join(parts)})"

    def _get(self, name: str) -> Metric:
        unknown = Metric(value=None, unit="ratio", reason="the run has no such number")
        return self._headline.get(name, unknown)

    def build_html(self) -> str:
        """Return one column per number; an unknown one says why in place of a value."""
        notes = "".join(
            f"<div class='wb-note warn' role='note'>\N{WARNING SIGN} {escape(w)}</div>"
            for w in self._warnings
        )
        kpis = "".join(
            self._build_kpi(name) + (self._build_deflated() if name == "sharpe" else "")
            for name in self._names
        )
        return f"<div class='wb-kpis'>{kpis}</div>{notes}"

    def _build_deflated(self) -> str:
        metric = self._deflated_sharpe
        if metric is None:
            return ""
        trials = f"after {self._trials:,} trial{'s' if self._trials != 1 else ''}"
        label = build_label("deflated_sharpe", {})
        if metric["value"] is None:
            why = f"<small>{escape(metric['reason'] or '')}</small>"
            return f"<div class='wb-kpi'><span>{label}</span><b class='mute'>{UNKNOWN}</b>{why}</div>"
        value = float(metric["value"])
        kind = "warn" if value < self._ENOUGH else ""
        text = f"<b class='{kind}'>{value:.2f} <small>{trials}</small></b>"
        return f"<div class='wb-kpi'><span>{label}</span>{text}</div>"

    def _build_kpi(self, name: str) -> str:
        metric = self._get(name)
        definition = dict(self._definitions.get(name, {}))
        definition["label"] = self._SHORT.get(name, definition.get("label", ""))
        label = build_label(name, {name: definition})
        why = f"<small>{escape(metric['reason'] or '')}</small>" if metric["value"] is None else ""
        return f"<div class='wb-kpi'><span>{label}</span><b>{build_value(name, metric)}</b>{why}</div>"


class MetricsTable(View):
    """
    Numbers with their definitions on hover.

    Parameters
    ----------
    metrics : Mapping of str to Metric
        Name -> value, unit and, where there is no value, the reason.
    definitions : Mapping
        Name -> label, text and source.
    title : str
        The title of the card.

    """

    def __init__(
        self, metrics: Mapping[str, Metric], definitions: Definitions, *, title: str = "Metrics"
    ) -> None:
        self._metrics = metrics
        self._definitions = definitions
        self._title = title

    def __repr__(self) -> str:
        return f"MetricsTable({len(self._metrics)} metrics)"

    def build_html(self) -> str:
        """Return the table as a card."""
        if not self._metrics:
            return build_card(self._title, "<div class='wb-empty'>No metrics in this run.</div>")
        rows = "".join(self._build_row(name, metric) for name, metric in self._metrics.items())
        return build_card(self._title, f"<table><tbody>{rows}</tbody></table>", right="definition on hover")

    def _build_row(self, name: str, metric: Metric) -> str:
        label = build_label(name, self._definitions)
        if metric["value"] is None:
            return f"<tr><td>{label}</td><td class='why'>{escape(metric['reason'] or 'not known')}</td></tr>"
        return f"<tr><td>{label}</td><td class='n'>{build_value(name, metric)}</td></tr>"


class CostsTable(View):
    """
    The way from gross to net PnL.

    Parameters
    ----------
    costs : Mapping of str to Metric
        ``metrics.json``'s ``costs``. A cost is positive where it was paid, so it is shown as a deduction.
    definitions : Mapping
        Name -> label, text and source.

    """

    def __init__(self, costs: Mapping[str, Metric], definitions: Definitions) -> None:
        self._costs = costs
        self._definitions = definitions

    def __repr__(self) -> str:
        return "CostsTable()"

    def build_html(self) -> str:
        """Return the table as a card: gross, each deduction, net, and what the costs are per unit traded."""
        if not self._costs:
            return build_card("Costs, gross to net", "<div class='wb-empty'>No costs in this run.</div>")
        rows = [self._build_row("gross_pnl", "total")]
        rows += [self._build_row(name, "") for name in ("spread", "slippage", "fees", "funding")]
        rows.append(self._build_row("net_pnl", "total"))
        rows += [self._build_row(name, "") for name in ("turnover", "cost_rate", "breakeven_cost")]
        rows += [self._build_row(name, "") for name in ("fills_taker", "fills_maker")]
        return build_card("Costs, gross to net", f"<table><tbody>{''.join(rows)}</tbody></table>")

    def _build_row(self, name: str, kind: str) -> str:
        metric = self._costs.get(name)
        if metric is None:
            return ""
        value = build_value(name, metric)
        if name in ("spread", "slippage", "fees", "funding"):
            if metric["value"] is None:
                reason = escape(metric["reason"] or "not known")
                return (
                    f"<tr><td>{build_label(name, self._definitions)}</td><td class='why'>{reason}</td></tr>"
                )
            paid = -Decimal(str(metric["value"]))
            text = format_metric(Metric(value=str(paid), unit=metric["unit"], reason=None))
            value = f"<span class='{tint(paid)}'>{'+' if paid > 0 else ''}{escape(text)}</span>"
        return f"<tr class='{kind}'><td>{build_label(name, self._definitions)}</td><td class='n'>{value}</td></tr>"


class FactsTable(View):
    """
    Plain facts of a run: name and text.

    Parameters
    ----------
    facts : Mapping of str to str
        Name -> text.
    title : str
        The title of the card.

    """

    def __init__(self, facts: Mapping[str, str], *, title: str) -> None:
        self._facts = facts
        self._title = title

    def __repr__(self) -> str:
        return f"FactsTable({self._title})"

    def build_html(self) -> str:
        """Return the facts as a card."""
        if not self._facts:
            return build_card(self._title, "<div class='wb-empty'>Nothing recorded.</div>")
        rows = "".join(f"<dt>{escape(key)}</dt><dd>{_fact(text)}</dd>" for key, text in self._facts.items())
        return build_card(self._title, f"<dl class='wb-facts'>{rows}</dl>")


def _fact(text: str) -> str:
    is_hash = len(text) >= 32 and text.isalnum()
    return shorten(text, most=17) if is_hash else escape(text)


class NautilusTable(View):
    """
    Nautilus's own statistics, unchanged, under their own heading.

    Parameters
    ----------
    statistics : Mapping
        ``metrics.json``'s ``nautilus``: ``pnls`` (currency -> name -> value), ``returns`` and ``general``.

    """

    def __init__(self, statistics: Mapping[str, Any]) -> None:
        self._statistics = statistics

    def __repr__(self) -> str:
        return "NautilusTable()"

    def build_html(self) -> str:
        """Return the table as a card."""
        groups: list[tuple[str, Mapping[str, Any]]] = [
            (f"PnL, {currency}", values) for currency, values in (self._statistics.get("pnls") or {}).items()
        ]
        groups += [(name.capitalize(), self._statistics.get(name) or {}) for name in ("returns", "general")]
        rows = "".join(_build_group(name, values) for name, values in groups if values)
        title = "As nautilus reports it"
        if not rows:
            return build_card(title, "<div class='wb-empty'>No statistics in this run.</div>")
        return build_card(title, f"<table><tbody>{rows}</tbody></table>", right="unchanged")


def _build_group(name: str, values: Mapping[str, Any]) -> str:
    head = f"<tr class='group'><td colspan='2'>{escape(name)}</td></tr>"
    return head + "".join(
        f"<tr><td>{escape(str(label))}</td><td class='n'>{escape(UNKNOWN if value is None else str(value))}</td></tr>"
        for label, value in values.items()
    )
