"""A search over parameters: live while it runs, and as a report when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from workbench.client.client import Client
from workbench.client.job import Job
from workbench.errors import InputError, WorkbenchError
from workbench.ui.component import Component
from workbench.ui.heat_map import HeatMap
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.paging import TableState
from workbench.ui.parallel_coordinates import ParallelCoordinates
from workbench.ui.results_head import build_error, build_loading
from workbench.ui.sweep_data import SweepData, load_sweep
from workbench.ui.sweep_study import build_study
from workbench.ui.sweep_tables import build_folds, build_sweep_head, build_trials

if TYPE_CHECKING:
    from ipywidgets import DOMWidget, VBox

    from workbench.ui.live_html import Action, LiveHtml
    from workbench.ui.results import BacktestResults

__all__ = ["SweepView"]

_LEAST_SECS = 2.0  # between two questions to the server
_MOST_AXES = 10


class SweepView(Component):
    """
    A sweep: progress, history, what mattered, two parameters as a heat map, all as parallel coordinates, the trials.

    Beside the best Sharpe ratio stand how many trials there have been of the strategy on these data, the deflated
    Sharpe ratio and the probability of backtest overfitting; of a walk-forward the results out of sample. A click on a
    trial opens its results.

    Parameters
    ----------
    client : Client
        The server.
    job : Job or str
        The sweep.
    on_open : Callable[[str], object], optional
        Takes the id of the trial that was clicked; default: its results are shown below.

    """

    def __init__(
        self, client: Client, job: Job | str, *, on_open: Callable[[str], object] | None = None
    ) -> None:
        self._loop = KernelLoop()
        self._client = client
        self.job_id = job.id if isinstance(job, Job) else job
        self._on_open = on_open
        self._data: SweepData | None = None
        self._error: Exception | None = None
        self._notice = ""
        self._axes: tuple[str, str] | None = None
        self._state = TableState()
        self._opened = ""
        self._results: BacktestResults | None = None
        self._heat: HeatMap | None = None
        self._parallel: ParallelCoordinates | None = None
        self._box: VBox | None = None
        self._pages: dict[str, LiveHtml] = {}
        self._unsubscribe: Callable[[], None] = lambda: None
        self._is_loading = self._is_due = self._is_timed = False
        self._loaded_at, self._version = 0.0, -1

    def __repr__(self) -> str:
        return f"SweepView({self.job_id})"

    def build_html(self) -> str:
        """Return what is known of the sweep as cards; asks the server."""
        try:
            data = load_sweep(self._client, self.job_id)
        except WorkbenchError as error:
            return build_error("The sweep cannot be shown", error)
        parts = [build_sweep_head(data, is_live=False)]
        if data.is_walk_forward:
            parts.append(build_folds(data))
        parts.append(build_study(data, is_live=False))
        if len(data.parameters) > 1:
            x, y = self._find_axes(data)
            parts.append(self._build_heat(data, x, y).build_html())
        if data.parameters:
            parts.append(self._build_parallel(data).build_html())
        parts.append(build_trials(data, None))
        return f"<div class='wb-stack'>{''.join(parts)}</div>"

    def build_widget(self) -> DOMWidget:
        """Return the live page."""
        from ipywidgets import VBox

        from workbench.ui.job_feed import JobFeed
        from workbench.ui.live_html import LiveHtml

        self._pages = {
            name: LiveHtml("", on_action=self.act) for name in ("head", "folds", "study", "axes", "trials")
        }
        self._heat = self._parallel = self._results = None  # Those of an earlier page are gone with it
        self._pages["head"].html = build_loading(f"Loading the sweep {self.job_id}\N{HORIZONTAL ELLIPSIS}")
        self._box = VBox([self._pages["head"]])
        self._box.add_class("wb-page")
        self._feed = JobFeed.of(self._client)
        self._unsubscribe = self._feed.subscribe(lambda: self._loop.call(self._hear))
        self._load()
        return self._box

    def close(self) -> None:
        """Stop following the sweep; what is shown stays."""
        self._unsubscribe()
        if self._results is not None:
            self._results.close()

    def act(self, action: Action) -> None:
        """Do what the reader asks for."""
        table, _, rest = action.key.partition(":")
        match action.name:
            case "reload":
                self._load()
            case "pause" | "resume" | "cancel":
                self._steer(action.name)
            case "sort" if table == "trials":
                self._state = self._state.sorted_by(rest)
                self._show_trials()
            case "page" if table == "trials" and rest.isdecimal():
                self._state = self._state.turned_to(int(rest))
                self._show_trials()
            case "axis" if self._data is not None and str(action.value) in self._data.parameters:
                self._choose_axis(self._data, action.key, str(action.value))
            case "open" if self._data is not None and action.key in set(self._data.trials["job_id"]):
                self._open(action.key)

    # ---- loading

    def _hear(self) -> None:
        """Take news: of this sweep or a trial of it, not more often than the server should be asked."""
        if self._data is not None and self._data.record.state.is_finished:
            return
        version = self._feed.version
        if version != self._version:
            self._version = version
            self._is_due = True
        self._load_if_due()

    def _load_if_due(self) -> None:
        """Ask the server for what is new; after a while, if it was asked just now."""
        if not self._is_due or self._is_loading or self._is_timed:
            return
        rest = self._loaded_at + _LEAST_SECS - time.monotonic()
        if rest <= 0:
            self._load()
            return

        def load() -> None:
            self._is_timed = False
            self._load()

        self._is_timed = True
        self._loop.later(rest, load)

    def _load(self) -> None:
        if self._is_loading:
            self._is_due = True
            return
        self._is_loading, self._is_due = True, False
        self._loop.work(lambda: load_sweep(self._client, self.job_id), self._take, self._fail)

    def _take(self, data: SweepData) -> None:
        self._is_loading = False
        self._loaded_at = time.monotonic()
        is_first = self._data is None
        self._data, self._error = data, None
        if is_first:
            self._state = TableState(sort="objective", is_descending=data.is_maximised)
        self._show()
        self._load_if_due()

    def _fail(self, error: Exception) -> None:
        self._is_loading = False
        self._loaded_at = time.monotonic()
        self._error = error
        self._show()

    def _steer(self, verb: str) -> None:
        def steer() -> None:
            getattr(self._client.job(self.job_id), verb)()

        def fail(error: Exception) -> None:
            self._notice = str(error)
            self._show()

        self._notice = f"{verb.capitalize()}\N{HORIZONTAL ELLIPSIS}"
        self._show()

        def done(_: None) -> None:
            self._notice = ""
            self._load()

        self._loop.work(steer, done, fail)

    # ---- what is shown

    def _show(self) -> None:
        if self._box is None:
            return
        data = self._data
        if self._error is not None or data is None:
            error = self._error or InputError("nothing is loaded")
            self._pages["head"].html = build_error("The sweep cannot be loaded", error)
            if data is None:
                self._box.children = (self._pages["head"],)
            return
        self._pages["head"].html = build_sweep_head(data, notice=self._notice, is_live=True)
        children: list[DOMWidget] = [self._pages["head"]]
        if data.is_walk_forward:
            self._pages["folds"].html = build_folds(data)
            children.append(self._pages["folds"])
        elif data.parameters:
            children.append(self._pages["study"])
        if len(data.parameters) > 1:
            children += self._show_heat(data)
        if data.parameters:
            if self._parallel is None:
                self._parallel = self._build_parallel(data)
            else:
                self._parallel.show(data.scores)
            children.append(self._parallel.widget)
        self._show_trials()
        children.append(self._pages["trials"])
        if self._results is not None:
            children.append(self._results.widget)
        if tuple(children) != tuple(self._box.children):
            self._box.children = tuple(children)

    def _show_heat(self, data: SweepData) -> list[DOMWidget]:
        x, y = self._find_axes(data)
        if self._heat is None or (self._heat.x, self._heat.y) != (x, y):
            self._heat = self._build_heat(data, x, y)
        else:
            self._heat.show(data.scores)
        if len(data.parameters) == 2:
            return [self._heat.widget]
        self._pages["axes"].html = _build_axes(list(data.parameters), x, y)
        return [self._pages["axes"], self._heat.widget]

    def _show_trials(self) -> None:
        if self._data is not None and self._pages:
            self._pages["trials"].html = build_trials(self._data, self._state, opened=self._opened)
            self._pages["study"].html = build_study(self._data, opened=self._opened, is_live=True)

    def _find_axes(self, data: SweepData) -> tuple[str, str]:
        names = list(data.parameters)
        return self._axes or (names[0], names[1])

    def _choose_axis(self, data: SweepData, axis: str, name: str) -> None:
        x, y = self._find_axes(data)
        if axis == "x":
            self._axes = (name, x if name == y else y)
        else:
            self._axes = (y if name == x else x, name)
        self._show()

    def _build_heat(self, data: SweepData, x: str, y: str) -> HeatMap:
        return HeatMap(data.scores, x, y, data.score, is_maximised=data.is_maximised)

    def _build_parallel(self, data: SweepData) -> ParallelCoordinates:
        return ParallelCoordinates(
            data.scores,
            list(data.parameters)[:_MOST_AXES],
            data.score,
            is_maximised=data.is_maximised,
            name=f"parallel-{self.job_id}",
            on_pick=self._pick,
        )

    def _pick(self, index: object) -> None:
        if self._data is not None and index in self._data.trials.index:
            job_id = str(self._data.trials.loc[[index], "job_id"].iloc[0])
            if job_id:
                self._open(job_id)

    def _open(self, job_id: str) -> None:
        self._opened = job_id
        if self._on_open is not None:
            self._show_trials()
            self._on_open(job_id)
            return
        from workbench.ui.results import BacktestResults

        if self._results is not None:
            self._results.close()
        self._results = BacktestResults(self._client, job_id)
        self._show()


def _build_axes(names: list[str], x: str, y: str) -> str:
    fields = ""
    for axis, chosen, label in (("x", x, "Across"), ("y", y, "Upwards")):
        options = "".join(
            f"<option value='{escape(name, quote=True)}'{' selected' if name == chosen else ''}>{escape(name)}</option>"
            for name in names
        )
        fields += (
            f"<label>{label} <select class='wb-input' id='wb-axis-{axis}' data-action='axis' data-key='{axis}'>"
            f"{options}</select></label>"
        )
    return f"<div class='wb-card'><div class='wb-filters' style='margin:0'>{fields}</div></div>"
