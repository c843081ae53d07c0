"""The end of a Voila view: its kernel ends itself when the page is gone, for nobody else does it in time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import cache

import anywidget
import traitlets

from workbench.config import load_settings

__all__ = ["Heartbeat", "start_heartbeat"]

_CHECKS = 20  # in the time that the page may be silent
_SCRIPT = """
export default {
  initialize({model}) {
    const beat = () => model.send({type: "beat"}), timer = setInterval(beat, 1000 * model.get("beat_secs"));
    // A closed page says so at once; one that the browser may bring back does not.
    const end = e => { if (!e.persisted) model.send({type: "end"}) };
    const seen = () => { if (!document.hidden) beat() };
    addEventListener("pagehide", end); document.addEventListener("visibilitychange", seen);
    beat();
    return () => {
      clearInterval(timer); removeEventListener("pagehide", end);
      document.removeEventListener("visibilitychange", seen);
    };
  },
  render({el}) { el.hidden = true },
};
"""


class Heartbeat(anywidget.AnyWidget):
    """
    Ends this kernel when its page has been silent for too long, or says that it closes.

    Made on the kernel's thread. Silence is counted in checks that the kernel made, not on the clock: a kernel that was
    busy or asleep has not listened, so it first hears what the page has said meanwhile.

    Parameters
    ----------
    deadline_secs : float
        How long the page may be silent. Browsers slow down hidden pages to one beat a minute.
    is_started : bool
        Whether the page is on its way; a preheated kernel waits for one for as long as it takes.
    end : Callable, optional
        What ends the kernel; default: SIGTERM to this process.

    """

    _esm = _SCRIPT

    beat_secs = traitlets.Float().tag(sync=True)

    def __init__(
        self, deadline_secs: float, *, is_started: bool, end: Callable[[], object] | None = None
    ) -> None:
        super().__init__(beat_secs=deadline_secs / 6)
        self._gap_secs = deadline_secs / _CHECKS
        self._end = end or _end_process
        self._silent: int | None = 0 if is_started else None
        self.on_msg(self._hear)
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(self._gap_secs, self._check)

    def _hear(self, _: object, message: object, buffers: object) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "end":
            self._end()
        elif kind == "beat":
            self._silent = 0

    def _check(self) -> None:
        if self._silent is not None:
            self._silent += 1
            if self._silent > _CHECKS:
                self._end()
                return
        self._loop.call_later(self._gap_secs, self._check)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@cache
def start_heartbeat() -> Heartbeat | None:
    """Return the heartbeat of this kernel; ``None`` where it serves no Voila view."""
    settings = load_settings()
    if settings.view_secs is None:
        return None
    return Heartbeat(settings.view_secs, is_started=not settings.is_preheated)
