"""
What a host prints, on a disk that may be full.

Nautilus says on its standard error that it cannot write its log, and a print that fails ends the process: its logger's
thread panics. So room is kept for the first of these, and while the disk is full nothing is printed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
import threading

__all__ = ["HostOutput"]

_ROOM_BYTES = 256 * 1024
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE
_TARGETS = (1, 2)


class HostOutput:
    """The standard output and error of this process; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = [os.dup(target) for target in _TARGETS]
        self._is_muted = False
        self._reserve()

    def mute(self) -> None:
        """Let what is printed from now on go nowhere."""
        with self._lock:
            if self._is_muted:
                return
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            for target in _TARGETS:
                os.dup2(nowhere, target)
            os.close(nowhere)
            self._is_muted = True

    def unmute(self) -> None:
        """Let it go where it went before."""
        with self._lock:
            if not self._is_muted:
                return
            self._reserve()
            for kept, target in zip(self._kept, _TARGETS, strict=True):
                os.dup2(kept, target)
            self._is_muted = False

    def close(self) -> None:
        """Print again, and give back what was kept."""
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        self.unmute()
        for kept in self._kept:
            os.close(kept)
        self._kept = []

    def _reserve(self) -> None:
        """Take room on the disk for what is printed before anybody has noticed that it is full."""
        descriptor = self._kept[-1]
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        with contextlib.suppress(OSError, AttributeError):
            fallocate = ctypes.CDLL(None).fallocate
            fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
            fallocate(descriptor, _KEEP_SIZE, status.st_size, _ROOM_BYTES)
