"""The inspector: a child that answers short questions, so that no question can hurt the one who asks."""

from __future__ import annotations

import threading
import time
from typing import Any

from workbench.errors import ConflictError, InputError, RunError, ServerError
from workbench.jobs.failures import build_error
from workbench.jobs.watch import Limits
from workbench.jobs.worker import Worker
from workbench.states import JobState

__all__ = ["Inspector"]

_MEMORY_BYTES = 4_000_000_000
_HURT = ("died", "memory", "killed")


class Inspector:
    """
    Answers questions in a child process of its own; a question that kills the child costs only itself.

    Parameters
    ----------
    owner : str
        The mark on the child's command line.
    wait_secs : float, optional
        How long a question may wait for its turn; default: until the inspector is closed.

    """

    def __init__(self, owner: str = "", *, wait_secs: float | None = None) -> None:
        self._owner = owner
        self._wait_secs = wait_secs
        self._turn = threading.Lock()
        self._worker = Worker(owner)
        self._asked: tuple[str, float] | None = None  # What is being answered, and since when
        self._closing = threading.Lock()
        self._is_closed = False

    def ask(self, task: str, spec: dict[str, Any], *, timeout_secs: float) -> dict[str, Any]:
        """
        Return the answer of `task`; questions of several threads take turns.

        Raises
        ------
        WorkbenchError
            The one that the task raised.
        ServerError
            If its turn did not come in time.
        ConflictError
            If the inspector was closed.
        InputError
            If the question ended the process: a crash in compiled code, or too much memory.
        RunError
            If it raised something else, or gave no answer in time.

        """
        if not self._turn.acquire(timeout=-1 if self._wait_secs is None else self._wait_secs):
            raise self._explain_wait()
        try:
            self._check_is_open()
            self._asked = task, time.monotonic()
            limits = Limits(memory_bytes=_MEMORY_BYTES, stall_secs=timeout_secs, cancel_secs=timeout_secs)
            outcome = self._worker.run(task, spec, limits=limits)
        finally:
            self._asked = None
            self._turn.release()
        if outcome.state == JobState.COMPLETED:
            return outcome.result
        self._check_is_open()  # It was killed with the server, not by what it was asked
        if outcome.failure is None:
            raise RunError(f"the question {task} was not answered: {outcome.state}")
        if outcome.failure.kind in _HURT:
            raise InputError(
                f"what was asked cannot be answered: {outcome.failure.message}",
                advice="look at the code that it names: reading it ends the process",
                field="config",
            )
        raise build_error(outcome.failure)

    def rest(self) -> None:
        """End the child until the next question, which starts another; not while it answers one."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            with self._closing:
                if self._worker.pid is not None and not self._is_closed:
                    self._worker.close()
                    self._worker = Worker(self._owner)
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the child, for good; whoever waits for an answer is told."""
        with self._closing:
            self._is_closed = True
            self._worker.close()

    def _check_is_open(self) -> None:
        if self._is_closed:
            raise ConflictError("the server is stopping", advice="start it again and repeat this")

    def _explain_wait(self) -> ServerError:
        asked = self._asked
        now = "" if asked is None else f": {asked[0]}, for {time.monotonic() - asked[1]:.0f} s"
        return ServerError(
            f"the server has been busy with other questions for {self._wait_secs:g} s{now}",
            advice="try again in a moment",
        )
