from __future__ import annotations

import threading
from dataclasses import dataclass

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.errors import InputError
from workbench.records import Progress
from workbench.states import JobState
from workbench.ui.progress import RunProgress


@dataclass
class Sample:
    state: str = "RUNNING"
    fraction: float = 0.5
    simulated_ts_ns: int | None = 1_328_054_400_000_000_000
    events: int = 30_117
    events_per_sec: float = 41_000.0
    eta_secs: float | None = 1.2
    equity: str | None = "1004210.1"
    currency: str = "USD"
    open_positions: int = 2
    rss_bytes: int = 402_000_000


class Handle:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, snapshot: object) -> None:
        self.shown.append(snapshot._repr_html_())  # type: ignore[attr-defined]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _progress() -> tuple[RunProgress, Handle, Clock]:
    clock, handle = Clock(), Handle()
    progress = RunProgress("EMACross <b>", clock=clock)
    progress._handle = handle
    return progress, handle, clock


def test_run_progress_state_is_written_with_units() -> None:
    progress, handle, _ = _progress()
    progress.update(Sample())
    (html,) = handle.shown
    for text in (
        "50%",
        "2012-02-01 00:00",
        "30,117",
        "41,000",
        "1.2 s",
        "1,004,210.10 USD",
        "402 MB",
        "RUNNING",
    ):
        assert text in html
    assert "EMACross &lt;b&gt;" in html
    assert "Interrupt the kernel" in html


def test_run_progress_many_updates_show_ten_a_second_at_most() -> None:
    progress, handle, clock = _progress()
    for n in range(1_000):
        clock.now = n / 1_000
        progress.update(Sample(fraction=n / 1_000))
    assert 8 <= len(handle.shown) <= 10


def test_run_progress_new_state_is_shown_at_once() -> None:
    progress, handle, _ = _progress()
    for state in ("RUNNING", "PAUSED", "RUNNING", "COMPLETED"):
        progress.update(Sample(state=state))
    assert len(handle.shown) == 4
    assert "Interrupt the kernel" not in handle.shown[-1]
    assert "Time left" not in handle.shown[-1]


def test_run_progress_unknown_values_are_dashes_not_zeros() -> None:
    progress, handle, _ = _progress()
    progress.update(Sample(simulated_ts_ns=None, eta_secs=None, equity=None, fraction=1.7))
    assert handle.shown[0].count(">—<") == 3
    assert "100%" in handle.shown[0]


def test_run_progress_finish_leaves_the_end_and_ignores_late_updates() -> None:
    progress, handle, clock = _progress()
    progress.update(Progress(fraction=0.98, equity="1.5", currency="USD"))  # what a run really sends
    progress.finish(JobState.COMPLETED)
    clock.now = 9.0
    progress.update(Progress(fraction=0.99))
    assert len(handle.shown) == 2
    assert "COMPLETED" in handle.shown[-1]
    assert "100%" in handle.shown[-1]
    assert "Interrupt the kernel" not in handle.shown[-1]


def test_run_progress_failure_is_escaped_and_keeps_how_far_it_came() -> None:
    progress, handle, _ = _progress()
    progress.update(Sample(fraction=0.4))
    progress.finish("FAILED", "Traceback <module>")
    assert "Traceback &lt;module&gt;" in handle.shown[-1]
    assert "40%" in handle.shown[-1]


def test_run_progress_finish_with_a_state_that_is_no_end_raises() -> None:
    with pytest.raises(InputError, match="does not end as 'RUNNING'"):
        _progress()[0].finish("RUNNING")


def test_run_progress_updates_from_many_threads_lose_no_final_state() -> None:
    progress, handle, _ = _progress()
    samples = [Sample(fraction=n / 100) for n in range(100)]
    threads = [threading.Thread(target=progress.update, args=(s,)) for s in samples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.finish("COMPLETED")
    assert "COMPLETED" in handle.shown[-1]


CELLS = """
import threading
from types import SimpleNamespace as S
from workbench.ui import RunProgress
def sample(state, fraction):
    return S(state=state, fraction=fraction, simulated_ts_ns=None, events=1, events_per_sec=1.0, eta_secs=None,
             equity=None, currency="USD", open_positions=0, rss_bytes=1_000_000)
def work():
    for n in range(50):
        progress.update(sample("RUNNING", n / 50))
    progress.finish("COMPLETED")
"""


def test_run_progress_executed_notebook_keeps_the_last_state_of_a_thread() -> None:
    cells = [
        CELLS,
        "progress = RunProgress('blocking'); progress.show(); t = threading.Thread(target=work); t.start(); t.join()",
        "from unittest.mock import Mock\nprogress = RunProgress('background', control=Mock()); progress",
        "t = threading.Thread(target=work); t.start(); t.join()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    for k in (1, 2):
        html = [output["data"]["text/html"] for output in notebook.cells[k].outputs if "data" in output]
        assert "COMPLETED" in html[0]
        assert "100%" in html[0]
    # The buttons are gone with the run: a saved notebook must not show dead ones.
    assert [o for o in notebook.cells[2].outputs if "widget-view" in str(list(o.get("data", {})))] == []
