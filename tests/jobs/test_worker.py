from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.errors import WorkerError
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Worker
from workbench.records import Progress
from workbench.states import JobState

DEADLINE_SECS = 120.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition of another process; fail loudly when it never comes."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_SECS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        pause.wait(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE and pid not in _children()
    except psutil.NoSuchProcess:
        return True


def _children() -> set[int]:
    return {p.pid for p in psutil.Process().children(recursive=True)}


@pytest.fixture
def usable(worker: Worker) -> Iterator[Worker]:
    """Return the shared worker, and prove after the test that it still runs tasks."""
    yield worker
    outcome = worker.run("job_tasks:echo", {"value": 1})
    assert (outcome.state, outcome.result["value"]) == (JobState.COMPLETED, 1)


def test_run_task_returns_its_result(usable: Worker) -> None:
    outcome = usable.run("job_tasks:echo", {"value": [1, "two", None]})
    assert outcome.state == JobState.COMPLETED
    assert outcome.result == {"value": [1, "two", None], "pid": usable.pid}
    assert outcome.failure is None
    assert outcome.peak_rss_bytes > 1_000_000


def test_run_task_without_a_result_completes(usable: Worker) -> None:
    outcome = usable.run("job_tasks:return_nothing", {})
    assert (outcome.state, outcome.result) == (JobState.COMPLETED, {})


@pytest.mark.parametrize(
    ("task", "message", "trace"),
    [
        ("raise_value_error", "ValueError: no such luck", "in raise_value_error"),
        ("raise_system_exit", "SystemExit: 7", "in raise_system_exit"),
        ("raise_keyboard_interrupt", "KeyboardInterrupt", "in raise_keyboard_interrupt"),
        ("raise_unprintable", "UnprintableError: (its message cannot be shown)", "in raise_unprintable"),
        ("raise_surrogates", "ValueError: a name like \\udcff", "in raise_surrogates"),
        ("return_a_text", "ValueError", "child.py"),
        ("return_a_wrong_state", "ValueError: 'NOWHERE'", "child.py"),
        ("return_an_object", "a message cannot be sent", ""),
        ("return_too_much", "bytes cannot be sent", ""),
        ("no_such_task", "AttributeError", "no_such_task"),
    ],
)
def test_run_task_that_raises_fails_with_the_reason(
    usable: Worker, task: str, message: str, trace: str
) -> None:
    usable.start()
    pid = usable.pid
    outcome = usable.run(f"job_tasks:{task}", {})
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert outcome.failure.kind == "exception"
    assert message in outcome.failure.message
    assert trace in outcome.failure.traceback
    assert usable.pid == pid  # No reason to give the process up


def test_run_unknown_module_fails_with_the_reason(usable: Worker) -> None:
    outcome = usable.run("no_such_module:task", {})
    assert outcome.failure is not None
    assert "No module named 'no_such_module'" in outcome.failure.message


def test_run_task_that_raises_our_error_fails_without_a_traceback(usable: Worker) -> None:
    failure = usable.run("job_tasks:raise_config_error", {}).failure
    assert failure is not None
    assert (failure.kind, failure.traceback) == ("input", "")
    assert failure.message == "the field is 3; expected 2; change it"


def test_run_task_with_a_message_of_any_length_is_cut(usable: Worker) -> None:
    failure = usable.run("job_tasks:raise_a_novel", {}).failure
    assert failure is not None
    assert len(failure.message) < 5_000
    assert len(failure.traceback) < 70_000


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("exit_at_once", "died", "ended by itself with exit code 5"),
        ("abort", "died", "died of SIGABRT"),
        ("die_of_real_time_signal", "died", "died of signal 40"),
        ("kill_itself", "killed", "killed from outside (SIGKILL)"),
    ],
)
def test_run_task_whose_process_dies_fails_with_the_reason(
    usable: Worker, task: str, kind: str, message: str
) -> None:
    failure = usable.run(f"job_tasks:{task}", {}).failure
    assert failure is not None
    assert failure.kind == kind
    assert message in failure.message
    assert "MB resident when last seen" in failure.message


def test_run_task_whose_process_dies_keeps_its_last_words_alone(usable: Worker) -> None:
    usable.run("job_tasks:write_to_stderr", {"text": "of an earlier task\n"})
    failure = usable.run("job_tasks:exit_at_once", {}).failure
    assert failure is not None
    assert failure.traceback == "last words\n"


def test_run_killed_from_outside_is_interrupted(usable: Worker) -> None:
    def kill(progress: Progress) -> None:
        assert usable.pid is not None
        os.kill(usable.pid, signal.SIGKILL)

    outcome = usable.run("job_tasks:sleep_forever", {}, on_progress=kill)
    assert outcome.state == JobState.INTERRUPTED
    assert outcome.failure is not None
    assert outcome.failure.kind == "killed"


def test_run_task_that_breaks_the_line_fails(usable: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.jobs.worker._EXIT_SECS", 0.2)
    outcome = usable.run("job_tasks:break_the_line", {})
    assert outcome.failure is not None
    assert "the line to the process broke" in outcome.failure.message


def test_run_task_that_eats_memory_is_killed_at_the_limit(usable: Worker) -> None:
    usable.run("job_tasks:echo", {})
    outcome = usable.run("job_tasks:eat_memory", {}, limits=Limits(memory_bytes=300_000_000))
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert outcome.failure.kind == "memory"
    assert "more than its limit of 300 MB" in outcome.failure.message
    assert "in eat_memory" in outcome.failure.traceback
    assert outcome.peak_rss_bytes > 300_000_000


@pytest.mark.parametrize("task", ["sleep_forever", "hold_the_interpreter"])
def test_run_task_that_hangs_is_killed_and_its_stack_told(usable: Worker, task: str) -> None:
    outcome = usable.run(f"job_tasks:{task}", {}, limits=Limits(stall_secs=1.0))
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert outcome.failure.kind == "stalled"
    assert outcome.failure.message == "killed: no progress for 1 s"
    assert f"in {task}" in outcome.failure.traceback


def test_cancel_is_honoured_and_results_are_kept(usable: Worker) -> None:
    seen: list[int] = []

    def cancel(progress: Progress) -> None:
        seen.append(progress.events)
        if progress.events == 5:
            usable.cancel()

    outcome = usable.run("job_tasks:work_until_cancelled", {}, on_progress=cancel)
    assert outcome.state == JobState.CANCELLED
    assert outcome.failure is None
    assert outcome.result["steps"] >= 5
    assert seen == list(range(1, outcome.result["steps"] + 1))


def test_cancel_that_is_ignored_kills_after_the_grace(usable: Worker) -> None:
    outcome = usable.run(
        "job_tasks:ignore_the_cancel",
        {},
        on_progress=lambda p: usable.cancel(),
        limits=Limits(cancel_secs=0.5),
    )
    assert outcome.state == JobState.CANCELLED
    assert outcome.failure is not None
    assert outcome.failure.kind == "cancel"
    assert "no answer to a cancel for 0.5 s" in outcome.failure.message
    assert "in ignore_the_cancel" in outcome.failure.traceback


def test_cancel_before_the_start_reaches_the_task(usable: Worker) -> None:
    switch = Switch()
    switch.cancel()
    outcome = usable.run("job_tasks:work_until_cancelled", {}, switch=switch)
    assert outcome.state == JobState.CANCELLED
    assert outcome.result["steps"] == 0


def test_cancel_after_the_end_does_not_reach_the_next_task(usable: Worker) -> None:
    switch = Switch()
    usable.run("job_tasks:echo", {}, switch=switch)
    switch.cancel()
    usable.cancel()
    outcome = usable.run("job_tasks:work_until_cancelled", {"steps": 3})
    assert (outcome.state, outcome.result) == (JobState.COMPLETED, {"steps": 3})


def test_pause_holds_the_task_and_resume_lets_it_go_on(usable: Worker) -> None:
    states: list[tuple[JobState, int]] = []
    held_for: list[float] = []

    def steer(progress: Progress) -> None:
        states.append((progress.state, progress.events))
        if progress.events == 3 and progress.state == JobState.RUNNING:
            usable.pause()
        if progress.state == JobState.PAUSED:
            began = time.monotonic()
            # Longer than the limit: a paused task is not stalled.
            threading.Timer(0.8, lambda: (held_for.append(time.monotonic() - began), usable.resume())).start()

    outcome = usable.run(
        "job_tasks:work_until_cancelled", {"steps": 40}, on_progress=steer, limits=Limits(stall_secs=0.5)
    )
    assert (outcome.state, outcome.result) == (JobState.COMPLETED, {"steps": 40})
    (paused_at,) = [i for i, (state, _) in enumerate(states) if state == JobState.PAUSED]
    assert held_for[0] >= 0.8
    assert states[paused_at][1] == states[paused_at - 1][1]
    assert states[paused_at + 1] == (JobState.RUNNING, states[paused_at][1] + 1)


def test_pause_before_the_start_holds_the_task(usable: Worker) -> None:
    switch = Switch()
    switch.pause()

    def steer(progress: Progress) -> None:
        seen.append(progress.state)
        if progress.state == JobState.PAUSED:
            switch.resume()

    seen: list[JobState] = []
    usable.run("job_tasks:work_until_cancelled", {"steps": 5}, on_progress=steer, switch=switch)
    assert seen[:2] == [JobState.RUNNING, JobState.PAUSED]
    assert seen.count(JobState.PAUSED) == 1


def test_cancel_ends_a_pause(usable: Worker) -> None:
    switch = Switch()
    switch.pause()

    def steer(progress: Progress) -> None:
        if progress.state == JobState.PAUSED:
            switch.cancel()

    outcome = usable.run("job_tasks:work_until_cancelled", {}, on_progress=steer, switch=switch)
    assert (outcome.state, outcome.result) == (JobState.CANCELLED, {"steps": 1})


def test_run_sets_have_one_order_in_every_process(usable: Worker) -> None:
    with Worker() as fresh:
        orders = [one.run("job_tasks:show_a_set", {}).result["order"] for one in (usable, fresh)]
    assert orders[0] == orders[1]


def test_recycle_runs_the_task_in_a_fresh_process(usable: Worker) -> None:
    pids = [usable.run("job_tasks:want_a_fresh_process", {}).result["pid"] for _ in range(3)]
    assert len(set(pids)) == 3


def test_recycle_keeps_a_pause_and_a_cancel(usable: Worker) -> None:
    usable.run("job_tasks:want_a_fresh_process", {})
    switch = Switch()
    switch.pause()
    pid = usable.pid

    def steer(progress: Progress) -> None:
        assert progress.state == JobState.PAUSED
        switch.cancel()

    result = usable.run("job_tasks:want_a_fresh_process", {}, switch=switch, on_progress=steer).result
    assert result["pid"] != pid
    assert result["cancelled"]


def test_recycle_twice_fails(usable: Worker) -> None:
    failure = usable.run("job_tasks:want_the_impossible", {}).failure
    assert failure is not None
    assert "twice" in failure.message


def test_run_on_progress_that_raises_cancels_and_raises(usable: Worker, tmp_path: Path) -> None:
    def fail(progress: Progress) -> None:
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        usable.run("job_tasks:work_until_cancelled", {"keep": str(tmp_path / "kept")}, on_progress=fail)
    assert int((tmp_path / "kept").read_text()) >= 1


# An interrupt may land inside psutil, between the opening of a file under /proc and the block that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_run_interrupted_cancels_keeps_and_raises(usable: Worker, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.events == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        usable.run("job_tasks:work_until_cancelled", {"keep": str(tmp_path / "kept")}, on_progress=interrupt)
    assert int((tmp_path / "kept").read_text()) >= 2


# An interrupt may land inside psutil, between the opening of a file under /proc and the block that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_run_interrupted_while_waiting_cancels_and_raises(usable: Worker, tmp_path: Path) -> None:
    started = threading.Event()

    def interrupt() -> None:
        started.wait(DEADLINE_SECS)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        usable.run(
            "job_tasks:sleep_forever",
            {},
            on_progress=lambda p: started.set(),
            limits=Limits(cancel_secs=0.3),
        )


# An interrupt may land inside psutil, between the opening of a file under /proc and the block that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_run_interrupted_twice_kills_the_task(usable: Worker) -> None:
    """The second interrupt does not wait for a task that ignores the first."""

    def interrupt(progress: Progress) -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        signal.raise_signal(signal.SIGINT)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        usable.run("job_tasks:ignore_the_cancel", {}, on_progress=interrupt, limits=Limits(cancel_secs=60))
    assert time.monotonic() - began < 30
    assert usable.pid is None


def test_run_spec_that_cannot_be_sent_raises(usable: Worker) -> None:
    with pytest.raises(WorkerError, match="cannot be sent"):
        usable.run("job_tasks:echo", {"value": object()})


def test_run_two_workers_run_at_once(worker: Worker, tmp_path: Path) -> None:
    results: list[Any] = []
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]

    def meet(one: Worker, mine: str, other: str) -> None:
        results.append(one.run("job_tasks:meet", {"mine": mine, "other": other}).state)

    with Worker() as second:
        threads = [
            threading.Thread(target=meet, args=(worker, *paths)),
            threading.Thread(target=meet, args=(second, *reversed(paths))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECS)
    assert results == [JobState.COMPLETED, JobState.COMPLETED]


def test_run_two_threads_on_one_worker_take_turns(usable: Worker) -> None:
    results: list[tuple[int, int]] = []

    def work(steps: int) -> None:
        seen: list[int] = []
        result = usable.run(
            "job_tasks:work_until_cancelled", {"steps": steps}, on_progress=lambda p: seen.append(p.events)
        ).result
        assert seen == list(range(1, steps + 1))
        results.append((steps, result["steps"]))

    threads = [threading.Thread(target=work, args=(steps,)) for steps in (20, 30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECS)
    assert sorted(results) == [(20, 20), (30, 30), (40, 40)]


def test_run_next_task_finds_nothing_of_the_last(usable: Worker, tmp_path: Path) -> None:
    spec = {"directory": str(tmp_path)}
    first = usable.run("job_tasks:change_everything", spec).result
    second = usable.run("job_tasks:change_everything", spec).result
    assert first == second == {"cwd": str(Path.cwd()), "path": False, "variable": None, "precision": 28}
    calls = [usable.run("job_tasks:count_calls", {}).result["calls"] for _ in range(2)]
    assert calls == [1, 1]


def test_run_edited_module_on_a_warm_worker_uses_the_new_source(
    usable: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "local_module.py"
    results = []
    for value in ("first", "second text"):
        module.write_text(f"VALUE = {value!r}\nCOUNT = 0\n")
        results.append(usable.run("job_tasks:load_local_module", {}).result)
    assert [(r["value"], r["count"]) for r in results] == [("first", 1), ("second text", 1)]
    assert results[0]["pid"] == results[1]["pid"]


def test_close_ends_the_child_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = set(Path("/proc/self/fd").iterdir())
    threads = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Worker() as worker:
            worker.start()
            pid = worker.pid
            assert pid is not None
            path = Path(worker.run("job_tasks:name_a_temporary_file", {}).result["path"])
            assert tmp_path in path.parents
            worker.run("job_tasks:exit_at_once", {})
            worker.run("job_tasks:echo", {})
            last = worker.pid
        del worker
        gc.collect()
    assert is_gone(pid)
    assert last is not None
    assert is_gone(last)
    assert not (_children() & {pid, last})
    assert list(tmp_path.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == descriptors
    assert threading.active_count() == threads


def test_close_while_a_task_runs_ends_the_run(tmp_path: Path) -> None:
    worker = Worker()
    outcome = worker.run(
        "job_tasks:sleep_forever", {}, on_progress=lambda p: threading.Thread(target=worker.close).start()
    )
    assert outcome.state == JobState.INTERRUPTED
    assert outcome.failure is not None


def test_task_that_starts_a_process_and_dies_is_noticed(usable: Worker, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    try:
        failure = usable.run("job_tasks:start_a_process", {"pid_file": str(pid_file)}).failure
        assert failure is not None
        assert "exit code 9" in failure.message
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


_PARENT = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from workbench.jobs.worker import Limits, Worker

    worker = Worker()
    worker.start()

    def note(progress):
        Path(sys.argv[2]).write_text(f"{worker.pid} {worker._scratch.name}")

    spec = {"keep": sys.argv[4]}
    worker.run(f"job_tasks:{sys.argv[3]}", spec, on_progress=note, limits=Limits(stall_secs=float(sys.argv[5])))
"""


def _kill_a_parent(tmp_path: Path, task: str, stall_secs: float) -> tuple[int, Path]:
    """Run a task in a parent of its own, kill that one with SIGKILL, and return its child and scratch."""
    note = tmp_path / "note"
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", textwrap.dedent(_PARENT), here, str(note), task, str(tmp_path / "kept")]
    parent = subprocess.Popen([*command, str(stall_secs)], cwd=Path(__file__).parents[2])
    seen: list[str] = []

    def is_noted() -> bool:  # It is written again and again: what was read once is kept
        seen[:] = note.read_text().split() if note.exists() else []
        return len(seen) == 2

    wait_until(is_noted)
    parent.kill()
    parent.wait()
    pid, scratch = seen
    return int(pid), Path(scratch)


def test_parent_killed_child_keeps_what_it_has_and_ends(tmp_path: Path) -> None:
    pid, scratch = _kill_a_parent(tmp_path, "work_until_cancelled", 600)
    wait_until(lambda: is_gone(pid))
    assert int((tmp_path / "kept").read_text()) >= 1
    assert not scratch.exists()


@pytest.mark.parametrize(("task", "stall_secs"), [("ignore_the_cancel", 600), ("hold_the_interpreter", 3)])
def test_parent_killed_deaf_child_ends_within_a_deadline(
    tmp_path: Path, task: str, stall_secs: float
) -> None:
    pid, scratch = _kill_a_parent(tmp_path, task, stall_secs)
    try:
        wait_until(lambda: is_gone(pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        for path in scratch.glob("*"):
            path.unlink()
        with contextlib.suppress(OSError):
            scratch.rmdir()


def test_closed_worker_starts_no_process_any_more(tmp_path: Path) -> None:
    worker = Worker()
    worker.close()

    with pytest.raises(WorkerError, match="the worker was closed"):
        worker.run("job_tasks:echo", {})

    assert worker.pid is None
