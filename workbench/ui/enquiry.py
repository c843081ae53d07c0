"""What the form for a run asks the server: what there is, what a strategy takes, whether the run can be made."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from workbench.client.client import Client
from workbench.client.job import Job
from workbench.errors import InputError, WorkbenchError
from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.run_form import set_strategy

__all__ = ["Enquiry"]

_WAIT_SECS = 0.4  # after the last change, before the server is asked
_STRATEGY_PATH = "engine.strategies.0.strategy_path"


class Enquiry:
    """
    The questions to the server, whose answers go into the state of the form; the latest question wins.

    Parameters
    ----------
    client : Client
        The server.
    state : ConfigurationState
        What the form shows; changed on the kernel's thread only.
    loop : KernelLoop
        That thread, and others for the questions.
    on_change : Callable[[], object]
        Called when the state has changed.
    strategy : type or str, optional
        What to describe first.

    """

    def __init__(
        self,
        client: Client,
        state: ConfigurationState,
        loop: KernelLoop,
        on_change: Callable[[], object],
        *,
        strategy: type | str | None = None,
    ) -> None:
        self._client = client
        self._state = state
        self._loop = loop
        self._refresh = on_change
        self._strategy = strategy
        self._sources: dict[str, str] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._revision = self._checked = 0
        self._is_waiting = self._is_asking = False
        self._covered = ""
        self._described = ""
        self.is_begun = self.is_closed = False

    def begin(self) -> None:
        """Ask what there is to choose from, and go on from there; also after the server was lost."""
        self.is_begun, self.is_closed = True, False
        self._state.lost = self._state.problem = self._covered = self._described = ""
        self._loop.work(self._fetch, self._take, self.lose)

    def settle(self) -> None:
        """Find a strategy's configuration where that has not been done yet, for whoever reads it here and now."""
        if self._strategy is not None and not self.is_begun:
            self._take_strategy(self._client.describe_strategy(self._strategy))

    def _fetch(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        return self._client.strategies(), self._client.datasets()

    def _take(self, found: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
        state = self._state
        state.strategies, state.datasets = found
        if not state.picks and state.datasets:
            sound = [d for d in state.datasets if d["rows"] and not str(d["bar_spec"]).endswith("-ASK")]
            state.choose_data((sound or state.datasets)[0])
        if self._strategy is not None:
            self.describe(self._strategy)
        else:
            self.note_change()

    def lose(self, error: Exception) -> None:
        """Say why the server gave no answer, or what is wrong with the question."""
        self._state.is_checking = self._state.is_submitting = False
        if isinstance(error, WorkbenchError) and not isinstance(error, InputError):
            self._state.lost = str(error)
        else:
            self._state.problem = str(error) or type(error).__name__
        self._refresh()

    def describe(self, strategy: type | str, config_class: str | None = None) -> None:
        """Ask what a strategy takes, and run it."""
        self._described = wanted = strategy if isinstance(strategy, str) else ""
        if wanted in self._known:
            self._take_strategy(self._known[wanted])
            self.note_change()
            return

        def take(found: dict[str, Any]) -> None:
            if wanted == self._described:
                self._take_strategy(found)
                self.note_change()

        def refuse(error: Exception) -> None:
            if not isinstance(error, InputError):
                self.lose(error)
            elif wanted == self._described:
                self._state.refusals = [
                    InputError(
                        error.message, expected=error.expected, advice=error.advice, field=_STRATEGY_PATH
                    )
                ]
                self._refresh()

        self._loop.work(
            lambda: self._client.describe_strategy(strategy, config_class=config_class), take, refuse
        )

    def _take_strategy(self, found: dict[str, Any]) -> None:
        state = self._state
        self._sources = dict(found.get("sources") or {})
        state.description, self._strategy = found, None
        self._described = found["strategy_path"]
        self._known[self._described] = found
        state.typed_strategy, state.problem = None, ""
        if state.strategy_path != found["strategy_path"]:
            set_strategy(
                state.config, found["strategy_path"], found["config_path"], _find_names(found["schema"])
            )
            state.touched.clear()
        if state.datasets is not None:
            state.follow()

    def note_change(self) -> None:
        """Show what has changed, read what belongs to it, and let the server check it when things are quiet."""
        state = self._state
        state.problem = state.notice = ""
        self._revision += 1
        path = state.strategy_path
        if path and path != self._described:
            state.description = None
            config_path = (state.config["engine"]["strategies"][0] or {}).get("config_path")
            self.describe(path, str(config_path) if config_path else None)
        first = state.first
        if first is None:
            state.coverage, self._covered = None, ""
        elif first["id"] != self._covered:
            state.coverage, self._covered = None, first["id"]
            self._cover(first)
        if path and state.picks:
            state.is_checking = True
            if not self._is_waiting:
                self._is_waiting = True
                self._loop.later(_WAIT_SECS, self._quiet(self._revision))
        else:
            state.preview, state.refusals, state.is_checking = None, (), False
        self._refresh()

    def _quiet(self, revision: int) -> Callable[[], None]:
        """Return what is done after a while: check what is there, unless it has changed again meanwhile."""

        def act() -> None:
            if revision != self._revision:
                self._loop.later(_WAIT_SECS, self._quiet(self._revision))
                return
            self._is_waiting = False
            self._check()

        return act

    def _check(self) -> None:
        if self._is_asking or self.is_closed:
            return  # The answer to the question before begins the next one
        self._is_asking, self._checked = True, self._revision
        config, sources = copy.deepcopy(self._state.config), dict(self._sources)
        self._loop.work(
            lambda: self._client.preview(config, sources=sources), self._take_preview, self._take_refusal
        )

    def _is_stale(self) -> bool:
        """End a question; return whether its answer is about what is not there any more, and ask again."""
        self._is_asking = False
        if self._checked == self._revision:
            self._state.is_checking = False
            return False
        if not self._is_waiting:
            self._check()
        return True

    def _take_preview(self, preview: dict[str, Any]) -> None:
        if not self._is_stale():
            self._state.preview, self._state.refusals, self._state.lost = preview, (), ""
            self._refresh()

    def _take_refusal(self, error: Exception) -> None:
        if self._is_stale():
            return
        if isinstance(error, InputError):
            self._state.preview, self._state.lost = None, ""
            self._state.refusals = error.errors or (error,)
            self._refresh()
        else:
            self.lose(error)

    def _cover(self, dataset: Mapping[str, Any]) -> None:
        def take(coverage: dict[str, Any]) -> None:
            if self._covered == dataset["id"]:
                self._state.coverage = coverage
                self._refresh()

        self._loop.work(lambda: self._client.coverage(dataset["id"]), take, self.lose)

    def submit(
        self,
        name: str,
        on_job: Callable[[Job], object],
        on_refusal: Callable[[], object],
        *,
        use_holdout: bool,
    ) -> None:
        """Start the run; what is wrong with it goes into the state before `on_refusal` is called."""
        config, sources = copy.deepcopy(self._state.config), dict(self._sources)
        self._state.is_submitting, self._state.notice = True, ""

        def take(job: Job) -> None:
            self._state.is_submitting = False
            on_job(job)

        def refuse(error: Exception) -> None:
            self._state.is_submitting = False
            if isinstance(error, InputError):
                self._state.refusals = error.errors or (error,)
                on_refusal()
            else:
                self.lose(error)

        self._loop.work(
            lambda: self._client.submit_backtest(config, name=name, sources=sources, use_holdout=use_holdout),
            take,
            refuse,
        )

    def forget_strategy(self) -> None:
        """Describe what the configuration names, not what the form was made with."""
        self._strategy = None


def _find_names(schema: Mapping[str, Any]) -> list[str]:
    name = str(schema.get("$ref") or "").rpartition("/")[2]
    inside = (schema.get("$defs") or {}).get(name) or schema
    return list(inside.get("properties") or {})
