"""The books of an engine, kept from its journal alone, and everybody else's compared with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engine_records import EngineEvent
from workbench.live.journal_reader import JournalReader

__all__ = ["Books", "check_answers", "check_stream", "keep_books", "read_journal"]

START = Decimal("1000000.00")
CENT = Decimal("0.01")
_PAGE = 5_000
_ENDED = frozenset({"OrderCanceled", "OrderRejected", "OrderDenied", "OrderExpired"})


@dataclass
class Books:
    """
    What the fills come to.

    Attributes
    ----------
    trades : Counter
        How often each fill of the venue stands there, by its id.
    held : dict
        What is held, by position.
    prices : dict
        At which average price.
    begun : dict
        What is left to fill of the orders that have begun and not ended.
    open_orders : set
        Those that were sent.
    balance : Decimal
        Of the account: what it began with, what was gained and what was paid.
    said : Decimal
        The last word of nautilus on it.

    """

    trades: Counter[str] = field(default_factory=Counter)
    held: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    begun: dict[str, Decimal] = field(default_factory=dict)
    open_orders: set[str] = field(default_factory=set)
    balance: Decimal = START
    said: Decimal = START

    def fill(self, body: dict[str, Any]) -> None:
        self.trades[body["trade_id"]] += 1
        name, price = body["position_id"], Decimal(body["last_px"])
        change = Decimal(body["last_qty"]) * (1 if body["order_side"] == "BUY" else -1)
        held = self.held.get(name, Decimal(0))
        self.balance -= Decimal(body["commission"].split()[0].replace("_", ""))
        if held * change >= 0:
            before = self.prices.get(name, Decimal(0)) * abs(held)
            self.prices[name] = (before + price * abs(change)) / abs(held + change)
        else:
            gain = (price - self.prices[name]) * min(abs(held), abs(change))
            self.balance += (gain if held > 0 else -gain).quantize(CENT)
            if abs(change) > abs(held):
                self.prices[name] = price
        self.held[name] = held + change
        order = body["client_order_id"]
        self.begun[order] -= abs(change)
        assert self.begun[order] >= 0, f"{order} was filled beyond its quantity"
        if not self.begun[order]:
            self.end(order)

    def end(self, order: str) -> None:
        self.begun.pop(order, None)
        self.open_orders.discard(order)


def read_journal(path: Any) -> list[EngineEvent]:
    """Return all of a journal."""
    found: list[EngineEvent] = []
    with JournalReader(path) as reader:
        while page := reader.read(found[-1].seq if found else 0, _PAGE):
            found += page
    return found


def keep_books(events: Sequence[EngineEvent]) -> Books:
    """
    Keep the books by every event of a journal, and see that it has no hole, doubles nothing and contradicts nothing.

    What each host says that it took over is compared with what the fills until then come to.
    """
    assert [e.seq for e in events] == list(range(1, len(events) + 1)), "the journal has a hole"
    incarnations = [e.incarnation for e in events]
    assert incarnations == sorted(incarnations), "a host wrote after the next one had begun"
    started = [e.incarnation for e in events if e.name == "HostStarted"]
    assert started == sorted(set(incarnations)), "a host did not begin, or began twice"
    books, begun = Books(), Counter[str]()
    for event in events:
        body = msgspec.json.decode(event.body)
        if event.name == "OrderInitialized":
            begun[body["client_order_id"]] += 1
            books.begun[body["client_order_id"]] = Decimal(body["quantity"])
        elif event.name == "OrderSubmitted":
            books.open_orders.add(body["client_order_id"])
        elif event.name == "OrderFilled":
            books.fill(body)
        elif event.name in _ENDED:
            books.end(body["client_order_id"])
        elif event.name == "AccountState":
            books.said = Decimal(body["balances"][0]["total"])
        elif event.name == "SandboxRestored":
            _check_restored(books, body)
        assert event.name not in {"JournalDropped", "JournalRecovered"}, body
    assert set(books.trades.values()) <= {1}, "a fill stands twice in the journal"
    assert set(begun.values()) <= {1}, "an order began twice"
    # Nautilus counts in floats, and may round half a cent the other way.
    assert abs(books.said - books.balance) <= CENT * max(len(books.trades), 1), (books.said, books.balance)
    return books


def _check_restored(books: Books, body: dict[str, Any]) -> None:
    held = {name: Decimal(p["signed_quantity"]) for name, p in body["positions"].items()}
    assert held == {name: quantity for name, quantity in books.held.items() if quantity}
    # Their venue died with the host before.
    assert set(body["open_orders"]) <= books.begun.keys()
    assert not body["problems"]


def check_answers(
    books: Books,
    *,
    positions: Iterable[Any],
    orders: Iterable[Any],
    fills: Iterable[Any],
    accounts: Iterable[Any],
) -> None:
    """Compare what an engine answers, or a client knows, with the books: rows of `engine_records`."""
    sides = {"LONG": 1, "SHORT": -1}
    held = {p.position_id: sides[p.side] * Decimal(p.quantity) for p in positions}
    assert held == {name: quantity for name, quantity in books.held.items() if quantity}
    assert {o.client_order_id for o in orders if o.is_open} == books.open_orders
    trades = Counter(f.trade_id for f in fills)
    assert set(trades.values()) <= {1}
    assert trades.keys() <= books.trades.keys()
    assert [Decimal(a.balances[0].total) for a in accounts] == [books.said]


def check_stream(heard: Sequence[EngineEvent], events: Sequence[EngineEvent]) -> None:
    """See that a client that listened all the while heard the journal: everything, once, in order."""
    assert [e.seq for e in heard] == [e.seq for e in events[: len(heard)]]
    for mine, theirs in zip(heard, events, strict=False):
        assert (mine.name, bytes(mine.body)) == (theirs.name, bytes(theirs.body))
