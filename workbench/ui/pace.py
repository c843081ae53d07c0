"""How often a page is told: at most 10 times a second, however often something happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workbench.ui.kernel_loop import KernelLoop

__all__ = ["Beat", "Pace"]

_LEAST_GAP_SECS = 0.1


class Beat:
    """
    When a page may be told again. Not for several threads.

    Parameters
    ----------
    clock : Callable returning float, optional
        A monotonic clock in seconds, for tests.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: float | None = None

    @property
    def rest_secs(self) -> float:
        """How long to wait; 0 if it may be told now."""
        if self._told_at is None:
            return 0.0
        return max(self._told_at + _LEAST_GAP_SECS - self._clock(), 0.0)

    def note(self) -> None:
        """Note that it is told now."""
        self._told_at = self._clock()


class Pace:
    """
    Something that is done when it is due, not as often as it is asked for.

    Parameters
    ----------
    loop : KernelLoop
        Where it is done.
    action : Callable
        What is done: shows all that has happened since the last time.

    """

    def __init__(self, loop: KernelLoop, action: Callable[[], object]) -> None:
        self._loop = loop
        self._action = action
        self._lock = threading.Lock()
        self._is_due = False
        self._beat = Beat()

    def ask(self) -> None:
        """Have it done soon; from any thread, as often as one likes."""
        with self._lock:
            if self._is_due:
                return
            self._is_due = True
            rest = self._beat.rest_secs
        if rest > 0:
            self._loop.later(rest, self._do)
        else:
            self._loop.call(self._do)

    def _do(self) -> None:
        with self._lock:
            self._is_due = False
            self._beat.note()
        self._action()
