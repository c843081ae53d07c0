"""The watch over equity: what it is, what has been lost, and what that closes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import localcontext

from workbench.errors import InputError
from workbench.gate.limits import Limits
from workbench.gate.losses import Losses, observe
from workbench.gate.record import GateLog, GateMemory, decode_memory, encode_memory
from workbench.gate.rules import TradingState
from workbench.gate.switch import Switch
from workbench.gate.valuer import Valuation, Valuer
from workbench.gate.worth import EXACT

__all__ = ["SOURCES", "Watch"]

_LOSS, _MARKS = "loss limit", "marks"
# The restrictions that are the watch's own.
SOURCES = frozenset((_LOSS, _MARKS))
# A breach that cancels or flattens tries again what is still open.
_AGAIN_NS = 10_000_000_000


class Watch:
    """
    Measures equity, remembers what was lost, and turns the switch where a limit is reached or equity is not known.

    `clear` and `encode` may be called by any thread, all else belongs to the thread of the engine.

    Parameters
    ----------
    valuer : Valuer
        What things are worth.
    switch : Switch
        What is turned.
    log : GateLog
        Where it is told.

    """

    def __init__(self, valuer: Valuer, switch: Switch, log: GateLog) -> None:
        self._valuer = valuer
        self._switch = switch
        self._log = log
        self._lock = threading.Lock()
        self._losses = Losses()
        self._acted_ns = 0

    @property
    def losses(self) -> Losses:
        """What is remembered."""
        return self._losses

    def observe(self, limits: Limits, now_ns: int, act: Callable[[], None]) -> Valuation:
        """
        Measure equity and return it.

        Parameters
        ----------
        limits : Limits
            The limits.
        now_ns : int
            The engine's clock.
        act : Callable[[], None]
            What is done where a loss limit is reached, besides that no new risk is taken; again while that lasts.

        """
        valuation = self._valuer.measure(has_margin=limits.max_margin is not None)
        with self._lock:
            before = self._losses.breach
            with localcontext(EXACT):
                losses = self._losses = observe(limits, self._losses, now_ns, valuation.equity)
            self._turn(losses)
        self._note_marks(valuation, now_ns)
        if losses.breach != before:
            if losses.breach is None:
                self._log.note(now_ns, "day", "a new day: the daily loss is counted from 0")
            else:
                self._log.note(now_ns, "breach", f"{losses.breach}: equity is {losses.equity:f}")
        if losses.breach is not None and (losses.breach != before or now_ns - self._acted_ns >= _AGAIN_NS):
            self._acted_ns = now_ns
            act()
        return valuation

    def clear(self) -> None:
        """Forget what was lost: it is counted from now on."""
        with self._lock:
            self._losses = Losses()
            self._turn(self._losses)

    def stop(self) -> None:
        """Restrict nothing any more for want of a price: nothing that is limited needs equity."""
        self._switch.lift(_MARKS)

    def encode(self) -> bytes:
        """Return what must survive a restart, as JSON."""
        requested = self._switch.requested
        return encode_memory(
            GateMemory(
                currency=self._valuer.currency.code,
                requested=requested.state,
                why=requested.why,
                losses=self._losses,
                denials=dict(self._log.denials),
            )
        )

    def restore(self, data: bytes, now_ns: int) -> None:
        """Take up what `encode` gave; what cannot be read halts the gate."""
        try:
            memory = decode_memory(data, self._valuer.currency.code)
        except InputError as e:
            self._switch.request(TradingState.HALTED, str(e))
            self._log.note(now_ns, "state", f"HALTED: {e}")
            return
        with self._lock:
            self._losses = memory.losses
            self._turn(memory.losses)
        self._log.denials.update(memory.denials)
        if memory.requested != TradingState.ACTIVE:
            self._switch.request(memory.requested, memory.why)
            self._log.note(now_ns, "state", f"{memory.requested}, as before the restart: {memory.why}")

    def _turn(self, losses: Losses) -> None:
        if losses.breach is None:
            self._switch.lift(_LOSS)
        else:
            self._switch.restrict(_LOSS, TradingState.REDUCING, f"{losses.breach} reached")

    def _note_marks(self, valuation: Valuation, now_ns: int) -> None:
        if valuation.equity is not None:
            if self._switch.lift(_MARKS):
                self._log.note(now_ns, "marks", "equity is known again")
            return
        why = f"equity is unknown: {valuation.missing or 'a price or a rate is missing'}"
        if self._switch.restrict(_MARKS, TradingState.REDUCING, why):
            self._log.note(now_ns, "marks", why)
