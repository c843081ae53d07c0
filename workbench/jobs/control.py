"""What a task holds in its hand: report progress, pause at checkpoints, see a cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.records import Inspection, Progress

__all__ = ["Control", "RecycleError"]


class RecycleError(Exception):
    """Raised by a task that needs a fresh process; the worker starts one and runs the task there."""


class Control:
    """
    The task's side of run control.

    Parameters
    ----------
    report : Callable[[Progress], None]
        Called with every progress that the task reports.
    inspect : Callable[[Inspection], None], optional
        Called with what a task holds when it pauses.

    """

    def __init__(
        self, report: Callable[[Progress], None], inspect: Callable[[Inspection], None] | None = None
    ) -> None:
        self._report = report
        self._inspect = inspect
        self._go = threading.Event()
        self._go.set()
        self._cancelled = threading.Event()
        self._is_interrupted = False

    @property
    def is_cancelled(self) -> bool:
        """Return whether the task was asked to stop."""
        return self._cancelled.is_set()

    @property
    def is_interrupted(self) -> bool:
        """Return whether the task has to stop though nobody asked for it: who runs it is going, or gone."""
        return self._is_interrupted

    @property
    def is_paused(self) -> bool:
        """Return whether the task was asked to hold."""
        return not self._go.is_set()

    def report(self, progress: Progress) -> None:
        """Send `progress` to whoever watches."""
        self._report(progress)

    def inspect(self, inspection: Inspection) -> None:
        """Send what the task holds, right before it waits."""
        if self._inspect is not None:
            self._inspect(inspection)

    def wait_while_paused(self) -> None:
        """Block as long as the task is paused; a cancel ends the wait."""
        self._go.wait()

    def pause(self) -> None:
        """Ask the task to hold at its next checkpoint."""
        if not self._cancelled.is_set():
            self._go.clear()

    def resume(self) -> None:
        """Let the task go on."""
        self._go.set()

    def cancel(self) -> None:
        """Ask the task to stop at its next checkpoint."""
        self._cancelled.set()
        self._go.set()

    def interrupt(self) -> None:
        """Stop the task as a cancel does, and let it know that nobody asked for that."""
        if not self._cancelled.is_set():
            self._is_interrupted = True
        self.cancel()
