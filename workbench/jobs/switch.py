"""The caller's side of run control: pause, resume and cancel one task, also before it has started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workbench.jobs.channel import Cancel, Interrupt, Message, Pause, Resume

__all__ = ["Switch"]


class Switch:
    """
    Steers one task of a worker.

    It belongs to the task, not to the worker: what is asked before the task has started is kept until it
    does, and what is asked after it has ended reaches nobody. All methods may be called from any thread.

    Where the task's end says that it has heard (`note_heard`), one wish to hold or to go on is on its way at a
    time, and then only the latest: a task that does not listen must not fill the line, at which the caller would
    block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tell: Callable[[Message], None] | None = None
        self._is_paused = False
        self._is_answered = False  # Whether whoever is told says that it was heard
        self._is_on_its_way = False
        self._is_outdated = False  # Another wish came while one was on its way
        self._cancelled_at: float | None = None
        self._stop: Message = Cancel()

    @property
    def is_paused(self) -> bool:
        """Return whether the task is asked to hold."""
        return self._is_paused

    @property
    def is_interrupted(self) -> bool:
        """Return whether the task is asked to stop by an `interrupt`, not by a `cancel`."""
        return isinstance(self._stop, Interrupt)

    @property
    def cancelled_at(self) -> float | None:
        """Return since when a running task has been asked to stop, on the monotonic clock."""
        return self._cancelled_at

    def pause(self) -> None:
        """Hold the task at its next checkpoint."""
        with self._lock:
            if not self._is_paused:
                self._is_paused = True
                self._tell_wish()

    def resume(self) -> None:
        """Let the paused task go on."""
        with self._lock:
            self._is_paused = False
            self._tell_wish()

    def cancel(self) -> None:
        """Stop the task at its next checkpoint; it keeps what it has."""
        with self._lock:
            if self._cancelled_at is None:  # Told once
                self._cancelled_at = time.monotonic()
                if self._tell is not None:
                    self._tell(self._stop)

    def interrupt(self) -> None:
        """Stop the task as `cancel` does; it will be told that nobody asked for that."""
        with self._lock:
            if self._cancelled_at is None:
                self._stop = Interrupt()
        self.cancel()

    def attach(self, tell: Callable[[Message], None], *, is_answered: bool = False) -> None:
        """
        Send through `tell` from now on, beginning with what has been asked so far.

        Parameters
        ----------
        tell : Callable[[Message], None]
            Takes a message towards the task.
        is_answered : bool
            Whether `note_heard` will be called for each `Pause` and `Resume` that has arrived.

        """
        with self._lock:
            self._tell = tell
            self._is_answered = is_answered
            self._is_on_its_way = self._is_outdated = False
            # Resume too: the task may have been sent off with a pause that was taken back before now.
            self._tell_wish()
            if self._cancelled_at is not None:
                self._cancelled_at = time.monotonic()  # The grace begins when somebody can hear it
                tell(self._stop)

    def note_heard(self) -> None:
        """Note that the wish on its way has arrived; one that came after it follows."""
        with self._lock:
            self._is_on_its_way = False
            if self._is_outdated:
                self._tell_wish()

    def detach(self) -> None:
        """Send nothing any more: the task has ended."""
        with self._lock:
            self._tell = None

    def _tell_wish(self) -> None:
        if self._tell is None:
            return
        self._is_outdated = self._is_on_its_way
        if not self._is_on_its_way:
            self._is_on_its_way = self._is_answered
            self._tell(Pause() if self._is_paused else Resume())
