"""The child process of a worker: ``python -m workbench.jobs.child SOCKET STACKS SCRATCH OWNER``."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import queue
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from workbench.errors import WorkerError
from workbench.jobs.channel import (
    Cancel,
    Channel,
    Finished,
    Heard,
    Inspected,
    Interrupt,
    Pause,
    Recycle,
    Resume,
    Run,
    Tick,
)
from workbench.jobs.control import Control, RecycleError
from workbench.jobs.directory import hold_lock
from workbench.jobs.failures import build_failure
from workbench.jobs.isolation import isolated
from workbench.records import Inspection, Progress
from workbench.states import JobState

__all__ = ["main"]

# How long a child whose parent is gone may take to put its results away.
_ORPHAN_SECS = 5.0
_REARM_SECS = 0.5
_MAX_ALARM_SECS = 1e6


class _Child:
    """Runs tasks on the main thread while a second thread listens."""

    def __init__(self, channel: Channel, stacks: int, scratch: Path) -> None:
        self._channel = channel
        self._stacks = stacks
        self._scratch = scratch
        self._tasks: queue.SimpleQueue[tuple[Run, Control] | None] = queue.SimpleQueue()
        self._control: Control | None = None
        self._alarm_secs: float | None = None

    def listen(self) -> None:
        with contextlib.suppress(WorkerError):  # Nonsense on the line: as good as nobody there
            self._listen()
        # The parent is gone: nobody can use this process, but a run may keep what it has.
        threading.Timer(_ORPHAN_SECS, self.leave, (3,)).start()
        if self._control is not None:
            self._control.interrupt()
        self._tasks.put(None)

    def _listen(self) -> None:
        while (message := self._channel.receive()) is not None:
            if isinstance(message, Run):
                # Made here, not on the main thread, so that a cancel right behind finds it.
                self._control = Control(self._report, self._inspect)
                if message.is_paused:
                    self._control.pause()
                if message.is_interrupted:
                    self._control.interrupt()
                elif message.is_cancelled:
                    self._control.cancel()
                self._alarm_secs = min(message.stall_secs + _ORPHAN_SECS, _MAX_ALARM_SECS)
                self._set_alarm()  # Before the task can take the interpreter
                self._tasks.put((message, self._control))
            elif self._control is None:
                continue
            elif isinstance(message, Pause | Resume):
                if isinstance(message, Pause):
                    self._control.pause()
                else:
                    self._control.resume()
                with contextlib.suppress(OSError):
                    self._channel.send(Heard())
            elif isinstance(message, Cancel):
                self._control.cancel()
            elif isinstance(message, Interrupt):
                self._control.interrupt()

    def hold_alarm(self) -> NoReturn:
        """
        Put off an alarm that ends this process, again and again.

        A task may hold the interpreter in compiled code, so that no thread of Python runs. While the parent
        lives it kills such a child; when the parent is gone nobody is left to do it but this alarm, which
        needs no interpreter. It goes off a little after the parent would have lost its patience.
        """
        pause = threading.Event()
        while True:
            pause.wait(_REARM_SECS)
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm_secs is not None:
            faulthandler.dump_traceback_later(self._alarm_secs, exit=True, file=self._stacks)

    def work(self) -> None:
        while (job := self._tasks.get()) is not None:
            outcome = _run_task(*job)
            gc.collect()
            try:
                try:
                    self._channel.send(outcome)
                except WorkerError as e:  # What the task returned cannot be sent
                    self._channel.send(Finished(JobState.FAILED, {}, build_failure(e)))
            except OSError:  # The parent is gone
                return

    def leave(self, code: int) -> NoReturn:
        """End at once: compiled extensions may hold threads that would keep the interpreter from ending."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        shutil.rmtree(self._scratch, ignore_errors=True)  # A parent that was killed could not
        os._exit(code)

    def _report(self, progress: Progress) -> None:
        with contextlib.suppress(OSError):  # The parent is gone; the listener sees to it
            self._channel.send(Tick(progress))

    def _inspect(self, inspection: Inspection) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(Inspected(inspection))


def _run_task(run: Run, control: Control) -> Finished | Recycle:
    try:
        with hold_lock(run.lock), isolated(run.search_path):
            module, _, name = run.task.partition(":")
            task = getattr(importlib.import_module(module), name)
            result: dict[str, Any] = dict(task(run.spec, control) or {})
            return Finished(JobState(result.pop("state", JobState.COMPLETED)), result)
    except RecycleError as e:
        return Recycle(str(e))
    except BaseException as e:  # noqa: BLE001 - whatever a strategy raises must end as a reason, not as a dead child
        return Finished(JobState.FAILED, {}, build_failure(e))


def main(argv: list[str]) -> None:
    """Serve the worker at the other end of the inherited socket `argv[0]` until it goes."""
    sock, stacks, scratch = socket.socket(fileno=int(argv[0])), int(argv[1]), Path(argv[2])
    for fd in (sock.fileno(), stacks):
        os.set_inheritable(fd, False)  # A process that a task starts must not keep the line open
    # A worker that finds this process stuck asks for its stacks before it kills it.
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    with contextlib.suppress(OSError):  # Where memory runs out, the kernel is to end this process, no other
        Path("/proc/self/oom_score_adj").write_text("1000")
    child = _Child(Channel(sock), stacks, scratch)
    for target in (child.listen, child.hold_alarm):
        threading.Thread(target=target, name=target.__name__, daemon=True).start()
    child.work()
    child.leave(0)


if __name__ == "__main__":
    main(sys.argv[1:])
