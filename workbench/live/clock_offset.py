"""How far this machine's clock may be off: by the stamps of live market data, and by what the kernel knows of it."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

from nautilus_trader.common.component import MessageBus

__all__ = ["DelayWindow", "describe_clock", "read_kernel_clock"]

_WINDOW_NS = 30_000_000_000
_TOPICS = ("data.quotes.*", "data.trades.*")
_TIME_ERROR = 5
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000


class DelayWindow:
    """
    How long market data take at least, by their own stamps: from ``ts_event``, of the venue, to ``ts_init``, of here.

    The way takes some time, so a delay below 0 is the clock's: it is behind by that much or more. A long one is the
    clock's, which is ahead, or the feed's, which is late: they cannot be told apart.

    Parameters
    ----------
    skipped : Collection[str]
        Venues whose data are not of now: those of a replay are stamped here.

    """

    def __init__(self, skipped: Collection[str] = ()) -> None:
        self._skipped = frozenset(skipped)
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._turned_ns = time.monotonic_ns()

    def attach(self, bus: MessageBus) -> None:
        """Listen to quotes and trades."""
        for topic in _TOPICS:
            bus.subscribe(topic, self.note)

    def note(self, data: Any) -> None:
        """Take note of a quote or a trade."""
        venue = data.instrument_id.venue.value
        if venue in self._skipped:
            return
        delay = data.ts_init - data.ts_event
        least = self._now.get(venue)
        if least is None or delay < least:
            self._now[venue] = delay

    def find_least(self) -> dict[str, float]:
        """Return the least delay by venue, in milliseconds, of the last 30 to 60 seconds."""
        now_ns = time.monotonic_ns()
        passed = now_ns - self._turned_ns
        if passed >= _WINDOW_NS:
            self._before = self._now if passed < 2 * _WINDOW_NS else {}
            self._now = {}
            self._turned_ns = now_ns
        least = dict(self._before)
        for name, delay in self._now.items():
            least[name] = min(delay, least.get(name, delay))
        return {name: delay / 1e6 for name, delay in least.items()}


class _TimeValue(ctypes.Structure):
    _fields_ = (("secs", ctypes.c_long), ("micros", ctypes.c_long))


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _TimeValue),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_long * 32),
    )


def read_kernel_clock() -> dict[str, Any] | None:
    """
    Return what the kernel knows of its clock; ``None`` where it cannot be asked.

    Returns
    -------
    dict, optional
        ``is_synchronised``; ``offset_ms``: what is still to be corrected; ``max_error_ms``.

    """
    if not sys.platform.startswith("linux"):
        return None
    values = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(values))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    unit = 1e6 if values.status & _STA_NANO else 1e3
    return {
        "is_synchronised": state != _TIME_ERROR and not values.status & _STA_UNSYNC,
        "offset_ms": values.offset / unit,
        "max_error_ms": values.maxerror / 1e3,
    }


def describe_clock(
    least: Mapping[str, float], kernel: Mapping[str, Any] | None, *, has_live_data: bool
) -> dict[str, Any]:
    """
    Return what is known of the clock, as plain values.

    Parameters
    ----------
    least : Mapping[str, float]
        As `DelayWindow.find_least` returns it.
    kernel : Mapping, optional
        As `read_kernel_clock` returns it.
    has_live_data : bool
        Whether there is a feed of a venue: a replay is stamped by this clock, and knows no other.

    Returns
    -------
    dict
        ``offset_ms``: how far the clock is off, behind where it is negative, or ``None``; ``source``: what says so,
        ``kernel``, ``market data`` or nothing; ``venues``: the least delay of each; ``kernel``; ``why``: what the
        number means, or why there is none.

    """
    described: dict[str, Any] = {"venues": dict(least), "kernel": kernel and dict(kernel)}
    worst = min(least.values(), default=None)
    if worst is not None and worst < 0:
        why = (
            "market data come before they are sent, by their stamps: the clock is behind by that much or more"
        )
        return {"offset_ms": worst, "source": "market data", "why": why, **described}
    if kernel is not None and kernel["is_synchronised"]:
        why = "what the kernel's time discipline has still to correct"
        return {"offset_ms": kernel["offset_ms"], "source": "kernel", "why": why, **described}
    if worst is not None:
        why = "the least delay of market data: the way, and how far the clock is ahead"
        return {"offset_ms": max(least.values()), "source": "market data", "why": why, **described}
    why = (
        "nothing came of a venue yet, and the kernel's clock is not synchronised"
        if has_live_data
        else "a replay is stamped by this clock, and the kernel's is not synchronised"
    )
    return {"offset_ms": None, "source": "", "why": why, **described}
