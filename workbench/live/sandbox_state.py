"""What a sandbox venue held when its process died, from the events of the journal; no nautilus."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

__all__ = ["STATE_EVENT", "FillShare", "PositionHistory", "SandboxState", "UnsettledFill", "collect_state"]

_CLOSED = frozenset({"OrderDenied", "OrderRejected", "OrderCanceled", "OrderExpired"})
_POSITION_EVENTS = frozenset({"PositionOpened", "PositionChanged", "PositionClosed"})
STATE_EVENT = "SandboxState"
"""The name of the event that stands for all before it."""

_MOST_DECIMALS = 16
"""What nautilus's prices can have."""

_PRUNE_EVERY = 20_000
"""Events after which the orders that have ended are forgotten, so that memory follows what is open."""


class FillShare(msgspec.Struct, frozen=True):
    """
    A fill, as far as it belongs to one position: the one that turns a position is in two.

    Attributes
    ----------
    event : dict
        The event, as nautilus's ``OrderFilled.to_dict`` gives it.
    quantity : Decimal
        The part of ``last_qty``.
    commission : Decimal, optional
        The part of the commission.

    """

    event: dict[str, Any]
    quantity: Decimal
    commission: Decimal | None


class UnsettledFill(msgspec.Struct, frozen=True):
    """
    A fill that came after the last state of its account.

    Attributes
    ----------
    event : dict
        The event.
    before : list[FillShare]
        The fills of its position until then, since it was flat.

    """

    event: dict[str, Any]
    before: list[FillShare]


class PositionHistory(msgspec.Struct):
    """
    The fills of a position since it was last flat.

    Attributes
    ----------
    position_id : str
        Its id.
    fills : list[FillShare]
        In the order in which they came.
    signed_quantity : Decimal
        What is held: negative where it is short.

    """

    position_id: str
    fills: list[FillShare]
    signed_quantity: Decimal = Decimal()


class SandboxState(msgspec.Struct):
    """
    What the sandbox venues held.

    Attributes
    ----------
    accounts : dict[str, dict]
        The last ``AccountState`` of each account.
    unsettled : list[UnsettledFill]
        The fills that these do not know of: the process died in between.
    positions : dict[str, PositionHistory]
        The open positions, by id.
    orders : dict[str, list[dict]]
        The events of each order that was open, or has filled an open position, by client order id.
    open_orders : list[str]
        The client order ids of the orders that had not ended: their venue died with its process.
    problems : list[str]
        A sentence for each thing that the events do not tell in full.
    disputed : list[str]
        The positions of which fills are lost, in the order of their problems. Each is held here as nautilus's last
        event of it says, as if one fill had opened it at its average price.
    is_accepted : bool
        Whether a person took that for the truth.

    """

    accounts: dict[str, dict[str, Any]] = {}
    unsettled: list[UnsettledFill] = []
    positions: dict[str, PositionHistory] = {}
    orders: dict[str, list[dict[str, Any]]] = {}
    open_orders: list[str] = []
    problems: list[str] = []
    disputed: list[str] = []
    is_accepted: bool = False

    def find_problems(self, venue: str = "") -> list[str]:
        """Return what keeps a venue, or any, from being restored."""
        return [
            problem
            for name, problem in zip(self.disputed, self.problems, strict=True)
            if not venue or name not in self.positions or self._find_venue(name) == venue
        ]

    def accept(self) -> list[str]:
        """Take what the events tell for the truth, and return what they do not tell in full."""
        problems, self.problems, self.disputed = self.problems, [], []
        self.is_accepted = True
        return problems

    def _find_venue(self, position_id: str) -> str:
        instrument_id: str = self.positions[position_id].fills[0].event["instrument_id"]
        return instrument_id.rpartition(".")[2]

    def describe(self) -> dict[str, Any]:
        """Return the state as plain values, for the journal and for people."""
        return {
            "balances": {
                name: [f"{balance['total']} {balance['currency']}" for balance in account["balances"]]
                for name, account in self.accounts.items()
            },
            "unsettled": len(self.unsettled),
            "positions": {
                name: {
                    "instrument_id": history.fills[0].event["instrument_id"],
                    "strategy_id": history.fills[0].event["strategy_id"],
                    "signed_quantity": str(history.signed_quantity),
                }
                for name, history in self.positions.items()
            },
            "open_orders": self.open_orders,
            "problems": self.problems,
        }

    def build_event(self) -> tuple[str, bytes]:
        """
        Return the state as an event of its own, as (name, JSON), which stands for all events before it.

        A journal that keeps only its latest events begins with it, and so loses no fill of an old position.
        """
        return STATE_EVENT, msgspec.json.encode(self)


def collect_state(events: Iterable[tuple[str, bytes]]) -> SandboxState:
    """
    Return what the events leave open.

    A fill counts when its event is there. Nautilus publishes the state of the account after that: the fills for which
    it is missing are told apart.

    Parameters
    ----------
    events : Iterable of (str, bytes)
        Nautilus's events in the order in which they were published: the name of the class, and ``to_dict`` of it as
        JSON; and those of `SandboxState.build_event`. Others are passed over, and an event that comes twice counts
        once.

    """
    collection = _Collection()
    for name, body in events:
        if name == STATE_EVENT:
            collection = _Collection(msgspec.json.decode(body, type=SandboxState))
        elif name == "AccountState" or name in _POSITION_EVENTS or name.startswith("Order"):
            collection.add(name, msgspec.json.decode(body))
    return collection.finish()


class _Collection:
    """The events so far."""

    def __init__(self, state: SandboxState | None = None) -> None:
        self._state = state or SandboxState()
        self._orders = self._state.orders
        self._positions = self._state.positions
        self._ended = set(self._orders) - set(self._state.open_orders)
        self._filled: dict[str, Decimal] = {}
        self._quantities: dict[str, Decimal] = {}
        self._turned: dict[str, FillShare] = {}
        self._unsettled: list[tuple[dict[str, Any], PositionHistory | None, int]] = [
            (fill.event, PositionHistory(fill.event["position_id"], fill.before), len(fill.before))
            for fill in self._state.unsettled
        ]
        self._doubts: dict[str, str] = {}
        self._seen: set[int] = set()
        for events in self._orders.values():
            for event in events:
                self._count(event["type"], event)
                self._seen.add(hash(event["event_id"]))

    def add(self, name: str, event: dict[str, Any]) -> None:
        key = hash(event["event_id"])  # 64 bits: a number for each event, and not its text
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) % _PRUNE_EVERY == 0:
            self._prune()
        if name == "AccountState":
            self._add_account(event)
        elif name in _POSITION_EVENTS:
            self._add_position(name, event)
        elif "client_order_id" in event:
            self._add_order(name, event)

    def finish(self) -> SandboxState:
        state = self._state
        for share in self._turned.values():  # Nobody was told the new id any more
            self._open(f"{share.event['position_id']}F", share)
        self._turned.clear()
        self._prune()
        state.positions, state.orders = self._positions, self._orders
        state.unsettled = [
            UnsettledFill(event, [] if history is None else history.fills[:count])
            for event, history, count in self._unsettled
        ]
        state.problems, state.disputed = list(self._doubts.values()), list(self._doubts)
        state.open_orders = [name for name in self._orders if name not in self._ended]
        return state

    def _prune(self) -> None:
        """Forget the positions that are flat, and the orders that have ended and fill no other."""
        self._positions = {name: p for name, p in self._positions.items() if p.signed_quantity}
        used = {share.event["client_order_id"] for p in self._positions.values() for share in p.fills}
        used.update(self._turned)
        self._orders = {n: events for n, events in self._orders.items() if n in used or n not in self._ended}
        self._ended &= self._orders.keys()
        self._filled = {name: filled for name, filled in self._filled.items() if name in self._orders}
        self._quantities = {name: total for name, total in self._quantities.items() if name in self._orders}

    def _add_account(self, event: dict[str, Any]) -> None:
        account = event["account_id"]
        self._state.accounts[account] = event
        self._unsettled = [fill for fill in self._unsettled if fill[0]["account_id"] != account]

    def _add_order(self, name: str, event: dict[str, Any]) -> None:
        order = event["client_order_id"]
        if name == "OrderInitialized":
            self._orders.setdefault(order, []).append(event)
        elif order in self._orders:
            self._orders[order].append(event)
        if name in _CLOSED:
            self._ended.add(order)
        self._count(name, event)
        if name == "OrderFilled":
            self._fill(event)
            # Not where it was cut down to what is filled: nautilus waits for another event then
            if order in self._quantities and self._filled[order] >= self._quantities[order]:
                self._ended.add(order)

    def _count(self, name: str, event: dict[str, Any]) -> None:
        """Keep how much of an order is filled."""
        order, quantity = event["client_order_id"], event.get("quantity")
        if quantity is not None:
            self._quantities[order] = Decimal(quantity)
        if name == "OrderFilled":
            self._filled[order] = self._filled.get(order, Decimal()) + Decimal(event["last_qty"])

    def _fill(self, event: dict[str, Any]) -> None:
        """Add a fill to its position, as nautilus's execution engine does."""
        name = event["position_id"]
        if name is None:
            return  # Of a spread, whose legs have fills of their own
        quantity, commission = Decimal(event["last_qty"]), _parse_money(event["commission"])
        share = FillShare(event, quantity, commission)
        history = self._positions.get(name)
        self._unsettled.append((event, history, 0 if history is None else len(history.fills)))
        held = Decimal() if history is None else history.signed_quantity
        is_opposite = held != 0 and (held > 0) != (event["order_side"] == "BUY")
        if history is None or not is_opposite or quantity <= abs(held):
            self._open(name, share)
            return
        first = rest = None
        if commission is not None:
            first = _round_money(commission * (abs(held) / quantity), commission)
            rest = commission - first
        self._open(name, FillShare(event, abs(held), first))
        share = FillShare(event, quantity - abs(held), rest)
        if name.startswith("P-"):  # Nautilus's own id, and its next one is in the event to come
            self._turned[event["client_order_id"]] = share
        else:
            self._open(name, share)

    def _open(self, name: str, share: FillShare) -> None:
        history = self._positions.get(name)
        if history is None or history.signed_quantity == 0:
            history = self._positions[name] = PositionHistory(position_id=name, fills=[])
        sign = 1 if share.event["order_side"] == "BUY" else -1
        history.signed_quantity += sign * share.quantity
        history.fills.append(share)

    def _add_position(self, name: str, event: dict[str, Any]) -> None:
        """Compare with what nautilus itself said of the position."""
        position = event["position_id"]
        share = self._turned.get(event["opening_order_id"])
        if name == "PositionOpened" and share is not None and position != share.event["position_id"]:
            del self._turned[event["opening_order_id"]]
            self._open(position, share)
        history = self._positions.get(position)
        is_same = history is not None and _find_opening(history) == event["opening_order_id"]
        if name == "PositionClosed":
            if is_same:
                del self._positions[position]
            self._doubts.pop(position, None)
            return
        held = abs(history.signed_quantity) if is_same and history is not None else Decimal()
        if held != Decimal(event["quantity"]) and not (history is not None and _pays_in_kind(history)):
            self._positions[position] = _build_history(event)
            self._doubts[position] = (
                f"{position} held {event['quantity']} {event['side']} at {event['avg_px_open']} by its own event, "
                f"and {held} by the fills that are kept"
            )


def _build_history(event: dict[str, Any]) -> PositionHistory:
    """Return a position as its event tells of it: one fill at the average price, whose costs nobody knows."""
    is_long = event["side"] == "LONG"
    quantity = Decimal(event["quantity"])
    fill = {
        "type": "OrderFilled",
        "trader_id": event["trader_id"],
        "strategy_id": event["strategy_id"],
        "instrument_id": event["instrument_id"],
        "client_order_id": event["opening_order_id"],
        "venue_order_id": "RECONCILED",
        "account_id": event["account_id"],
        "trade_id": f"R-{event['event_id']}"[:36],
        "position_id": event["position_id"],
        "order_side": "BUY" if is_long else "SELL",
        "order_type": "MARKET",
        "last_qty": event["quantity"],
        "last_px": f"{round(Decimal(str(event['avg_px_open'])), _MOST_DECIMALS):f}",
        "currency": event["currency"],
        "commission": f"0 {event['currency']}",
        "liquidity_side": "NO_LIQUIDITY_SIDE",
        "event_id": event["event_id"],
        "ts_event": event["ts_opened"],
        "ts_init": event["ts_init"],
        "info": {},
        "reconciliation": True,
    }
    signed = quantity if is_long else -quantity
    return PositionHistory(event["position_id"], [FillShare(fill, quantity, None)], signed)


def _find_opening(history: PositionHistory) -> str:
    name: str = history.fills[0].event["client_order_id"]
    return name


def _pays_in_kind(history: PositionHistory) -> bool:
    """Return whether commissions are taken from the quantity, as nautilus does where they are in the base currency."""
    return any(
        share.commission and share.event["commission"].split()[1] != share.event["currency"]
        for share in history.fills
    )


def _round_money(amount: Decimal, like: Decimal) -> Decimal:
    """Round as nautilus's money does: in floats, half away from zero."""
    places = -int(like.as_tuple().exponent)
    return Decimal(float(amount) * 10.0**places).quantize(Decimal(1), ROUND_HALF_UP).scaleb(-places)


def _parse_money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text.split()[0].replace("_", ""))
