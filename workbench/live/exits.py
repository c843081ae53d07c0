"""How a host ends: its exit codes, which the guardian reads."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["HostExit"]


class HostExit(IntEnum):
    """
    Why a host ended.

    ORDERLY is the end that was asked for, and that of a host in liquidate mode that has done all it can. CONFIG and
    BUSY are of no use to repeat: nothing changes by starting again. NOT_READY is a node that could not connect or
    reconcile in time, ENGINE an exception inside nautilus's engines, FORCED an orderly end that took too long (what was
    to be written was), and BROKEN a host that could not be set up: no socket, no journal. A number of a signal means
    that it was killed.
    """

    ORDERLY = 0
    BROKEN = 1
    CONFIG = 2
    BUSY = 3
    NOT_READY = 4
    ENGINE = 5
    FORCED = 6

    @property
    def is_final(self) -> bool:
        """Return whether another start would end in the same way."""
        return self in {HostExit.ORDERLY, HostExit.CONFIG, HostExit.BUSY}
