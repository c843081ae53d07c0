"""The inspector: a child that answers short questions, so that no question can hurt the one who asks."""

from __future__ import annotations

from typing import Any

from workbench.errors import InputError, RunError
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

    """

    def __init__(self, owner: str = "") -> None:
        self._worker = Worker(owner)

    def ask(self, task: str, spec: dict[str, Any], *, timeout_secs: float) -> dict[str, Any]:
        """
        Return the answer of `task`; questions of several threads take turns.

        Raises
        ------
        WorkbenchError
            The one that the task raised.
        InputError
            If the question ended the process: a crash in compiled code, or too much memory.
        RunError
            If it raised something else, or gave no answer in time.

        """
        limits = Limits(memory_bytes=_MEMORY_BYTES, stall_secs=timeout_secs, cancel_secs=timeout_secs)
        outcome = self._worker.run(task, spec, limits=limits)
        if outcome.state == JobState.COMPLETED:
            return outcome.result
        if outcome.failure is None:
            raise RunError(f"the question {task} was not answered: {outcome.state}")
        if outcome.failure.kind in _HURT:
            raise InputError(
                f"what was asked cannot be answered: {outcome.failure.message}",
                advice="look at the code that it names: reading it ends the process",
                field="config",
            )
        raise build_error(outcome.failure)

    def close(self) -> None:
        """End the child."""
        self._worker.close()
