"""How a host is told to end, and what ends it where it does not."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from workbench.live.context import HostContext
from workbench.live.exits import HostExit

__all__ = ["catch_signals", "force_end"]

_FLUSH_SECS = 2.0
# Whoever asked for the stop waits as long as the policy says: the last word should come before that.
_SHARE = 0.9


def catch_signals(context: HostContext) -> None:
    """Let SIGTERM and SIGINT ask for an orderly end; in the main thread, where a strategy that loops is interrupted."""

    def handle(number: int, frame: FrameType | None) -> None:
        context.ask_to_stop(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def force_end(context: HostContext) -> None:
    """End the process from a thread of its own where an orderly end takes too long, with everything on disk."""

    def watch() -> None:
        context.stop_asked.wait()
        if context.has_ended.wait(context.config.stop.timeout_secs * _SHARE):
            return
        context.tell(
            "alarm", "StopForced", {"silent_secs": context.probe.silent_secs, "state": context.state}
        )
        context.journal.flush(_FLUSH_SECS)
        os._exit(HostExit.FORCED)

    threading.Thread(target=watch, name="ending", daemon=True).start()
