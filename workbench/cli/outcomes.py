"""How a backtest ended, for people and for machines; and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from workbench.cli.tables import echo_metrics, echo_table
from workbench.records import Progress, RunRecord

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Bar", "echo_outcome", "format_headline", "summarise_outcome"]


class Bar:
    """
    The progress bar of one run.

    Parameters
    ----------
    bars : rich.progress.Progress, optional
        Where it is drawn; nowhere without.
    title : str
        What runs.

    """

    def __init__(self, bars: rich.progress.Progress | None, title: str) -> None:
        self._bars = bars
        self._task = None if bars is None else bars.add_task(title, total=1.0, note="")

    def draw(self, progress: Progress) -> None:
        """Show how far the run has come."""
        parts = []
        if progress.events:
            parts.append(f"{progress.events:,} events, {progress.events_per_sec:,.0f}/s")
        if progress.eta_secs is not None:
            parts.append(f"{progress.eta_secs:.0f} s left")
        if progress.equity is not None:
            parts.append(f"equity {float(progress.equity):,.2f} {progress.currency}")
        if self._bars is not None and self._task is not None:
            self._bars.update(
                self._task, completed=progress.fraction, note=", ".join(parts) or progress.stage
            )


def echo_outcome(record: RunRecord, metrics: Mapping[str, Any], place: str) -> None:
    """Write how a run ended, its numbers, and the `place` of its files."""
    if metrics:
        echo_metrics(metrics)
    facts = [
        ("state", str(record.state)),
        ("events", f"{record.events:,} in {record.elapsed_secs:.2f} s"),
        ("identity", record.identity.run[:16] if record.identity is not None else "-"),
        ("run", place),
    ]
    echo_table([("", "left"), ("", "left")], facts)
    for warning in record.warnings:
        click.echo(f"warning   {warning}")


def summarise_outcome(record: RunRecord, metrics: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return how a run ended as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    plain.pop("files")
    return {**plain, "path": place, "headline": metrics.get("headline", {})}


def format_headline(headline: Mapping[str, float]) -> list[str]:
    """Return the headline numbers of a job as text, in the order of `HEADLINE`; a dash where there is none."""
    from workbench.analysis.definitions import DEFINITIONS, HEADLINE
    from workbench.analysis.display import format_metric  # It imports pandas: not for every command

    cells = []
    for name in HEADLINE:
        value = headline.get(name)
        unit = DEFINITIONS[name].unit
        if value is not None and unit == "count":
            value = int(value)
        cells.append("-" if value is None else format_metric({"value": value, "unit": unit, "reason": None}))
    return cells
