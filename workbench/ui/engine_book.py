"""What is known of a live engine: where it stands, what it holds, what happened last, and its equity so far."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from workbench.client.engine import EngineReport
from workbench.client.engine_events import Link
from workbench.engine_records import (
    AccountRow,
    EmergencyPolicy,
    EngineEvent,
    EquitySample,
    FillRow,
    Gap,
    LogLine,
    OrderRow,
    PositionRow,
    StrategyPnl,
)
from workbench.errors import WorkbenchError
from workbench.ui.engine_orders import apply_order_event, build_fill

__all__ = ["EngineBook"]

_MOST_EVENTS = 500
_MOST_FILLS = 500
_MOST_CLOSED = 500
_SLACK = 100  # Old orders are looked for now and then
_STEP_MS = 5_000.0
_FINE = 600  # The latest samples are kept as they came: once a second
_MOST_SAMPLES = 17_280  # A day, one in 5 s
_HOLE_MS = 15_000.0  # Polls come once a second: what is missing then is asked for
_MOST_LINES = 500
_MAX_NS = 2**63 - 1
_PNL_STEP_NS = 5_000_000_000
_MOST_PNL = 720  # An hour


class EngineBook:
    """
    One engine, as far as it is known. Not for several threads.

    The rows are those that the engine was asked for, brought up to date by every event after them.

    Attributes
    ----------
    report : EngineReport, optional
        The last answer about where it stands.
    answered_at : float
        When that came, seconds since the epoch.
    missing : WorkbenchError, optional
        Why there is no such engine.
    policy : EmergencyPolicy, optional
        What an emergency stop does, by the configuration that runs.
    currency : str
        What its equity is counted in.
    environment : str
        ``SANDBOX`` or ``LIVE``; empty while that is not known.
    risk : dict
        The limits, by the configuration that runs.
    can_trade : bool, optional
        Whether this user may steer it; ``None`` while that is not known.
    orders, positions, accounts, fills : dict
        The rows by id; the newest order and fill last.
    events : deque[EngineEvent]
        What happened last, the newest last.
    pnl : dict[str, deque[tuple[int, float]]]
        What each strategy has made in all, by its id: UNIX nanoseconds and amount, of the last hour.
    equity : deque[tuple[float, float]]
        Milliseconds since the epoch and equity, NaN where it was not known: one a second of late, one in five seconds
        before, and what the engine remembers from before that.
    past : int
        How often what the engine remembers was put among them.
    wants_past : bool
        Whether it is to be asked for that: at first, and after a time in which nobody was heard.
    log_level : str
        The least grave level of nautilus's log that somebody wants to see; empty where nobody does.
    log : deque[tuple[int, LogLine]]
        Its last lines with their time, UNIX nanoseconds UTC, the newest last.
    log_cursor : str
        Where its next line will be.
    link : Link, optional
        How the engine is heard.
    gap : Gap, optional
        Events that are no longer kept and that this book lacks.
    seq : int
        The last event that is known.
    is_unsure : bool
        Whether the open orders and accounts have to be asked for: an event did not say all.
    is_stale : bool
        Whether everything has to be asked for: events are missing, or another host has begun.

    """

    def __init__(self) -> None:
        self.report: EngineReport | None = None
        self.answered_at = 0.0
        self.missing: WorkbenchError | None = None
        self.policy: EmergencyPolicy | None = None
        self.currency = ""
        self.environment = ""
        self.risk: dict[str, Any] = {}
        self.can_trade: bool | None = None
        self.orders: dict[str, OrderRow] = {}
        self.positions: dict[str, PositionRow] = {}
        self.accounts: dict[str, AccountRow] = {}
        self.fills: dict[str, FillRow] = {}
        self.events: deque[EngineEvent] = deque(maxlen=_MOST_EVENTS)
        self.equity: deque[tuple[float, float]] = deque(maxlen=_MOST_SAMPLES)
        self.past = 0
        self.wants_past = True
        self.log_level = ""
        self.log: deque[tuple[int, LogLine]] = deque(maxlen=_MOST_LINES)
        self.log_cursor = ""
        self.pnl: dict[str, deque[tuple[int, float]]] = {}
        self.link: Link | None = None
        self.gap: Gap | None = None
        self.seq = 0
        self.is_unsure = False
        self.is_stale = True
        self._read_seq = 0  # The rows hold all that was told up to this event
        self._incarnation = 0
        self._coarse: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the host says of itself; empty if it says nothing."""
        return {} if self.report is None or self.report.facts is None else self.report.facts

    @property
    def open_orders(self) -> list[OrderRow]:
        """Return the open orders, the newest first."""
        return [row for row in reversed(self.orders.values()) if row.is_open]

    def begin_after(self, seq: int) -> None:
        """Take that the first event will be the one after `seq`."""
        self.seq = max(self.seq, seq)

    def take_report(self, report: EngineReport, now: float) -> None:
        """Take where the engine stands."""
        self.report, self.answered_at, self.missing = report, now, None
        host = report.status.host
        if host is not None and host.incarnation != self._incarnation:
            self._incarnation = host.incarnation
            self.is_stale = True
        self._note_equity(report, now)
        self._note_pnl(report, int(now * 1e9))

    def take_past(self, samples: Iterable[EquitySample]) -> None:
        """Put what the engine remembers among the samples; what is there of the same time stays."""
        found = list(samples)
        known = dict(self.equity)
        for sample in found:
            value = math.nan if sample.equity is None else float(sample.equity)
            known.setdefault(sample.ts_ns / 1e6, value)
        self.equity = deque(sorted(known.items()), maxlen=_MOST_SAMPLES)
        for name in {name for sample in found for name in sample.strategies}:
            self._put_pnl(
                name, [(one.ts_ns, one.strategies[name]) for one in found if name in one.strategies]
            )
        self.currency = self.currency or (found[-1].currency if found else "")
        self.past += 1
        self.wants_past = False

    def follow_log(self, level: str) -> None:
        """Ask for nautilus's log of this level and graver from now on; an empty one ends that."""
        if level != self.log_level:
            self.log_level, self.log_cursor = level, ""
            self.log.clear()

    def take_log(self, level: str, lines: Iterable[LogLine], cursor: str) -> None:
        """Take lines of nautilus's log that were asked for."""
        if level == self.log_level:
            self.log.extend((_parse_stamp(line.ts), line) for line in lines)
            self.log_cursor = cursor

    def take_missing(self, error: WorkbenchError) -> None:
        """Take that there is no such engine."""
        self.missing = error

    def take_rows(
        self,
        *,
        seq: int,
        orders: Iterable[OrderRow],
        positions: Iterable[PositionRow],
        accounts: Iterable[AccountRow],
        fills: Iterable[FillRow],
    ) -> None:
        """Take everything that the engine holds; `seq` is an event that had happened when it was asked."""
        self.orders = {row.client_order_id: row for row in sorted(orders, key=lambda r: r.ts_init)}
        self.fills = {row.trade_id: row for row in sorted(fills, key=lambda r: r.ts_event)}
        self.take_positions(positions)
        self.take_accounts(accounts)
        self._read_seq = max(seq, self.seq)
        self.is_stale = self.is_unsure = False
        self._forget_old()

    def take_open_orders(self, orders: Iterable[OrderRow]) -> None:
        """Take the open orders; one that is not among them has ended in a way that nobody told."""
        found = {row.client_order_id: row for row in orders}
        for order_id, row in self.orders.items():
            if row.is_open and order_id not in found:
                self.is_stale = True
        for row in sorted(found.values(), key=lambda r: r.ts_init):
            self.orders[row.client_order_id] = row
        self.is_unsure = False

    def take_positions(self, positions: Iterable[PositionRow]) -> None:
        """Take the open positions."""
        self.positions = {row.position_id: row for row in positions}

    def take_accounts(self, accounts: Iterable[AccountRow]) -> None:
        """Take the accounts."""
        self.accounts = {row.account_id: row for row in accounts}

    def note(self, item: EngineEvent | Gap | Link) -> None:
        """Take what a stream of events gives."""
        if isinstance(item, Link):
            self.link = item
        elif isinstance(item, Gap):
            self.gap, self.is_stale = item, True
            self.begin_after(item.first - 1)
        elif item.seq > self.seq:
            if item.seq > self.seq + 1:
                self.is_stale = True
            self.seq = item.seq
            self.events.append(item)
            if item.seq > self._read_seq:
                self._apply(item)

    def _apply(self, event: EngineEvent) -> None:
        if event.kind == "account":
            self.is_unsure = True
        elif event.kind == "order":
            self._apply_order(event.name, msgspec.json.decode(event.body))
        elif event.kind == "position" and event.name == "PositionClosed":
            self.positions.pop(msgspec.json.decode(event.body).get("position_id", ""), None)

    def _apply_order(self, name: str, body: dict[str, Any]) -> None:
        order_id = body.get("client_order_id", "")
        try:
            if name == "OrderFilled":
                if body["trade_id"] in self.fills:
                    return
                self.fills[body["trade_id"]] = build_fill(body)
            row = apply_order_event(self.orders.get(order_id), name, body)
        except (KeyError, TypeError, ArithmeticError):  # Of another version: the rows are asked for
            row = None
        if row is None:
            self.is_unsure = True
        else:
            self.orders[order_id] = row
        self._forget_old()

    def _note_equity(self, report: EngineReport, now: float) -> None:
        valuation = (report.facts or {}).get("valuation") or {}
        self.currency = valuation.get("currency") or self.currency
        equity = valuation.get("equity")
        if equity is None:
            return
        millis = now * 1e3
        if self.equity and millis <= self.equity[-1][0]:
            return
        if self.equity and millis - self.equity[-1][0] > _HOLE_MS:
            self.wants_past = True
        self.equity.append((millis, float(equity)))
        # What leaves the fine part stays if it is far enough from the last that stayed.
        if len(self.equity) > _FINE:
            at = len(self.equity) - _FINE - 1
            if self.equity[at][0] - self._coarse < _STEP_MS:
                del self.equity[at]
            else:
                self._coarse = self.equity[at][0]

    def _put_pnl(self, name: str, past: list[tuple[int, StrategyPnl]]) -> None:
        known = self.pnl.get(name, deque())
        first_ns = known[0][0] if known else _MAX_NS
        made = [
            (ts_ns, float(Decimal(one.realized) + Decimal(one.unrealized)))
            for ts_ns, one in past
            if ts_ns < first_ns and one.realized is not None and one.unrealized is not None
        ]
        self.pnl[name] = deque([*made, *known], maxlen=_MOST_PNL)

    def _note_pnl(self, report: EngineReport, now_ns: int) -> None:
        made: dict[str, dict[str, Any]] = (report.facts or {}).get("strategy_pnl") or {}
        for name, amounts in made.items():
            past = self.pnl.setdefault(name, deque(maxlen=_MOST_PNL))
            realized, unrealized = amounts.get("realized"), amounts.get("unrealized")
            if realized is None or unrealized is None or (past and now_ns - past[-1][0] < _PNL_STEP_NS):
                continue
            past.append((now_ns, float(Decimal(realized) + Decimal(unrealized))))

    def _forget_old(self) -> None:
        while len(self.fills) > _MOST_FILLS:
            del self.fills[next(iter(self.fills))]
        if len(self.orders) > _MOST_CLOSED + _SLACK:
            closed = [order_id for order_id, row in self.orders.items() if not row.is_open]
            for order_id in closed[: max(len(closed) - _MOST_CLOSED, 0)]:
                del self.orders[order_id]


def _parse_stamp(text: str) -> int:
    """Return an ISO 8601 time as UNIX nanoseconds, to the microsecond; 0 where it is none."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1_000
    except ValueError:
        return 0
