"""``workbench batch``: a notebook over a grid of parameters, with papermill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from workbench.analysis.definitions import HEADLINE
from workbench.backtest.batch import BatchItem, BatchResult, build_items, load_sweep, run_batch
from workbench.cli.tables import echo_json, echo_table, headline_cells, live_progress
from workbench.records import Progress
from workbench.states import JobState

if TYPE_CHECKING:
    import rich.progress

__all__ = ["batch"]


@click.command()
@click.argument("sweep", type=click.Path(path_type=Path))
@click.option(
    "--parallel", type=click.IntRange(min=1), help="Notebooks at a time (default: what SWEEP says)."
)
@click.option("--html/--no-html", default=True, show_default=True, help="Write every notebook as HTML too.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
def batch(sweep: Path, parallel: int | None, html: bool, as_json: bool) -> None:
    """
    Execute a notebook at every point of the grid in the YAML file SWEEP.

    Several run at a time. A failing notebook never stops the others and is kept with its error.
    """
    spec = load_sweep(sweep)
    if parallel is not None:
        spec = msgspec.structs.replace(spec, parallel=parallel)
    items = build_items(spec)
    with live_progress(is_quiet=as_json) as bars:
        view = _View(bars, len(items), is_quiet=as_json)
        output, results = run_batch(
            spec, base=sweep.parent, name=sweep.stem, on_progress=view.note, on_result=view.finish
        )
    pages = _export(results) if html else []
    if as_json:
        echo_json({"output": str(output), "results": results, "pages": pages})
    else:
        _echo_summary(results)
        click.echo(f"\nnotebooks, runs and summary.json: {output}")
    if any(r.state != JobState.COMPLETED for r in results):
        raise click.exceptions.Exit(1)


class _View:
    """The bar of the whole batch, and a line for every notebook that ends."""

    def __init__(self, bars: rich.progress.Progress | None, count: int, *, is_quiet: bool) -> None:
        self._bars = bars
        self._is_quiet = is_quiet
        self._task = None if bars is None else bars.add_task("batch", total=float(count), note="")
        self._fractions: dict[str, float] = {}

    def note(self, item: BatchItem, progress: Progress) -> None:
        self._fractions[item.name] = progress.fraction
        self._draw()

    def finish(self, result: BatchResult) -> None:
        self._fractions[result.name] = 1.0
        self._draw()
        if not self._is_quiet:
            point = ", ".join(f"{k.rpartition('.')[2]}={v}" for k, v in result.point.items())
            click.echo(
                f"{result.name}  {result.state}  {point}" + (f"  {result.error}" if result.error else ""),
                err=True,
            )

    def _draw(self) -> None:
        if self._bars is not None and self._task is not None:
            done = sum(f == 1.0 for f in self._fractions.values())
            self._bars.update(self._task, completed=sum(self._fractions.values()), note=f"{done} done")


def _echo_summary(results: list[BatchResult]) -> None:
    names = list(results[0].point) if results else []
    columns = [("notebook", "left"), *((n.rpartition(".")[2], "right") for n in names), ("state", "left")]
    rows = [
        [r.name, *(str(r.point[n]) for n in names), str(r.state), *headline_cells(r.headline)]
        for r in results
    ]
    echo_table([*columns, *((n.replace("_", " "), "right") for n in HEADLINE)], rows)


def _export(results: list[BatchResult]) -> list[str]:
    from workbench.ui.notebook_html import export_notebook_html

    pages = []
    for result in results:
        notebook = Path(result.notebook)
        if notebook.is_file():
            pages.append(str(export_notebook_html(notebook, notebook.with_suffix(".html"), has_code=False)))
    return pages
