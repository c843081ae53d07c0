"""The progress of a running backtest, live in a notebook, and its last state in the saved one."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from html import escape
from typing import Any, Protocol

from workbench.errors import InputError
from workbench.states import JobState
from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_bytes, format_decimal, format_duration, format_time
from workbench.ui.pace import Beat
from workbench.ui.view import View

__all__ = ["RunControl", "RunProgress", "RunSample"]

_FINISHED = frozenset(str(state) for state in JobState if state.is_finished)
_BAR = {"COMPLETED": "ok", "PAUSED": "warn", "CANCELLED": "warn", "FAILED": "bad"}


class RunSample(Protocol):
    """What a run reports about itself; read-only."""

    @property
    def state(self) -> str:
        """A `JobState`: RUNNING or PAUSED, or how the run ended."""

    @property
    def fraction(self) -> float:
        """Share of the simulated range that is done, 0 to 1."""

    @property
    def simulated_ts_ns(self) -> int | None:
        """Simulated time, UNIX nanoseconds."""

    @property
    def events(self) -> int:
        """Data events so far."""

    @property
    def events_per_sec(self) -> float:
        """Events per second of wall time."""

    @property
    def eta_secs(self) -> float | None:
        """Wall time left, if it can be said."""

    @property
    def equity(self) -> str | None:
        """Equity marked to market, a decimal, if it is known."""

    @property
    def currency(self) -> str:
        """The currency of the equity."""

    @property
    def open_positions(self) -> int:
        """Open positions."""

    @property
    def rss_bytes(self) -> int:
        """Resident memory of the process that runs."""


class RunControl(Protocol):
    """What the buttons of a run that goes on in the background do."""

    def pause(self) -> object:
        """Pause the run."""

    def resume(self) -> object:
        """Resume the run."""

    def cancel(self) -> object:
        """Cancel the run; its results so far are kept."""


class RunProgress(View):
    """
    A bar, simulated time, speed, time left, equity, open positions and memory of a run.

    While a cell waits for its run, the view is one output that replaces itself. For a run in the background it is a
    widget with buttons, because Voila takes no new output once its page stands. Either way the last state is left as
    plain HTML: that is what papermill saves and nbconvert exports. `update` may be called from any thread.

    Parameters
    ----------
    title : str, optional
        What is running.
    control : RunControl, optional
        For a run that goes on while the cell has returned: adds the buttons Pause, Resume and Cancel. Without it the
        cell is taken to wait for the run. A kernel that is busy with a cell hears no button, so there are none then;
        the view says instead that interrupting the kernel cancels.
    clock : Callable returning float, optional
        A monotonic clock in seconds, for tests.

    Examples
    --------
    >>> progress = RunProgress("EMACross GBP/USD")  # doctest: +SKIP
    >>> progress.show()  # doctest: +SKIP
    >>> run = start_backtest(config, on_progress=progress.update).wait()  # doctest: +SKIP
    >>> progress.finish(run.manifest["state"])  # doctest: +SKIP

    """

    def __init__(
        self,
        title: str = "",
        *,
        control: RunControl | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._control = control
        # Not `Pace`: while a cell waits for its run the kernel's loop does nothing later.
        self._beat = Beat(clock)
        self._lock = threading.RLock()
        self._sample: RunSample | None = None
        self._message = ""
        self._end = ""
        self._handle: Any = None
        self._panel: _Panel | None = None
        self._published_state = ""

    def __repr__(self) -> str:
        sample = self._sample
        share = "" if sample is None else f", {sample.fraction:.0%}"
        return f"RunProgress({self._state}{share})"

    def _ipython_display_(self) -> None:
        self.show()

    def show(self) -> None:
        """Show the view in the output of the current cell; later updates replace it there."""
        ipython = sys.modules.get("IPython")
        if ipython is None or ipython.get_ipython() is None:
            return
        from IPython.display import display

        with self._lock:
            if self._control is not None and not self._is_finished():
                self._panel = _Panel(self._control, self._say)
                self._panel.set_html(self.to_html())
                self._handle = display(self._panel.widget, display_id=True)
            else:
                self._handle = display(_Snapshot(self.to_html(), repr(self)), display_id=True)

    def update(self, progress: RunSample) -> None:
        """
        Take the run's state; show it at once if it is a new state, otherwise at most 10 times a second.

        Parameters
        ----------
        progress : RunSample
            The run's progress. Ignored once the run has finished: a late one from another thread.

        """
        with self._lock:
            if self._is_finished():
                return
            self._sample = progress
            if self._beat.rest_secs == 0 or progress.state != self._published_state:
                self._publish()

    def finish(self, state: str, message: str = "") -> None:
        """
        Show how the run ended, and leave that as the output's last state.

        Parameters
        ----------
        state : str
            COMPLETED, CANCELLED or FAILED.
        message : str, optional
            Why, where it failed.

        Raises
        ------
        InputError
            If `state` is not one in which a run has ended.

        """
        if state not in _FINISHED:
            raise InputError(f"a run does not end as {state!r}", expected=", ".join(sorted(_FINISHED)))
        with self._lock:
            self._end = str(state)
            self._say(message)

    def _say(self, message: str) -> None:
        with self._lock:
            self._message = message
            self._publish()

    def _is_finished(self) -> bool:
        return self._state in _FINISHED

    @property
    def _state(self) -> str:
        return self._end or str(JobState.PENDING if self._sample is None else self._sample.state)

    def _publish(self) -> None:
        self._beat.note()
        self._published_state = self._state
        if self._panel is not None:
            self._panel.set_html(self.to_html())
            if not self._is_finished():
                return
            self._panel.close_buttons()
            self._panel = None
        if self._handle is not None:
            # Sent from the calling thread: while a cell waits for its run the kernel's loop takes no callbacks, and the
            # kernel's output socket belongs to a thread of its own, so that any thread may send.
            self._handle.update(_Snapshot(self.to_html(), repr(self)))

    def build_html(self) -> str:
        """Return the state as a card."""
        sample, state = self._sample, self._state
        fraction, kpis = 0.0, ""
        if sample is not None:
            fraction = min(max(sample.fraction, 0.0), 1.0)
            kpis = _build_kpis(sample, is_over=state in _FINISHED)
        if state == JobState.COMPLETED:
            fraction = 1.0
        kind = _BAR.get(state, "")
        colour = {"ok": "up", "": "mute"}.get(kind, kind)
        badge = f"<span class='{colour}'>{escape(state)}</span>"
        bar = (
            f"<div class='wb-bar {kind}' role='progressbar' aria-valuemin='0' aria-valuemax='100' "
            f"aria-valuenow='{fraction * 100:.0f}'><i style='width:{fraction * 100:.1f}%'></i></div>"
        )
        message = f"<pre>{escape(self._message)}</pre>" if self._message else ""
        hint = ""
        if self._control is None and state not in _FINISHED:
            hint = "<div class='wb-note'>Interrupt the kernel (■) to cancel; results so far are kept.</div>"
        body = f"<div class='wb-progress'>{bar}{kpis}{message}</div>{hint}"
        return build_card(self._title or "Backtest", body, right=f"{fraction:.0%}", state=badge)


def _build_kpis(sample: RunSample, *, is_over: bool) -> str:
    equity = UNKNOWN
    if sample.equity is not None:
        equity = f"{format_decimal(Decimal(sample.equity), 2)} {sample.currency}"
    values = {
        "Simulated time, UTC": format_time(sample.simulated_ts_ns),
        "Events": f"{sample.events:,}",
        "Events/s": f"{sample.events_per_sec:,.0f}",
        **({} if is_over else {"Time left": format_duration(sample.eta_secs)}),
        "Equity": equity,
        "Open positions": f"{sample.open_positions:,}",
        "Memory": format_bytes(sample.rss_bytes),
    }
    items = "".join(
        f"<div class='wb-kpi'><span>{escape(label)}</span><b>{escape(text)}</b></div>"
        for label, text in values.items()
    )
    return f"<div class='wb-kpis'>{items}</div>"


class _Snapshot:
    """One state of the view, as IPython displays it."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


class _Panel:
    """The view of a run in the background: HTML and buttons, as widgets."""

    def __init__(self, control: RunControl, say: Callable[[str], None]) -> None:
        import ipywidgets

        self._html = ipywidgets.HTML()
        self._buttons = ipywidgets.HBox([
            _build_button("Pause", "Pause the run", control.pause, say),
            _build_button("Resume", "Resume the run", control.resume, say),
            _build_button("Cancel", "Cancel the run; its results so far are kept", control.cancel, say),
        ])  # fmt: skip
        self.widget = ipywidgets.VBox([self._html, self._buttons], layout={"width": "100%"})
        self._html.layout.width = "100%"
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def set_html(self, html: str) -> None:
        """Show `html`; from another thread by way of the kernel's loop, which alone may touch a widget."""
        self._run(lambda: setattr(self._html, "value", html))

    def close_buttons(self) -> None:
        """Take the buttons away: the run hears them no longer."""
        self._run(lambda: setattr(self.widget, "children", [self._html]))

    def _run(self, action: Callable[[], None]) -> None:
        if self._loop is None or threading.current_thread() is threading.main_thread():
            action()
        else:
            self._loop.call_soon_threadsafe(action)


def _build_button(label: str, hint: str, action: Callable[[], object], say: Callable[[str], None]) -> Any:
    import ipywidgets

    button = ipywidgets.Button(description=label, tooltip=hint, layout={"width": "96px"})

    def on_click(_: object) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever fails, the person who clicked has to see it
            say(f"{label} failed: {error}")

    button.on_click(on_click)
    return button
