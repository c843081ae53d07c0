"""Tables and progress for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

__all__ = ["echo_json", "echo_metrics", "echo_table", "headline_cells", "live_progress"]


def echo_json(value: Any) -> None:
    """Write `value` to the standard output as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def echo_table(
    columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, err: bool = False
) -> None:
    """Write a table, to the standard error with `err`; `columns` are (title, "left" or "right")."""
    has_header = any(title for title, _ in columns)
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False, show_header=has_header)
    for title, side in columns:
        table.add_column(
            title, justify="right" if side == "right" else "left", no_wrap=side == "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    _console(is_error=err).print(table)


def echo_metrics(metrics: Mapping[str, Any]) -> None:
    """Write the headline and the costs of a run as one table."""
    from workbench.analysis.display import format_metric  # It imports pandas: not for every command

    definitions = metrics.get("definitions", {})
    rows, reasons = [], dict[str, list[str]]()
    for part, title in (("headline", "Result"), ("costs", "Gross to net")):
        for number, (name, metric) in enumerate(metrics.get(part, {}).items()):
            label = definitions.get(name, {}).get("label", name)
            rows.append((title if number == 0 else "", label, format_metric(metric)))
            if metric["value"] is None:
                reasons.setdefault(metric["reason"], []).append(label)
    echo_table([("", "left"), ("metric", "left"), ("value", "right")], rows)
    for reason, labels in reasons.items():
        click.echo(f"\n{', '.join(labels)}: {reason}.")
    click.echo("")


def headline_cells(headline: Mapping[str, Any]) -> list[str]:
    """Return the headline numbers as text, in the order of `HEADLINE`; a dash where there is none."""
    from workbench.analysis.definitions import HEADLINE
    from workbench.analysis.display import format_metric

    return [format_metric(headline[name]) if name in headline else "-" for name in HEADLINE]


@contextmanager
def live_progress(*, is_quiet: bool) -> Iterator[Progress | None]:
    """Show progress bars on a terminal; nowhere else."""
    if is_quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress


def _console(*, is_error: bool = False) -> Console:
    file = sys.stderr if is_error else sys.stdout
    # A pipe has no width: fold nothing there.
    return Console(file=file, width=None if file.isatty() else 160, highlight=False, markup=False)
