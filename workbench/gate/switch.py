"""The switch of the gate: any thread turns it, and the next order sees it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from workbench.gate.rules import TradingState

__all__ = ["OPEN", "Stand", "Switch"]

_ORDER = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


class Stand(NamedTuple):
    """What holds, and why."""

    state: TradingState
    why: str = ""


OPEN = Stand(TradingState.ACTIVE)


class Switch:
    """
    What people asked for, and what else holds the gate shut; the strictest of all is what holds.

    All methods may be called by any thread. `now` is one attribute, replaced as a whole: whoever reads it needs no
    lock, waits for nobody, and sees a change at once.

    Attributes
    ----------
    now : Stand
        What holds. It is `OPEN` itself where nothing is restricted.

    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = OPEN
        self._restrictions: dict[str, Stand] = {}
        self.now = OPEN

    @property
    def requested(self) -> Stand:
        """What people asked for."""
        return self._requested

    @property
    def restrictions(self) -> dict[str, Stand]:
        """What else holds, by its source; a copy."""
        with self._lock:
            return dict(self._restrictions)

    def request(self, state: TradingState, why: str) -> None:
        """Set what people ask for. It opens nothing that a restriction keeps shut."""
        with self._lock:
            self._requested = Stand(state, why)
            self._decide()

    def restrict(self, source: str, state: TradingState, why: str) -> bool:
        """
        Keep the gate at `state` at least, until `source` lifts it; return whether that is new.

        Parameters
        ----------
        source : str
            Who restricts, such as ``journal``; each has one restriction.
        state : TradingState
            REDUCING or HALTED.
        why : str
            For people.

        """
        with self._lock:
            old = self._restrictions.get(source)
            self._restrictions[source] = Stand(state, why)
            self._decide()
        return old is None or old.state != state

    def lift(self, source: str) -> bool:
        """Take a restriction away; return whether there was one."""
        with self._lock:
            if self._restrictions.pop(source, None) is None:
                return False
            self._decide()
            return True

    def _decide(self) -> None:
        stands = (self._requested, *self._restrictions.values())
        state = max((s.state for s in stands), key=_ORDER.index)
        if state == TradingState.ACTIVE:
            self.now = OPEN
            return
        reasons = dict.fromkeys(s.why for s in stands if s.state == state and s.why)
        self.now = Stand(state, "; ".join(reasons))
