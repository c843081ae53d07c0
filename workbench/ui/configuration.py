"""The form for a run, checked by the server while it is filled in."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.client.client import Client
from workbench.client.job import Job
from workbench.errors import InputError, WorkbenchError
from workbench.ui.component import Component, Fragment
from workbench.ui.configuration_card import CardForm
from workbench.ui.configuration_sections import OTHER_STRATEGY
from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.enquiry import Enquiry
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.picks import pick_of
from workbench.ui.run_facts import describe_assumptions, describe_title
from workbench.ui.run_form import STRATEGY, add_pick, parse_config, remove_pick
from workbench.ui.sizing_enquiry import SizingEnquiry
from workbench.ui.tables import FactsTable
from workbench.ui.timeline import choose_preset, find_time

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.ui.live_html import Action

__all__ = ["BacktestConfiguration"]

_NUMBERS = itertools.count(1)


class BacktestConfiguration(Component):
    """
    A form that makes the configuration of a backtest, and starts it.

    Parameters
    ----------
    client : Client
        The server, which knows strategies and data, and checks what is filled in.
    strategy : type or str, optional
        A class (also one from a notebook cell), ``package.module:Class``, or ``path/to/file.py:Class``.
    config : Mapping, BacktestRunConfig or JSON, optional
        What to begin with.
    name : str
        The name of the run, for people.
    on_submitted : Callable[[Job], object], optional
        Takes the job of a run that was started.
    on_sweep : Callable[[dict], object], optional
        Takes the configuration where a search over its parameters is wanted; without it there is no such button.

    """

    def __init__(
        self,
        client: Client,
        strategy: type | str | None = None,
        *,
        config: Mapping[str, Any] | str | bytes | None = None,
        name: str = "",
        on_submitted: Callable[[Job], object] | None = None,
        on_sweep: Callable[[dict[str, Any]], object] | None = None,
    ) -> None:
        self._on_submitted = on_submitted
        self._on_sweep = on_sweep
        self._state = ConfigurationState(name=name)
        if config is not None:
            self._state.config = _read_config(config)
        self._loop = KernelLoop()
        self._prefix = f"wb-cfg{next(_NUMBERS)}"
        self._fragment = Fragment(self._render, on_action=self._act, loop=self._loop)
        self._enquiry = enquiry = Enquiry(client, self._state, self._loop, self._refresh, strategy=strategy)
        self._sizer = SizingEnquiry(
            client, self._state, self._loop, enquiry.note_change, self._refresh, enquiry.lose
        )

    @classmethod
    def from_job(cls, job: Job, *, client: Client | None = None, **options: Any) -> BacktestConfiguration:
        """
        Return the form filled in as a job was.

        Parameters
        ----------
        job : Job
            A backtest.
        client : Client, optional
            The server; default: the one of the job.
        **options
            As for the class.

        """
        config = job.record.spec.get("config") or job.refresh().spec.get("config")
        if not isinstance(config, Mapping):
            raise InputError(f"the job {job.id} is a {job.record.kind}", expected="a backtest")
        options.setdefault("name", job.record.name)
        return cls(client or job.client, config=config, **options)

    def __repr__(self) -> str:
        return f"BacktestConfiguration({describe_title(self._state.config)!r})"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as plain JSON; a copy."""
        self._enquiry.settle()
        return copy.deepcopy(self._state.config)

    def load_config(self, config: Mapping[str, Any] | str | bytes) -> None:
        """
        Show another configuration; what is wrong in it is shown at its field.

        Raises
        ------
        ConfigError
            If it is not JSON, or not an object.

        """
        self._state.load(_read_config(config))
        self._enquiry.forget_strategy()
        if self._enquiry.is_begun:
            self._enquiry.note_change()

    def build_html(self) -> str:
        """Return the static form: what would be run."""
        state = self._state
        problem = ""
        try:
            self._enquiry.settle()
        except WorkbenchError as e:
            problem = str(e)
        facts = describe_assumptions(state.config)
        if problem:
            facts["Problem"] = problem
        for key, label in (("start", "From, UTC"), ("end", "To, UTC")):
            if state.config.get(key) is not None:
                one = next(field for field in state.build_range() if field.path == key)
                facts[label] = one.write(state.config[key])
        return FactsTable(facts, title=f"Configuration: {describe_title(state.config)}").build_html()

    def build_widget(self) -> DOMWidget:
        """Return the form."""
        self._enquiry.begin()
        return self._fragment.widget

    def close(self) -> None:
        """Ask the server nothing more."""
        self._enquiry.is_closed = True

    # ---- what the reader does

    def _render(self) -> str:
        return CardForm(self._state, prefix=self._prefix, has_sweep=self._on_sweep is not None).build_html()

    def _refresh(self) -> None:
        if self._enquiry.is_begun and not self._enquiry.is_closed:
            self._sizer.check()
            self._fragment.refresh()

    def _act(self, action: Action) -> None:
        handler = getattr(self, f"_do_{action.name.replace('-', '_')}", None)
        if handler is not None:
            handler(action.key, action.value)

    def _do_set(self, key: str, value: Any) -> None:
        if key == "strategy-path":
            self._state.typed_strategy = str(value or "")
            self._choose_strategy(str(value or ""))
        elif isinstance(value, str | bool) and self._state.set_text(key, value):
            self._enquiry.note_change()
        else:
            self._refresh()

    def _do_name(self, key: str, value: Any) -> None:
        self._state.name = str(value or "").strip()

    def _do_strategy(self, key: str, value: Any) -> None:
        self._state.typed_strategy = self._state.strategy_path if value == OTHER_STRATEGY else None
        self._state.forget_refusals(STRATEGY)
        if value == OTHER_STRATEGY:
            self._refresh()
        else:
            self._choose_strategy(str(value or ""))

    def _choose_strategy(self, path: str) -> None:
        path = path.strip()
        if path and path != self._state.strategy_path:
            self._state.remember()
            self._enquiry.describe(path)
        self._refresh()

    def _do_size_target(self, key: str, value: Any) -> None:
        self._state.sizing.choice.target = str(value or "")
        self._refresh()

    def _do_pick(self, key: str, value: Any) -> None:
        chosen = self._find_dataset(value)
        if chosen is not None:
            self._state.remember()
            self._state.choose_data(chosen)
            self._state.forget_refusals("data")
            self._enquiry.note_change()

    def _do_add(self, key: str, value: Any) -> None:
        chosen = self._find_dataset(value or key)
        if chosen is None:
            return
        state, before = self._state, self._state.picks
        state.remember()
        add_pick(state.config, pick_of(chosen))
        state.follow(before)
        self._enquiry.note_change()

    def _do_unpick(self, key: str, value: Any) -> None:
        state, before = self._state, self._state.picks
        if key.isdecimal() and int(key) < len(before):
            state.remember()
            remove_pick(state.config, before[int(key)])
            state.follow(before)
            self._enquiry.note_change()

    def _find_dataset(self, wanted: Any) -> dict[str, Any] | None:
        return next((d for d in self._state.datasets or [] if d["id"] == wanted), None)

    def _do_preset(self, key: str, value: Any) -> None:
        if self._state.coverage is not None:
            self._set_range(*choose_preset(key, self._state.coverage))

    def _do_slide(self, key: str, value: Any) -> None:
        config, coverage = self._state.config, self._state.coverage
        if coverage is None or key not in ("start", "end"):
            return
        stamp = find_time(int(float(value)), coverage, is_end=key == "end")
        start, end = (stamp, config.get("end")) if key == "start" else (config.get("start"), stamp)
        self._set_range(start, end, what=f"slide-{key}")

    def _do_before_holdout(self, key: str, value: Any) -> None:
        holdout = (self._state.preview or {}).get("holdout")
        if holdout:
            import pandas as pd

            last = pd.Timestamp(holdout["start"]) - pd.Timedelta(1, "ns")
            self._set_range(self._state.config.get("start"), f"{last.tz_convert(None).isoformat()}Z")

    def _set_range(self, start: Any, end: Any, *, what: str = "") -> None:
        state = self._state
        state.remember(what)
        state.config["start"], state.config["end"] = start, end
        state.forget_refusals("start")
        state.forget_refusals("end")
        self._enquiry.note_change()

    def _do_fold(self, key: str, value: Any) -> None:
        self._state.opened ^= {key}
        self._refresh()

    def _do_json(self, key: str, value: Any) -> None:
        state = self._state
        state.draft = state.write_json() if state.draft is None else None
        state.draft_error = ""
        self._refresh()

    def _do_json_edit(self, key: str, value: Any) -> None:
        self._state.draft = str(value or "")
        self._refresh()

    def _do_json_apply(self, key: str, value: Any) -> None:
        self._load_text(self._state.draft or "")

    def _do_json_close(self, key: str, value: Any) -> None:
        self._state.draft, self._state.draft_error = None, ""
        self._refresh()

    def _do_load(self, key: str, value: Any) -> None:
        self._load_text(str(value or ""))

    def _load_text(self, text: str) -> None:
        state = self._state
        try:
            config = parse_config(text)
        except InputError as e:
            # Nothing is lost: the text stands there, with what is wrong with it.
            state.draft, state.draft_error = text, str(e)
            self._refresh()
            return
        self.load_config(config)

    def _do_save(self, key: str, value: Any) -> None:
        title = self._state.name or describe_title(self._state.config)
        name = re.sub(r"[^\w.-]+", "-", title).strip("-") or "backtest"
        content = self._state.write_json().encode()
        self._fragment.widget.download(f"{name}.json", content, "application/json")

    def _do_undo(self, key: str, value: Any) -> None:
        self._state.undo()
        self._enquiry.note_change()

    def _do_retry(self, key: str, value: Any) -> None:
        self._sizer.forget()
        self._enquiry.begin()
        self._refresh()

    def _do_sweep(self, key: str, value: Any) -> None:
        if self._on_sweep is not None:
            self._on_sweep(copy.deepcopy(self._state.config))

    def _do_run(self, key: str, value: Any) -> None:
        state = self._state
        state.is_strict = True
        errors = state.find_errors()
        if errors or not state.strategy_path:
            self._show_error()
            return
        if state.is_submitting:
            return
        if not self._sizer.settle(lambda: self._do_run(key, value)):
            state.notice = "The size is being computed first…"
            self._refresh()
            return
        self._enquiry.submit(state.name, self._take_job, self._show_error, use_holdout=key == "sealed")
        self._refresh()

    def _take_job(self, job: Job) -> None:
        state = self._state
        if state.preview is not None:
            state.preview = {**state.preview, "trials": int(state.preview.get("trials") or 0) + 1}
        state.notice = f"Queued as {job.record.name or job.id}."
        self._refresh()
        if self._on_submitted is not None:
            self._on_submitted(job)

    def _show_error(self) -> None:
        """Show what is wrong, and bring the reader to the first of it."""
        wanted = "[aria-invalid=true]" if self._state.strategy_path else f"#{self._prefix}-strategy"
        self._fragment.widget.html = self._render()  # Now: the focus needs what is wrong to be there
        self._fragment.widget.focus(wanted)


def _read_config(config: Any) -> dict[str, Any]:
    """Return a configuration as plain values, whatever form it has."""
    if isinstance(config, bytes):
        return parse_config(config.decode())
    if isinstance(config, str):
        return parse_config(config)
    if isinstance(config, Mapping):
        return parse_config(json.dumps(config))
    return parse_config(config.json().decode())
