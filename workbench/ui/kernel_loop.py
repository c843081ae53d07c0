"""The thread that owns the widgets: what other threads want done there, and work that must not hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

__all__ = ["KernelLoop"]

_WORKERS = 4


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="workbench-ui")


class KernelLoop:
    """
    The event loop of the kernel, as a component sees it.

    Made on the kernel's thread. Where no loop runs (plain Python, a test) everything is done at once by the caller.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def call(self, action: Callable[[], object]) -> None:
        """Do something on the kernel's thread: at once if this is it, otherwise as soon as it is free."""
        if self._loop is None or threading.get_ident() == self._thread:
            action()
        else:
            # A loop that ends meanwhile refuses: then there is nobody left to show anything to.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(action)

    def later(self, secs: float, action: Callable[[], object]) -> None:
        """Do something on the kernel's thread after a while; at once where no loop runs."""
        loop = self._loop
        if loop is None:
            action()
        else:
            self.call(lambda: loop.call_later(secs, action))

    def work[T](
        self,
        task: Callable[[], T],
        on_done: Callable[[T], object],
        on_error: Callable[[Exception], object],
    ) -> None:
        """
        Do something that takes time on a thread of its own, and hand the outcome to the kernel's thread.

        At most four such tasks run at a time; the others wait. Where no loop runs it is done at once.

        Parameters
        ----------
        task : Callable
            What takes time; it may not touch a widget.
        on_done : Callable
            Takes what `task` returned.
        on_error : Callable
            Takes what `task` raised.

        """

        def run() -> None:
            try:
                outcome = task()
            except Exception as error:  # noqa: BLE001 - whoever asked shows it
                failure = error
                self.call(lambda: on_error(failure))
            else:
                self.call(lambda: on_done(outcome))

        if self._loop is None:
            run()
        else:
            _pool().submit(run)
