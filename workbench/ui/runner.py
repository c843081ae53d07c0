"""The queue: what runs, waits and has ended, live, with what can be done about it."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.records import EquityTrace, Inspection, JobRecord
from workbench.states import JobState
from workbench.ui.component import Component, Fragment
from workbench.ui.feed import FeedState, FeedStatus
from workbench.ui.job_book import JobBook
from workbench.ui.job_feed import JobFeed
from workbench.ui.job_list import GROUPS, ORDERS, JobList, JobWish
from workbench.ui.job_reader import JobAnswer, load_answer, load_traces
from workbench.ui.job_rows import JobRow, find_verbs
from workbench.ui.job_snapshot import build_snapshot
from workbench.ui.job_table import JobTable, Load, build_table
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.sparkline import Curve

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.client.client import Client
    from workbench.client.job import Job
    from workbench.ui.live_html import Action

__all__ = ["BacktestRunner"]

_RELOAD_SECS = 1.0
_RESOURCES_SECS = 10.0
_MOST_CURVES = 1_000


class BacktestRunner(Component):
    """
    The queue of a server: how far each run has come, its equity so far, what it takes, and buttons to steer it.

    It keeps no truth: shown again, in this kernel or another, it reads the server.

    Parameters
    ----------
    client : Client
        The server.
    kind : str, optional
        Show only these, such as ``backtest``; default: every kind, the trials of sweeps folded under their sweep.
    owner : str
        Show only the jobs of this user.
    limit : int
        How many to show at a time, 200 at the most.
    on_open : Callable[[Job], object], optional
        Called on the kernel's thread when the reader opens a job.

    Examples
    --------
    >>> BacktestRunner(workbench.connect())  # doctest: +SKIP

    """

    def __init__(
        self,
        client: Client,
        *,
        kind: str | None = None,
        owner: str = "",
        limit: int = 50,
        on_open: Callable[[Job], object] | None = None,
    ) -> None:
        self._client = client
        self._on_open = on_open
        self._loop = KernelLoop()
        # In plain Python there is no kernel's thread, and the feed's thread does what would be done there.
        self._lock = threading.RLock()
        self._feed = JobFeed.of(client)
        self._list = JobList(JobWish(kind=kind or "", owner=owner, limit=min(max(limit, 1), 200)))
        self._answer: JobAnswer | None = None
        self._problem: Exception | None = None
        self._turn = self._taken = 0  # The last question, and the last whose answer is shown
        self._is_reload_due = False
        self._asked_at = 0.0
        self._heard: tuple[int, FeedState] | None = None  # How far the feed had come, and how it stood
        self._shown: dict[str, JobRecord] = {}
        self._chosen: set[str] = set()
        # What was asked for and has not happened yet: the verb, and the number of the record then.
        self._asked: dict[str, tuple[str, int]] = {}
        self._errors: dict[str, Exception] = {}
        self._held: dict[str, Inspection] = {}
        self._curves: dict[str, Curve] = {}
        self._curves_asked: set[tuple[str, bool]] = set()
        self._fragment: Fragment | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"BacktestRunner({self._client.url!r}, {self._list.total} jobs)"

    # ---- forms

    def build_html(self) -> str:
        """Return the list as it is now: the server is asked."""
        return build_snapshot(self._client, self._list.wish)

    def build_widget(self) -> DOMWidget:
        """Return the live form, and begin to follow the server."""
        self._fragment = Fragment(self._render, on_action=self._on_action, loop=self._loop)
        self._reload()
        widget = self._fragment.widget
        self._unsubscribe = self._feed.subscribe(self._on_feed)
        return widget

    def close(self) -> None:
        """Follow the server no longer; the last state stays on the screen."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _render(self) -> str:
        with self._lock:
            status = self._feed.status if self._unsubscribe is not None else FeedStatus(FeedState.CONNECTING)
            rows, load = self._feed.read(self._collect)
            self._shown = {row.record.id: row.record for row in rows}
            self._chosen &= self._shown.keys()
            table = JobTable(
                self._list.wish,
                rows=rows,
                total=self._list.total,
                load=load,
                resources=None if self._answer is None else self._answer.resources,
                status=status,
                now=time.time(),
                problem=self._problem,
                is_loaded=self._answer is not None,
                can_steer=self._can_steer,
            )
            return build_table(table)

    def _collect(self, book: JobBook) -> tuple[list[JobRow], Load]:
        records = self._list.build(book.jobs)
        waiting = sorted((r.created_at, r.id) for r in book.jobs.values() if r.state == JobState.PENDING)
        rows = [self._build_row(record, book, waiting) for record in records]
        return rows, Load.of(list(book.jobs.values()))

    def _build_row(self, record: JobRecord, book: JobBook, waiting: list[tuple[str, str]]) -> JobRow:
        job_id, answer = record.id, self._answer
        self._settle_wish(record)
        heard_at = book.heard_at.get(job_id)
        is_steady = record.state == JobState.RUNNING and record.kind != "sweep"
        is_mine = answer is not None and answer.is_mine(record)
        is_admin = answer is not None and answer.has_permission("administer")
        return JobRow(
            record,
            curve=(self._curves.get(job_id) if record.state.is_finished else None) or book.curves.get(job_id),
            wish=self._asked.get(job_id, ("", 0))[0],
            error=self._errors.get(job_id),
            held=self._held.get(job_id),
            is_chosen=job_id in self._chosen,
            can_steer=self._can_steer and (is_mine or is_admin),
            can_requeue=self._can_steer,
            can_open=self._on_open is not None,
            owner="" if is_mine else record.owner,
            trials=None if answer is None else answer.trials.get(job_id),
            before=bisect_left(waiting, (record.created_at, job_id)),
            silent_secs=time.monotonic() - heard_at if is_steady and heard_at is not None else 0.0,
            worked_secs=_measure_age(record.started_at),
        )

    def _settle_wish(self, record: JobRecord) -> None:
        """Forget what was asked for once the job has changed, and what it held once it goes on."""
        asked = self._asked.get(record.id)
        if asked is not None and record.seq > asked[1]:
            del self._asked[record.id]
        if record.state != JobState.PAUSED:
            self._held.pop(record.id, None)

    @property
    def _can_steer(self) -> bool:
        return self._answer is not None and self._answer.has_permission("research")

    # ---- what the server says

    def _on_feed(self) -> None:
        """Hear that something has changed; on the feed's thread."""
        news = self._feed.version, self._feed.status.state
        is_live = news[1] == FeedState.LIVE
        is_old = time.monotonic() - self._asked_at > _RESOURCES_SECS
        if is_live and (news != self._heard or is_old):
            self._loop.call(self._reload_soon)
        self._heard = news
        self._refresh()

    def _refresh(self) -> None:
        if self._fragment is not None and self._unsubscribe is not None:
            self._fragment.refresh()

    def _reload_soon(self) -> None:
        if not self._is_reload_due:
            self._is_reload_due = True
            self._loop.later(_RELOAD_SECS, self._reload)

    def _reload(self) -> None:
        """Ask the server for the list, and for the curves that it needs."""
        self._is_reload_due = False
        self._asked_at = time.monotonic()
        self._turn += 1
        turn, wish, known = self._turn, self._list.wish, self._answer

        def on_done(answer: JobAnswer) -> None:
            with self._lock:
                if turn < self._taken or wish != self._list.wish:
                    return
                self._taken = turn
                self._answer, self._problem = answer, None
                self._list.take(answer.page, answer.total)
            self._refresh()
            self._ask_for_curves()

        def on_error(error: Exception) -> None:
            if turn > self._taken and wish == self._list.wish:
                self._problem = error
                self._refresh()

        self._loop.work(lambda: load_answer(self._client, wish, known), on_done, on_error)

    def _ask_for_curves(self) -> None:
        """Ask for the equity of the runs on the page: once while they work, and once when they have ended."""
        with self._lock:
            records = self._feed.read(lambda book: self._list.build(book.jobs))
            wanted = [r for r in records if (r.id, r.state.is_finished) not in self._curves_asked]
            asked = {(r.id, r.state.is_finished) for r in wanted}
            self._curves_asked |= asked

        def on_done(traces: dict[str, EquityTrace]) -> None:
            with self._lock:
                for job_id, is_over in asked:
                    if job_id in traces and is_over:
                        self._curves[job_id] = Curve.of(traces[job_id])
                    elif job_id in traces:
                        self._feed.fill(job_id, traces[job_id])
                for job_id in list(self._curves)[: max(len(self._curves) - _MOST_CURVES, 0)]:
                    del self._curves[job_id]
                    self._curves_asked.discard((job_id, True))
            self._refresh()

        def on_error(error: Exception) -> None:  # They are asked for again with the next list
            self._curves_asked -= asked

        if wanted:
            self._loop.work(lambda: load_traces(self._client, wanted), on_done, on_error)

    # ---- what the reader does

    def _on_action(self, action: Action) -> None:
        with self._lock:
            self._act(action)
        if self._fragment is not None:  # At once: who has pressed a button wants to see that it was heard
            self._fragment.widget.html = self._render()

    def _act(self, action: Action) -> None:
        key, value = action.key, action.value
        match action.name:
            case "pause" | "resume" | "cancel" | "requeue":
                self._steer(action.name, sorted(self._chosen) if key == "*" else [key])
            case "inspect":
                self._inspect(key)
            case "look":
                record = self._shown.get(key)
                if record is not None and record.state == JobState.PAUSED:
                    self._inspect(key)
            case "open":
                self._open(key)
            case "choose":
                self._chosen = self._chosen | {key} if value else self._chosen - {key}
            case "choose-all":
                self._chosen = set(self._shown) if value else set()
            case "choose-none":
                self._chosen = set()
            case "forget":
                self._errors.pop(key, None)
            case "retry":
                self._answer = None if self._problem is not None else self._answer
                self._problem = None
                self._feed.retry()
                self._reload()
            case _:
                self._narrow(action)

    def _narrow(self, action: Action) -> None:
        """Change what is listed."""
        wish, value = self._list.wish, action.value
        match action.name:
            case "group" if action.key in GROUPS:
                wish = replace(wish, group=action.key, offset=0)
            case "text":
                wish = replace(wish, text=str(value or "").strip()[:200], offset=0)
            case "sort" if value in ORDERS:
                wish = replace(wish, sort=str(value), offset=0)
            case "trials":
                wish = replace(wish, has_trials=bool(value), offset=0)
            case "all":
                wish = replace(wish, group="all", text="", offset=0)
            case "more":
                wish = replace(wish, offset=wish.offset + wish.limit)
            case "less":
                wish = replace(wish, offset=max(wish.offset - wish.limit, 0))
        if wish != self._list.wish:
            self._list.wish = wish
            self._reload()

    def _steer(self, verb: str, job_ids: list[str]) -> None:
        able = [i for i in job_ids if i in self._shown and verb in find_verbs(self._shown[i])]
        for job_id in able:
            self._asked[job_id] = (verb, self._shown[job_id].seq)
            self._errors.pop(job_id, None)
        self._refresh()

        def run() -> dict[str, Exception]:
            failed: dict[str, Exception] = {}
            for job_id in able:
                try:
                    getattr(self._client.job(job_id), verb)()
                except WorkbenchError as error:
                    failed[job_id] = error
            return failed

        def on_done(failed: dict[str, Exception]) -> None:
            with self._lock:
                for job_id in able:
                    # A job that is queued again stays as it is; any other tells when it has happened.
                    if job_id in failed or verb == "requeue":
                        self._asked.pop(job_id, None)
                self._errors |= failed
            self._refresh()

        if able:
            self._loop.work(run, on_done, lambda error: on_done(dict.fromkeys(able, error)))

    def _inspect(self, job_id: str) -> None:
        if self._held.pop(job_id, None) is not None:
            return

        def on_done(held: Inspection) -> None:
            with self._lock:
                self._held[job_id] = held
                self._errors.pop(job_id, None)
            self._refresh()

        self._loop.work(
            lambda: self._client.job(job_id).inspect(), on_done, lambda error: self._complain(job_id, error)
        )

    def _open(self, job_id: str) -> None:
        on_open = self._on_open
        if on_open is None:
            return

        def on_done(job: Job) -> None:
            try:
                on_open(job)
            except Exception as error:  # noqa: BLE001 - whatever fails, the person who clicked has to see it
                self._complain(job_id, error)

        self._loop.work(
            lambda: self._client.job(job_id), on_done, lambda error: self._complain(job_id, error)
        )

    def _complain(self, job_id: str, error: Exception) -> None:
        with self._lock:
            self._errors[job_id] = error
        self._refresh()


def _measure_age(started_at: str | None) -> float:
    if started_at is None:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(started_at)).total_seconds()
