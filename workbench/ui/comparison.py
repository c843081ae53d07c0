"""Several runs side by side: their equity over each other, their numbers, and where their configurations differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from workbench.analysis.definitions import Metric
from workbench.client.client import Client
from workbench.client.job import Job
from workbench.errors import InputError, WorkbenchError
from workbench.ui.comparison_tables import ConfigDiffTable, MetricComparison, build_swatch
from workbench.ui.component import Component
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.figures import RunFigures
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.results_head import build_error, build_loading
from workbench.ui.run_view import RunView, load_run_view
from workbench.ui.series import read_floats

if TYPE_CHECKING:
    from ipywidgets import DOMWidget, VBox

    from workbench.ui.live_html import Action, LiveHtml

__all__ = ["RunComparison"]

_LEAST, _MOST = 2, 6
_BASE = 100.0
_SCALES: Mapping[str, str] = {"rebased": "Rebased to 100", "money": "In money"}


class RunComparison(Component):
    """
    Two to six runs: equity laid over each other, numbers with the best one marked, and where configurations differ.

    Parameters
    ----------
    runs : sequence of Job, RunView or str, or Mapping of str to RunView
        Jobs of a server, ids of jobs (with `client`), or runs that are in this process; a mapping gives them labels.
    client : Client, optional
        The server, where ids are given.

    Raises
    ------
    InputError
        If there are fewer than two or more than six runs, or ids without a client.

    """

    def __init__(
        self,
        runs: Sequence[Job | RunView | str] | Mapping[str, RunView],
        *,
        client: Client | None = None,
    ) -> None:
        given: list[Job | RunView | str] = list(runs.values()) if isinstance(runs, Mapping) else list(runs)
        if not _LEAST <= len(given) <= _MOST:
            raise InputError(f"{len(given)} runs to compare", expected=f"{_LEAST} to {_MOST}", field="runs")
        if client is None and any(isinstance(run, str) for run in given):
            raise InputError("runs are named by id", expected="a client as well", field="client")
        self._loop = KernelLoop()
        self._given = given
        self._labels = list(runs) if isinstance(runs, Mapping) else None
        self._client = client
        self._runs: dict[str, RunView] | None = None
        self._scale = "rebased"
        self._error: Exception | None = None
        self._box: VBox | None = None
        self._head: LiveHtml | None = None
        self._chart: EquityCurveChart | None = None

    def __repr__(self) -> str:
        return f"RunComparison({len(self._given)} runs)"

    @property
    def runs(self) -> list[str]:
        """The labels of the runs that are compared."""
        return list(self._runs or {})

    def build_html(self) -> str:
        """Return the comparison as cards; loads the runs if need be."""
        try:
            if self._runs is None:
                self._runs = self._fetch()
            parts = [self._build_chart().build_html(), self._build_tables()]
        except WorkbenchError as error:
            return build_error("The runs cannot be compared", error)
        return f"<div class='wb-stack'>{''.join(parts)}</div>"

    def build_widget(self) -> DOMWidget:
        """Return the live page."""
        from ipywidgets import VBox

        from workbench.ui.live_html import LiveHtml

        self._head = LiveHtml(build_loading("Loading the runs\N{HORIZONTAL ELLIPSIS}"), on_action=self.act)
        self._box = VBox([self._head])
        self._box.add_class("wb-page")
        self._load()
        return self._box

    def act(self, action: Action) -> None:
        """Do what the reader asks for."""
        match action.name:
            case "reload":
                self._load()
            case "scale" if action.key in _SCALES:
                self._scale = action.key
                self._show()
            case "remove" if self._runs is not None and action.key in self._runs and len(self._runs) > _LEAST:
                del self._runs[action.key]
                self._show()

    def _fetch(self) -> dict[str, RunView]:
        found = []
        for run in self._given:
            job = self._client.job(run) if isinstance(run, str) and self._client is not None else run
            found.append(job if isinstance(job, RunView) else load_run_view(job))  # type: ignore[arg-type]
        if self._labels is not None:
            return dict(zip(self._labels, found, strict=True))
        names = [run.name for run in found]
        return {
            name if names.count(name) == 1 else f"{name} {run.run_id[-6:]}": run
            for name, run in zip(names, found, strict=True)
        }

    def _load(self) -> None:
        def take(runs: dict[str, RunView]) -> None:
            self._runs, self._error = runs, None
            self._show()

        def fail(error: Exception) -> None:
            self._error = error
            self._show()

        self._loop.work(self._fetch, take, fail)

    def _show(self) -> None:
        from workbench.ui.live_html import LiveHtml

        if self._box is None or self._head is None:
            return
        if self._error is not None or self._runs is None:
            self._head.html = build_error(
                "The runs cannot be compared", self._error or InputError("nothing is loaded")
            )
            self._box.children = (self._head,)
            return
        self._head.html = self._build_head()
        if self._chart is not None:
            self._chart.close()
        self._chart = self._build_chart()
        tables = LiveHtml(self._build_tables(), on_action=self.act)
        self._box.children = (self._head, self._chart.widget, tables)

    @property
    def _currencies(self) -> set[str]:
        return {str(run.manifest.get("currency") or "") for run in (self._runs or {}).values()}

    def _build_head(self) -> str:
        runs = self._runs or {}
        is_least = len(runs) <= _LEAST
        chips = "".join(
            f"<span class='wb-chip'>{build_swatch(k)}{escape(label)} "
            f"<span class='id mute'>{escape(run.run_id[-6:])}</span>"
            f"<button class='wb-link' type='button' id='wb-remove-{k}' data-action='remove' "
            f"data-key='{escape(label, quote=True)}' aria-label='Remove {escape(label, quote=True)}'"
            f"{' disabled' if is_least else ''}>\N{MULTIPLICATION SIGN}</button></span>"
            for k, (label, run) in enumerate(runs.items())
        )
        can_money = len(self._currencies) == 1
        why = "" if can_money else " title='the runs are in several currencies'"
        scales = "".join(
            f"<button class='wb-tab' type='button' id='wb-scale-{name}' data-action='scale' data-key='{name}' "
            f"aria-pressed='{'true' if name == self._shown_scale else 'false'}' "
            f"aria-selected='{'true' if name == self._shown_scale else 'false'}'"
            f"{'' if can_money or name == 'rebased' else ' disabled'}{why}>{label}</button>"
            for name, label in _SCALES.items()
        )
        title = f"Comparison of {len(runs)} runs"
        return (
            "<div class='wb-card wb-results'><div class='wb-head' role='heading' aria-level='3'>"
            f"<span class='wb-name'>{title}</span></div><div class='wb-chips'>{chips}</div>"
            f"<div class='wb-tabs'>{scales}</div></div>"
        )

    @property
    def _shown_scale(self) -> str:
        return self._scale if len(self._currencies) == 1 else "rebased"

    def _build_chart(self) -> EquityCurveChart:
        frames = {label: run.equity for label, run in (self._runs or {}).items()}
        if self._shown_scale == "money":
            return EquityCurveChart(frames, self._currencies.pop())
        return EquityCurveChart({label: _rebase(frame) for label, frame in frames.items()}, f"of {_BASE:g}")

    def _build_tables(self) -> str:
        runs = self._runs or {}
        figures = {
            label: RunFigures(run) if run.manifest.get("currency") else None for label, run in runs.items()
        }
        metrics = {label: {} if known is None else _read_metrics(known) for label, known in figures.items()}
        definitions = next((known.definitions for known in figures.values() if known is not None), {})
        tables = [
            MetricComparison(metrics, definitions),
            ConfigDiffTable({label: run.config for label, run in runs.items()}),
        ]
        unfinished = [
            f"{label}: {run.manifest['state']}"
            for label, run in runs.items()
            if run.manifest.get("state") not in (None, "COMPLETED")
        ]
        note = (
            f"<div class='wb-card'><span class='warn'>Not completed, so these numbers are of a part only: "
            f"{escape(', '.join(unfinished))}</span></div>"
            if unfinished
            else ""
        )
        return f"<div class='wb-stack'>{note}{''.join(table.build_html() for table in tables)}</div>"


def _read_metrics(figures: RunFigures) -> dict[str, Metric]:
    more = {} if figures.run.trials is None else {"deflated_sharpe": figures.deflated_sharpe}
    return {**figures.headline, **more}


def _rebase(frame: pd.DataFrame) -> pd.DataFrame:
    """Return equity with its first known value as 100; unknown everywhere if that is not positive."""
    values = read_floats(frame["equity"]) if len(frame) else pd.Series(dtype="float64").to_numpy()
    known = values[~pd.isna(values)]
    first = float(known[0]) if len(known) and known[0] > 0 else float("nan")
    return pd.DataFrame({"ts": frame["ts"], "equity": values / first * _BASE})
