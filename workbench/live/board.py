"""What the engine holds, as rows that any thread may read: copies, so that nobody else touches nautilus's cache."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice

import msgspec

from workbench.engine_records import AccountRow, FillRow, OrderRow, PositionRow, StrategyRow

__all__ = ["Board", "Feed"]

_MOST_CLOSED = 2_000
_MOST_FILLS = 5_000


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """How much came of one kind of market data for one instrument, and when the last of it; wall clock, nanoseconds."""

    instrument_id: str
    kind: str
    count: int
    ts_last: int


class Board:
    """The rows of orders, fills, positions, accounts and strategies; written by the bridge, read by the service."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, OrderRow] = {}
        self._closed: dict[str, OrderRow] = {}
        self._fills: deque[FillRow] = deque(maxlen=_MOST_FILLS)
        self._positions: dict[str, PositionRow] = {}
        self._accounts: dict[str, AccountRow] = {}
        self._strategies: dict[str, StrategyRow] = {}
        self._feeds: list[Feed] = []

    def put_order(self, row: OrderRow) -> None:
        """Put an order in its place: with the open ones, or with the last closed ones."""
        with self._lock:
            if row.is_open:
                self._closed.pop(row.client_order_id, None)
                self._open[row.client_order_id] = row
                return
            self._open.pop(row.client_order_id, None)
            self._closed[row.client_order_id] = row
            if len(self._closed) > _MOST_CLOSED:
                del self._closed[next(iter(self._closed))]

    def add_fill(self, row: FillRow) -> None:
        """Add a fill."""
        with self._lock:
            self._fills.append(row)

    def put_position(self, row: PositionRow) -> None:
        """Put an open position in its place."""
        with self._lock:
            self._positions[row.position_id] = row

    def drop_position(self, position_id: str) -> None:
        """Take away a position that is closed."""
        with self._lock:
            self._positions.pop(position_id, None)

    def put_account(self, row: AccountRow) -> None:
        """Put an account in its place."""
        with self._lock:
            self._accounts[row.account_id] = row

    def put_strategy(self, row: StrategyRow) -> None:
        """Put a strategy in its place."""
        with self._lock:
            self._strategies[row.strategy_id] = row

    def drop_strategy(self, strategy_id: str) -> None:
        """Take away a strategy that was removed."""
        with self._lock:
            self._strategies.pop(strategy_id, None)

    def set_feeds(self, feeds: list[Feed]) -> None:
        """Replace what is known of the market data."""
        with self._lock:
            self._feeds = feeds

    def find_order(self, client_order_id: str) -> OrderRow | None:
        """Return an order, open or among the last closed ones."""
        with self._lock:
            return self._open.get(client_order_id) or self._closed.get(client_order_id)

    def find_strategy(self, strategy_id: str) -> StrategyRow | None:
        """Return a strategy."""
        with self._lock:
            return self._strategies.get(strategy_id)

    def list_orders(self, *, is_open: bool | None = None) -> list[OrderRow]:
        """Return orders, the newest first: open ones, the last closed ones, or both."""
        with self._lock:
            rows = [] if is_open is False else list(self._open.values())
            rows += [] if is_open is True else list(self._closed.values())
        return sorted(rows, key=lambda r: r.ts_init, reverse=True)

    def list_fills(self, limit: int) -> list[FillRow]:
        """Return the last fills, the newest first."""
        with self._lock:
            return list(islice(reversed(self._fills), limit))

    def list_positions(self) -> list[PositionRow]:
        """Return the open positions."""
        with self._lock:
            return list(self._positions.values())

    def list_accounts(self) -> list[AccountRow]:
        """Return the accounts."""
        with self._lock:
            return list(self._accounts.values())

    def list_strategies(self) -> list[StrategyRow]:
        """Return the strategies."""
        with self._lock:
            return list(self._strategies.values())

    def list_feeds(self) -> list[Feed]:
        """Return what is known of the market data."""
        with self._lock:
            return self._feeds
