"""A worker guards one warm child process and runs one task at a time in it."""

from __future__ import annotations

import contextlib
import os
import queue
import select
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

from workbench.errors import WorkerError
from workbench.jobs.channel import Channel, Finished, Heard, Inspected, Message, Recycle, Run, Tick
from workbench.jobs.switch import Switch
from workbench.jobs.watch import Limits, Watch
from workbench.records import Failure, Inspection, Progress
from workbench.states import JobState

__all__ = ["Limits", "Outcome", "Worker"]

_POLL_SECS = 0.2
_EXIT_SECS = 10.0
_MAX_STDERR = 4_000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a task ended.

    Attributes
    ----------
    state : JobState
        COMPLETED, CANCELLED, FAILED or, when the child was killed from outside, INTERRUPTED.
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
    It ends by itself when the parent goes, and what it wrote to temporary files goes with it. All methods may
    be called from any thread; tasks that several threads want to run take turns.

    Parameters
    ----------
    owner : str
        A mark on the command line of the child: by it an heir finds what its parent could not end.

    """

    def __init__(self, owner: str = "") -> None:
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._pump: threading.Thread | None = None
        self._stacks: int | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="workbench-worker-", ignore_cleanup_errors=True)
        self._stderr_start = 0
        self._switch: Switch | None = None
        self._turn = threading.Lock()
        self._starting = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the child's process identifier, or ``None`` if there is no child."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """
        Start the child if there is none, so that a later `run` finds it warm.

        Raises
        ------
        WorkerError
            If no process can be started, or the worker was closed.

        """
        with self._starting:
            if self._is_closed:
                raise WorkerError("the worker was closed")
            if self._process is None or self._process.poll() is not None:
                self._discard()
                self._start()

    def run(
        self,
        task: str,
        spec: dict[str, Any],
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_inspection: Callable[[Inspection], None] | None = None,
        limits: Limits | None = None,
        switch: Switch | None = None,
        search_path: list[str] | None = None,
        lock: str = "",
    ) -> Outcome:
        """
        Run `task` in the child and return how it ended.

        A task that raises, dies, hangs or eats too much memory ends as a FAILED outcome, never as an
        exception here. An interrupt (Ctrl-C), or an error in `on_progress`, cancels the task, waits for what
        it keeps and is raised again.

        Parameters
        ----------
        task : str
            The callable, ``module:function``; it is called with `spec` and a `Control`. The child finds
            modules wherever this process does.
        spec : dict
            What the task is to do: plain values that msgpack can carry.
        on_progress : Callable[[Progress], None], optional
            Called with every progress, on the calling thread.
        on_inspection : Callable[[Inspection], None], optional
            Called with what the task holds when it pauses, on the calling thread.
        limits : Limits, optional
            The bounds of the task.
        switch : Switch, optional
            Steers this task, also before it has started; `pause`, `resume` and `cancel` here use it too.
        search_path : list[str], optional
            Where the child finds modules; default: where this process does.
        lock : str
            A file that the child holds a lock on while the task runs; none by default.

        Raises
        ------
        WorkerError
            If no process can be started, or `spec` cannot be sent.

        """
        limits, switch = limits or Limits(), switch or Switch()
        if search_path is None:
            search_path = [p or str(Path.cwd()) for p in sys.path]
        message = Run(task, spec, search_path, lock, limits.stall_secs)
        with self._turn:
            self._switch = switch
            try:
                for _ in range(2):
                    self.start()
                    outcome = self._run_once(message, switch, on_progress, on_inspection, limits)
                    if outcome is not None:
                        return outcome
                    self._kill()  # The task asked for a fresh process
            finally:
                switch.detach()
                self._switch = None
        return _failed("died", "the task asked for a fresh process twice", 0)

    def pause(self) -> None:
        """Hold the running task at its next checkpoint."""
        if (switch := self._switch) is not None:
            switch.pause()

    def resume(self) -> None:
        """Let the paused task go on."""
        if (switch := self._switch) is not None:
            switch.resume()

    def cancel(self) -> None:
        """Stop the running task at its next checkpoint; it is killed if that takes too long."""
        if (switch := self._switch) is not None:
            switch.cancel()

    def close(self) -> None:
        """End the child, for good; a task that runs in it has died."""
        with self._starting:
            self._is_closed = True  # A task that is about to start must not leave a child behind
        self._kill()
        self._scratch.cleanup()

    @property
    def _stderr(self) -> Path:
        return Path(self._scratch.name) / "stderr.txt"

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        stacks, stacks_end = os.pipe()
        # Sets iterate in the same order in every child. Nautilus walks sets of ids in places: with Python's
        # random hashes, a run with several open reduce-only orders differs from process to process.
        environment = {**os.environ, "TMPDIR": self._scratch.name, "PYTHONHASHSEED": "0"}
        arguments = [str(theirs.fileno()), str(stacks_end), self._scratch.name, self._owner]
        try:
            with self._stderr.open("wb") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "workbench.jobs.child", *arguments],
                    pass_fds=[theirs.fileno(), stacks_end],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as e:
            ours.close()
            os.close(stacks)
            raise WorkerError(f"no child process could be started: {e}") from e
        finally:
            theirs.close()
            os.close(stacks_end)
        self._channel, self._stacks = Channel(ours), stacks
        self._inbox = queue.SimpleQueue()
        self._pump = threading.Thread(
            target=_move, args=(self._channel, self._inbox), name="worker-inbox", daemon=True
        )
        self._pump.start()

    def _run_once(
        self,
        run: Run,
        switch: Switch,
        on_progress: Callable[[Progress], None] | None,
        on_inspection: Callable[[Inspection], None] | None,
        limits: Limits,
    ) -> Outcome | None:
        channel, watch = self._channel, Watch(self.pid, limits)
        if channel is None:
            return _interrupted("the worker was closed before the task began", 0)
        self._stderr_start = self._stderr.stat().st_size
        run = msgspec.structs.replace(
            run,
            is_paused=switch.is_paused,
            is_cancelled=switch.cancelled_at is not None,
            is_interrupted=switch.is_interrupted,
        )
        with contextlib.suppress(OSError):  # A dead child is noticed below
            channel.send(run)
        try:
            switch.attach(_build_teller(channel), is_answered=True)
            return self._follow(switch, on_progress, on_inspection, watch)
        except BaseException:
            switch.cancel()
            self._drain(switch, watch)
            raise

    def _follow(
        self,
        switch: Switch,
        on_progress: Callable[[Progress], None] | None,
        on_inspection: Callable[[Inspection], None] | None,
        watch: Watch,
    ) -> Outcome | None:
        while True:
            message = self._next()
            if isinstance(message, Finished):
                watch.measure()
                return Outcome(
                    state=message.state,
                    result=message.result,
                    failure=message.failure,
                    peak_rss_bytes=watch.peak_bytes,
                )
            if isinstance(message, Recycle):
                return None
            if message is None:
                return self._explain_death(watch)
            if isinstance(message, Heard):
                switch.note_heard()
            if isinstance(message, Inspected) and on_inspection is not None:
                on_inspection(message.inspection)
            if isinstance(message, Tick):
                watch.note_progress(is_held=message.progress.state == JobState.PAUSED)
            failure = watch.find_breach(switch)
            if failure is not None:
                return self._end_by_force(failure, watch)
            if isinstance(message, Tick) and on_progress is not None:
                seen = {"rss_bytes": watch.rss_bytes, "cpu_percent": watch.cpu_percent}
                on_progress(msgspec.structs.replace(message.progress, **seen))

    def _next(self) -> Message | object | None:
        try:
            return self._inbox.get(timeout=_POLL_SECS)
        except queue.Empty:
            return _SILENCE

    def _drain(self, switch: Switch, watch: Watch) -> None:
        """Wait until a cancelled task has put its results away, or its grace is over."""
        is_drained = False
        try:
            while not is_drained:
                message = self._next()
                if message is None or isinstance(message, Finished | Recycle):
                    is_drained = True
                elif watch.find_breach(switch) is not None:
                    break
        finally:
            # Interrupted again, or no answer: what is left of the task must not meet the next one.
            if not is_drained:
                self._kill()

    def _end_by_force(self, failure: Failure, watch: Watch) -> Outcome:
        stacks = self._read_stacks(patience_secs=0.3 if failure.kind == "memory" else 2.0)
        self._kill()
        state = _STATES.get(failure.kind, JobState.FAILED)
        failure = msgspec.structs.replace(failure, traceback=stacks)
        return Outcome(state=state, result={}, failure=failure, peak_rss_bytes=watch.peak_bytes)

    def _read_stacks(self, patience_secs: float) -> str:
        """Return where the child's threads stand: its interpreter writes that from a signal handler."""
        process, pipe = self._process, self._stacks
        if process is None or pipe is None:
            return ""
        process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + patience_secs
        parts: list[bytes] = []
        # Once it writes, it does so without a break.
        while select.select([pipe], [], [], 0.1 if parts else max(deadline - time.monotonic(), 0))[0]:
            part = os.read(pipe, 65_536)
            if not part:
                break
            parts.append(part)
        return b"".join(parts).decode(errors="replace")

    def _explain_death(self, watch: Watch) -> Outcome:
        process, code = self._process, None
        if process is not None:
            # It may live on with a broken line, when a task has closed or written to what is not its own.
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=_EXIT_SECS)
        errors = self._read_stderr()
        self._kill()
        rss = f"{watch.rss_bytes / 1e6:,.0f} MB resident when last seen"
        if process is None:
            return _interrupted("the worker was closed while the task ran", watch.peak_bytes)
        if code is None:
            return _failed("died", "the line to the process broke; it was killed", watch.peak_bytes, errors)
        if code == -signal.SIGKILL:
            return self._explain_kill(watch, rss)
        if code < 0:
            message = f"the process died of {_name_signal(-code)}: {rss}"
        else:
            message = f"the process ended by itself with exit code {code}: {rss}"
        return _failed("died", message, watch.peak_bytes, errors)

    def _explain_kill(self, watch: Watch, rss: str) -> Outcome:
        if watch.has_kernel_killed():
            message = f"the kernel killed the process, for the machine's memory ran out: {rss}"
            return _failed("memory", message, watch.peak_bytes)
        return _interrupted(f"the process was killed from outside (SIGKILL): {rss}", watch.peak_bytes)

    def _read_stderr(self) -> str:
        """Return the end of what the child wrote to its standard error during this task."""
        try:
            with self._stderr.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._stderr_start, end - _MAX_STDERR))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def _kill(self) -> None:
        with self._starting:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
            self._discard()

    def _discard(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.wait(timeout=_EXIT_SECS)
        if self._pump is not None:
            self._pump.join(timeout=_EXIT_SECS)
        if self._stacks is not None:
            os.close(self._stacks)
        self._channel = self._process = self._pump = self._stacks = None


_SILENCE = object()
_STATES = {"cancel": JobState.CANCELLED, "interrupted": JobState.INTERRUPTED}


def _move(channel: Channel, inbox: queue.SimpleQueue[Message | None]) -> None:
    """Move messages to the inbox; ``None`` says that the child is gone."""
    message: Message | None = None
    with contextlib.suppress(WorkerError):  # Nonsense on the line counts as a dead child
        while (message := channel.receive()) is not None:
            inbox.put(message)
    inbox.put(None)


def _build_teller(channel: Channel) -> Callable[[Message], None]:
    def tell(message: Message) -> None:
        with contextlib.suppress(OSError):  # A dead child is noticed by `run`
            channel.send(message)

    return tell


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # A real-time signal
        return f"signal {number}"


def _interrupted(message: str, peak_bytes: int) -> Outcome:
    return Outcome(
        state=JobState.INTERRUPTED,
        result={},
        failure=Failure(kind="killed", message=message),
        peak_rss_bytes=peak_bytes,
    )


def _failed(kind: str, message: str, peak_bytes: int, trace: str = "") -> Outcome:
    return Outcome(
        state=JobState.FAILED,
        result={},
        failure=Failure(kind=kind, message=message, traceback=trace),
        peak_rss_bytes=peak_bytes,
    )
