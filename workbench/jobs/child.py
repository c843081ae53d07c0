"""The child process of a worker: ``python -m workbench.jobs.child FD STACKS``."""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.jobs.channel import Cancel, Channel, Finished, Pause, Recycle, Resume, Run, Tick
from workbench.jobs.control import Control, RecycleError
from workbench.records import Failure
from workbench.states import JobState

__all__ = ["main"]

# How long a child whose parent is gone may take to put its results away.
_ORPHAN_SECS = 5.0


class _Child:
    """Runs tasks on the main thread while a second thread listens."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tasks: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._control: Control | None = None

    def listen(self) -> None:
        while (message := self._channel.receive()) is not None:
            if isinstance(message, Run):
                # Made here, not on the main thread, so that a cancel right behind finds it.
                self._control = Control(lambda p: self._channel.send(Tick(p)))
                self._tasks.put(message)
            elif self._control is None:
                continue
            elif isinstance(message, Pause):
                self._control.pause()
            elif isinstance(message, Resume):
                self._control.resume()
            elif isinstance(message, Cancel):
                self._control.cancel()
        # The parent is gone: nobody can use this process, but a run may keep what it has.
        threading.Timer(_ORPHAN_SECS, os._exit, (3,)).start()
        if self._control is not None:
            self._control.cancel()
        self._tasks.put(None)

    def work(self) -> None:
        while (run := self._tasks.get()) is not None:
            control = self._control
            if control is None:
                continue
            outcome = _run_task(run, control)
            gc.collect()
            try:
                self._channel.send(outcome)
            except OSError:  # The parent is gone; the listener ends this process
                return


def _run_task(run: Run, control: Control) -> Finished | Recycle:
    try:
        module, _, name = run.task.partition(":")
        task = getattr(importlib.import_module(module), name)
        result: dict[str, Any] = task(run.spec, control)
    except RecycleError as e:
        return Recycle(str(e))
    except InputError as e:
        return Finished(JobState.FAILED, {}, Failure(kind="input", message=str(e)))
    except BaseException as e:  # noqa: BLE001 - whatever a strategy raises must end as a reason, not as a dead child
        message = f"{type(e).__name__}: {e}"
        return Finished(
            JobState.FAILED,
            {},
            Failure(kind="exception", message=message, traceback=traceback.format_exc()),
        )
    return Finished(JobState(result.pop("state", JobState.COMPLETED)), result)


def main(argv: list[str]) -> None:
    """Serve the worker at the other end of the inherited socket `argv[0]` until it goes."""
    # A worker that finds this process stuck asks for its stacks before it kills it. The file stays open for
    # the life of the process: the signal handler writes to its descriptor.
    stacks = Path(argv[1]).open("w")  # noqa: SIM115
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    child = _Child(Channel(socket.socket(fileno=int(argv[0]))))
    threading.Thread(target=child.listen, name="listen", daemon=True).start()
    child.work()
    # Compiled extensions may hold threads that would keep the interpreter from ending.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
