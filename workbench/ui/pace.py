"""How often a page is told: at most 10 times a second, however often something happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workbench.ui.kernel_loop import KernelLoop

__all__ = ["Pace"]

_LEAST_GAP_SECS = 0.1


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
        self._done_at = -_LEAST_GAP_SECS

    def ask(self) -> None:
        """Have it done soon; from any thread, as often as one likes."""
        with self._lock:
            if self._is_due:
                return
            self._is_due = True
            gap = self._done_at + _LEAST_GAP_SECS - time.monotonic()
        if gap > 0:
            self._loop.later(gap, self._do)
        else:
            self._loop.call(self._do)

    def _do(self) -> None:
        with self._lock:
            self._is_due = False
            self._done_at = time.monotonic()
        self._action()
