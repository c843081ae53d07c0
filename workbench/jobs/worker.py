"""A worker guards one warm child process and runs one task at a time in it."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from workbench.errors import WorkerError
from workbench.jobs.channel import Cancel, Channel, Finished, Message, Pause, Recycle, Resume, Run, Tick
from workbench.records import Failure, Progress
from workbench.states import JobState

__all__ = ["Limits", "Outcome", "Worker"]

_POLL_SECS = 0.2


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    The bounds of a task.

    Attributes
    ----------
    memory_bytes : int, optional
        The resident memory at which the child is killed. ``None``: nine tenths of what the machine has
        free when the task starts.
    stall_secs : float
        How long a task that is not paused may go without progress before it is killed.
    cancel_secs : float
        How long a cancelled task may take to put its results away before it is killed.

    """

    memory_bytes: int | None = None
    stall_secs: float = 600.0
    cancel_secs: float = 30.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a task ended.

    Attributes
    ----------
    state : JobState
        COMPLETED, CANCELLED or FAILED.
    result : dict
        What the task returned; empty if it did not return.
    failure : Failure, optional
        Why it failed or, for a cancelled task, why nothing was kept.
    peak_rss_bytes : int
        The most resident memory that was seen.

    """

    state: JobState
    result: dict[str, Any]
    failure: Failure | None = None
    peak_rss_bytes: int = 0


class Worker:
    """
    Runs tasks in a child process of its own, which stays warm between them.

    The child is a fresh interpreter in a session of its own: Ctrl-C in a terminal reaches only the parent.
    It ends by itself when the parent goes. `pause`, `resume` and `cancel` may be called from any thread;
    `run` is for one thread at a time.

    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._scratch = tempfile.TemporaryDirectory(prefix="workbench-worker-")
        self._cancelled_at: float | None = None
        self._is_paused = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the child's process identifier, or ``None`` if there is no child."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the child if there is none, so that a later `run` finds it warm."""
        if self._process is not None and self._process.poll() is None:
            return
        self._discard()
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.jobs.child", str(theirs.fileno()), str(self._stacks)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr.open("wb"),
                start_new_session=True,
            )
        except OSError as e:
            ours.close()
            raise WorkerError(f"no child process could be started: {e}") from e
        finally:
            theirs.close()
        self._channel = Channel(ours)
        self._inbox = queue.SimpleQueue()
        threading.Thread(
            target=_pump, args=(self._channel, self._inbox), name="worker-inbox", daemon=True
        ).start()

    def run(
        self,
        task: str,
        spec: dict[str, Any],
        *,
        on_progress: Callable[[Progress], None] | None = None,
        limits: Limits | None = None,
    ) -> Outcome:
        """
        Run `task` in the child and return how it ended.

        A task that raises, dies, hangs or eats too much memory ends as a FAILED outcome, never as an
        exception here. An interrupt (Ctrl-C) cancels the task, waits for what it keeps and is raised again.

        Parameters
        ----------
        task : str
            The callable, ``module:function``; it is called with `spec` and a `Control`.
        spec : dict
            What the task is to do: plain values that msgpack can carry.
        on_progress : Callable[[Progress], None], optional
            Called with every progress, on the calling thread.
        limits : Limits, optional
            The bounds of the task.

        """
        limits = limits or Limits()
        with self._lock:
            self._cancelled_at, self._is_paused = None, False
        for _ in range(2):
            self.start()
            outcome = self._run_once(Run(task, spec), on_progress, limits)
            if outcome is not None:
                return outcome
            self._kill()  # The task asked for a fresh process
        return _failed("died", "the task asked for a fresh process twice", 0)

    def pause(self) -> None:
        """Hold the running task at its next checkpoint."""
        with self._lock:
            self._is_paused = True
            self._tell(Pause())

    def resume(self) -> None:
        """Let the paused task go on."""
        with self._lock:
            self._is_paused = False
            self._tell(Resume())

    def cancel(self) -> None:
        """Stop the running task at its next checkpoint; it is killed if that takes too long."""
        with self._lock:
            if self._cancelled_at is None:
                self._cancelled_at = time.monotonic()
            self._tell(Cancel())

    def close(self) -> None:
        """End the child."""
        self._kill()
        self._scratch.cleanup()

    @property
    def _stacks(self) -> Path:
        return Path(self._scratch.name) / "stacks.txt"

    @property
    def _stderr(self) -> Path:
        return Path(self._scratch.name) / "stderr.txt"

    def _tell(self, message: Message) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):  # A dead child is noticed by `run`
                self._channel.send(message)

    def _run_once(
        self, run: Run, on_progress: Callable[[Progress], None] | None, limits: Limits
    ) -> Outcome | None:
        watch = _Watch(self.pid, limits)
        self._tell(run)
        if self._cancelled_at is not None:
            self._tell(Cancel())
        while True:
            try:
                message = self._next()
                if message is _SILENCE or isinstance(message, Tick):
                    if isinstance(message, Tick):
                        watch.note_progress()
                        if on_progress is not None:
                            on_progress(msgspec.structs.replace(message.progress, rss_bytes=watch.rss_bytes))
                    failure = watch.find_breach(self._cancelled_at, is_paused=self._is_paused)
                    if failure is not None:
                        return self._end_by_force(failure, watch)
                elif isinstance(message, Finished):
                    return Outcome(
                        state=message.state,
                        result=message.result,
                        failure=message.failure,
                        peak_rss_bytes=watch.peak_bytes,
                    )
                elif isinstance(message, Recycle):
                    return None
                elif message is None:
                    return self._explain_death(watch)
            except KeyboardInterrupt:
                self.cancel()
                self._drain(watch)
                raise

    def _next(self) -> Message | object | None:
        try:
            return self._inbox.get(timeout=_POLL_SECS)
        except queue.Empty:
            return _SILENCE

    def _drain(self, watch: _Watch) -> None:
        """Wait until a cancelled task has put its results away, or its grace is over."""
        while True:
            message = self._next()
            if message is None or isinstance(message, Finished | Recycle):
                return
            if message is _SILENCE and watch.find_breach(self._cancelled_at, is_paused=False) is not None:
                self._kill()
                return

    def _end_by_force(self, failure: Failure, watch: _Watch) -> Outcome:
        stacks = self._read_stacks() if failure.kind in ("stalled", "cancel") else ""
        self._kill()
        state = JobState.CANCELLED if failure.kind == "cancel" else JobState.FAILED
        failure = msgspec.structs.replace(failure, traceback=stacks)
        return Outcome(state=state, result={}, failure=failure, peak_rss_bytes=watch.peak_bytes)

    def _read_stacks(self) -> str:
        """Return where the child's threads stand: its interpreter writes that from a signal handler."""
        if self._process is None:
            return ""
        deadline = time.monotonic() + 2.0
        self._process.send_signal(signal.SIGUSR1)
        size = -1
        while time.monotonic() < deadline:
            time.sleep(0.05)
            now = self._stacks.stat().st_size if self._stacks.exists() else 0
            if now > 0 and now == size:
                break
            size = now
        return self._stacks.read_text(errors="replace") if self._stacks.exists() else ""

    def _explain_death(self, watch: _Watch) -> Outcome:
        process = self._process
        code = None if process is None else process.wait(timeout=10)
        errors = self._stderr.read_text(errors="replace")[-4000:] if self._stderr.exists() else ""
        self._kill()
        rss = f"{watch.rss_bytes / 1e6:,.0f} MB resident when last seen"
        if code == -signal.SIGKILL:
            message = f"the process was killed from outside (SIGKILL), likely for memory: {rss}"
            return _failed("memory", message, watch.peak_bytes, errors)
        if code is not None and code < 0:
            message = f"the process died of {signal.Signals(-code).name}: {rss}"
        else:
            message = f"the process ended by itself with exit code {code}: {rss}"
        return _failed("died", message, watch.peak_bytes, errors)

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._discard()

    def _discard(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.wait(timeout=10)
        self._channel = self._process = None


_SILENCE = object()


def _pump(channel: Channel, inbox: queue.SimpleQueue[Message | None]) -> None:
    """Move messages to the inbox; ``None`` says that the child is gone."""
    message: Message | None = None
    with contextlib.suppress(WorkerError):  # Nonsense on the line counts as a dead child
        while (message := channel.receive()) is not None:
            inbox.put(message)
    inbox.put(None)


class _Watch:
    """Watches a child from outside: memory, progress, and the grace after a cancel."""

    def __init__(self, pid: int | None, limits: Limits) -> None:
        self._limits = limits
        self._process = psutil.Process(pid) if pid is not None else None
        self._last_progress = time.monotonic()
        self._memory_bytes = limits.memory_bytes or int(psutil.virtual_memory().available * 0.9)
        self.rss_bytes = 0
        self.peak_bytes = 0
        self._measure()

    def note_progress(self) -> None:
        self._last_progress = time.monotonic()

    def find_breach(self, cancelled_at: float | None, *, is_paused: bool) -> Failure | None:
        self._measure()
        now = time.monotonic()
        if self.rss_bytes > self._memory_bytes:
            limit = f"{self._memory_bytes / 1e6:,.0f} MB"
            message = f"the run held {self.rss_bytes / 1e6:,.0f} MB, more than its limit of {limit}"
            return Failure(kind="memory", message=message)
        if cancelled_at is not None:
            if now - cancelled_at > self._limits.cancel_secs:
                secs = self._limits.cancel_secs
                return Failure(
                    kind="cancel", message=f"killed: no answer to a cancel for {secs:g} s; no results"
                )
            return None
        if is_paused:
            self._last_progress = now
        elif now - self._last_progress > self._limits.stall_secs:
            secs = self._limits.stall_secs
            return Failure(kind="stalled", message=f"killed: no progress in simulated time for {secs:g} s")
        return None

    def _measure(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(psutil.Error):  # Gone: `run` notices
            self.rss_bytes = self._process.memory_info().rss
            self.peak_bytes = max(self.peak_bytes, self.rss_bytes)


def _failed(kind: str, message: str, peak_bytes: int, trace: str = "") -> Outcome:
    return Outcome(
        state=JobState.FAILED,
        result={},
        failure=Failure(kind=kind, message=message, traceback=trace),
        peak_rss_bytes=peak_bytes,
    )
