"""What the gate did: its events, and what survives a restart."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.orders import Order

from workbench.errors import InputError
from workbench.gate.losses import Losses
from workbench.gate.rules import TradingState

__all__ = ["GateEvent", "GateLog", "GateMemory", "decode_memory", "encode_memory"]

_MOST_EVENTS = 1_000
_VERSION = 1


class GateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that the gate did.

    `ts_ns` is the engine's clock, UNIX nanoseconds UTC; `kind` is ``denied``, ``breach``, ``day``, ``marks``,
    ``state``, ``limits`` or ``ledger``.
    """

    ts_ns: int
    kind: str
    reason: str
    instrument_id: str = ""
    strategy_id: str = ""
    client_order_id: str = ""


class GateLog:
    """
    The latest of what the gate did; told by any thread.

    Attributes
    ----------
    denials : Counter[str]
        How many orders and modifications were denied, by instrument.
    events, denied : deque[GateEvent]
        The latest; denials apart, for they are many.

    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[GateEvent], object]] = []
        self.denials: Counter[str] = Counter()
        self.events: deque[GateEvent] = deque(maxlen=_MOST_EVENTS)
        self.denied: deque[GateEvent] = deque(maxlen=_MOST_EVENTS)

    def listen(self, listener: Callable[[GateEvent], object]) -> None:
        """Call `listener` with every event, on the thread that caused it; it must not block."""
        self._listeners.append(listener)

    def note(self, ts_ns: int, kind: str, reason: str) -> None:
        """Keep an event of the whole engine."""
        self._keep(self.events, GateEvent(ts_ns=ts_ns, kind=kind, reason=reason))

    def note_denial(self, ts_ns: int, order: Order, reason: str) -> None:
        """Keep that an order, or a change of it, was denied."""
        instrument_id = order.instrument_id.value
        self.denials[instrument_id] += 1
        event = GateEvent(
            ts_ns=ts_ns,
            kind="denied",
            reason=reason,
            instrument_id=instrument_id,
            strategy_id=order.strategy_id.value,
            client_order_id=order.client_order_id.value,
        )
        self._keep(self.denied, event)

    def _keep(self, kept: deque[GateEvent], event: GateEvent) -> None:
        kept.append(event)
        for listener in self._listeners:
            listener(event)

    def describe(self) -> dict[str, Any]:
        """Return ``denials`` by instrument and the latest ``events`` and ``denied``, as plain values."""
        return {
            "denials": dict(self.denials),
            "events": msgspec.to_builtins(list(self.events)),
            "denied": msgspec.to_builtins(list(self.denied)),
        }

    def build_warnings(self, action: str) -> list[str]:
        """Return what a reader of the results must know, one line each; `action` is what a breach causes."""
        lines = [
            f"the risk gate denied {count:,} order{'' if count == 1 else 's'} of {name}"
            for name, count in sorted(self.denials.items())
        ]
        breaches = [e for e in self.events if e.kind == "breach"]
        if breaches:
            first = breaches[0]
            lines.append(
                f"a loss limit was reached {len(breaches):,} time{'' if len(breaches) == 1 else 's'}, first at "
                f"{unix_nanos_to_iso8601(first.ts_ns)}: {first.reason}; action {action}"
            )
        return lines


class GateMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What survives a restart; decimals are text in JSON.

    Attributes
    ----------
    currency : str
        The reporting currency, in which the amounts are.
    requested, why
        The trading state that people asked for last, and their reason.
    losses : Losses
        Day, peak and breach.
    denials : dict[str, int]
        As in `GateLog`.

    """

    version: int = _VERSION
    currency: str
    requested: TradingState
    why: str
    losses: Losses
    denials: dict[str, int]


def encode_memory(memory: GateMemory) -> bytes:
    """Return JSON; equal memories give equal bytes."""
    return msgspec.json.encode(memory, order="deterministic")


def decode_memory(data: bytes, currency: str) -> GateMemory:
    """
    Return what `encode_memory` wrote.

    Parameters
    ----------
    data : bytes
        What it wrote.
    currency : str
        The reporting currency that it must be in.

    Raises
    ------
    InputError
        If it is anything else: cut short, of another version, in another currency, or with an amount that is no number.

    """
    try:
        memory = msgspec.json.decode(data, type=GateMemory)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise InputError(f"what the gate should remember cannot be read: {e}") from e
    if memory.version != _VERSION:
        raise InputError(
            f"what the gate should remember is of version {memory.version}", expected=f"version {_VERSION}"
        )
    if memory.currency != currency:
        raise InputError(
            f"what the gate remembers is in {memory.currency}", expected=f"amounts in {currency}"
        )
    losses = memory.losses
    for amount in (losses.peak, losses.day_equity, losses.equity):
        if amount is not None and not (isinstance(amount, Decimal) and amount.is_finite()):
            raise InputError(f"what the gate should remember has {amount} for an amount")
    return memory
