"""
Nautilus's bookkeeping of trades, without its quadratic costs.

Two classes of nautilus 1.231 do work for every fill that grows with all fills before it:

- `PortfolioAnalyzer` concatenates a pandas Series for every closed position and grows another by label.
- The matching engine asks the cache for *all* orders of a position on every fill, to find the reduce-only
  ones; in NETTING mode one position gathers every order of the run.

The subclasses here keep the same statistics and the same answers at a constant cost per fill. The cache also
keeps snapshots of closed positions as they are, where nautilus pickles and unpickles them (`snapshots`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import nautilus_trader.system.kernel as kernel_module
import numpy as np
import pandas as pd
from nautilus_trader.analysis.analyzer import PortfolioAnalyzer
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.datetime import unix_nanos_to_dt
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
)
from nautilus_trader.model.objects import Currency, Money
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from workbench.backtest.feed import MergingNode
from workbench.backtest.snapshots import SnapshotStore

__all__ = ["AppendOnlyAnalyzer", "IndexedCache", "installed_cache"]


class _Records:
    """The growing form of one currency's PnL records."""

    __slots__ = ("position_ids", "timestamps", "values")

    def __init__(self, pnls: pd.Series[float] | None, timestamps: pd.Series[Any] | None) -> None:
        self.values: list[float] = [] if pnls is None else pnls.tolist()
        self.position_ids: list[str] = [] if pnls is None else pnls.index.tolist()
        self.timestamps: list[int | None] = [] if timestamps is None else timestamps.tolist()

    def build_pnls(self) -> pd.Series[float]:
        return pd.Series(self.values, index=self.position_ids, dtype=np.float64)

    def build_timestamps(self) -> pd.Series[Any]:
        return pd.Series(self.timestamps, index=self.position_ids, dtype=object)


class AppendOnlyAnalyzer(PortfolioAnalyzer):
    """A `PortfolioAnalyzer` that appends to lists and builds its Series when somebody asks for them."""

    @classmethod
    def take_over(cls, analyzer: PortfolioAnalyzer) -> AppendOnlyAnalyzer:
        """
        Turn `analyzer` into one of this class, in place.

        The portfolio holds its analyzer in a read-only attribute of a compiled class, so the object stays
        and its class changes.
        """
        analyzer.__class__ = cls
        taken: AppendOnlyAnalyzer = analyzer
        return taken

    def realized_pnls(self, currency: Currency | None = None) -> pd.Series[float] | None:
        """Return the realized PnLs, as `PortfolioAnalyzer.realized_pnls` does."""
        self._materialise(self._realized_pnls, self._realized_pnl_timestamps)
        self._materialise(self._recorded_realized_pnls, self._recorded_realized_pnl_timestamps)
        pnls: pd.Series[float] | None = super().realized_pnls(currency)
        return pnls

    def add_positions(self, positions: list[Position]) -> None:
        """Add positions, as `PortfolioAnalyzer.add_positions` does."""
        self._positions += positions
        so_far = self.position_returns()
        sums = dict(zip(so_far.index, so_far.tolist(), strict=True))
        for position in positions:
            if position.realized_pnl is None:
                continue
            self.add_trade(position.id, position.realized_pnl, position.ts_last)
            if position.ts_closed > 0:
                closed = unix_nanos_to_dt(position.ts_closed)
                sums[closed] = sums.get(closed, 0.0) + float(position.realized_return)
        if sums:
            self._position_returns = pd.Series(list(sums.values()), index=list(sums), dtype=np.float64)
            self._sync_returns_alias()

    def _append_pnl_record(
        self,
        pnls: dict[Currency, Any],
        timestamps: dict[Currency, Any],
        position_id: PositionId,
        realized_pnl: Money,
        ts_event: int | None,
    ) -> None:
        currency = realized_pnl.currency
        records = pnls.get(currency)
        if not isinstance(records, _Records):
            records = _Records(records, timestamps.get(currency))
            pnls[currency] = records
        records.values.append(realized_pnl.as_double())
        records.position_ids.append(position_id.value)
        records.timestamps.append(None if ts_event is None else int(ts_event))

    @staticmethod
    def _materialise(pnls: dict[Currency, Any], timestamps: dict[Currency, Any]) -> None:
        for currency, records in pnls.items():
            if isinstance(records, _Records):
                pnls[currency] = records.build_pnls()
                timestamps[currency] = records.build_timestamps()


# The only frames of Python that call into `BacktestEngine.run` and `BacktestEngine.end`.
_ENGINE_CALLERS: frozenset[CodeType] = frozenset(
    {
        BacktestNode._run_oneshot.__code__,
        BacktestNode._run_streaming.__code__,
        MergingNode._run_streaming.__code__,
        # Builds the result
        BacktestNode._run.__code__,
    }
)


def _is_engine_calling() -> bool:
    """
    Return whether nautilus's own compiled code called the method that asks.

    When the frame of Python below the call is the one that drives the engine, no strategy's code is on the
    stack.
    """
    return sys._getframe(2).f_code in _ENGINE_CALLERS


class IndexedCache(Cache):
    """
    A `Cache` that answers nautilus's own engines from indexes, and everybody else as ever.

    The matching engine looks for open reduce-only orders alone, and is given those. The portfolio and the
    engine read snapshots of closed positions and are given the ones that are kept; others get copies.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reduce_only: dict[PositionId, dict[ClientOrderId, Order]] = {}
        self.snapshots = SnapshotStore()

    def add_position_id(
        self, position_id: PositionId, venue: Venue, client_order_id: ClientOrderId, strategy_id: StrategyId
    ) -> None:
        """Index the order under its position, as `Cache.add_position_id` does."""
        Cache.add_position_id(self, position_id, venue, client_order_id, strategy_id)
        order = self.order(client_order_id)
        if order is not None and order.is_reduce_only:
            self._reduce_only.setdefault(position_id, {})[client_order_id] = order

    def orders_for_position(self, position_id: PositionId) -> list[Order]:
        """Return the orders of the position, as `Cache.orders_for_position` does."""
        if not _is_engine_calling():
            orders: list[Order] = Cache.orders_for_position(self, position_id)
            return orders
        candidates = self._reduce_only.get(position_id)
        if not candidates:
            return []
        for client_order_id in [i for i, order in candidates.items() if order.is_closed]:
            del candidates[client_order_id]
        return list(candidates.values())

    def snapshot_position(self, position: Position) -> None:
        """Keep a snapshot of the position, as `Cache.snapshot_position` does."""
        self.snapshots.add(position)

    def position_snapshots(
        self, position_id: PositionId | None = None, account_id: AccountId | None = None
    ) -> list[Position]:
        """Return the snapshots, as `Cache.position_snapshots` does."""
        if _is_engine_calling():
            return self.snapshots.find(position_id, account_id)
        return self.snapshots.copy(position_id, account_id)

    def position_snapshot_ids(
        self, instrument_id: InstrumentId | None = None, account_id: AccountId | None = None
    ) -> set[PositionId]:
        """Return the ids of positions with snapshots, as `Cache.position_snapshot_ids` does."""
        found = self.snapshots.find_ids(instrument_id)
        if account_id is None:
            return found
        return {p for p in found if self._has_account(p, account_id)}

    def position_snapshot_bytes(self, position_id: PositionId) -> list[bytes]:
        """Return the pickled snapshots, as `Cache.position_snapshot_bytes` does."""
        if _is_engine_calling():
            return self.snapshots.reference(position_id)
        return self.snapshots.pickle(position_id)

    def purge_order(self, client_order_id: ClientOrderId, purge_from_database: bool = False) -> None:
        """Purge the order, as `Cache.purge_order` does."""
        Cache.purge_order(self, client_order_id, purge_from_database)
        if self.order(client_order_id) is None:  # An open order stays
            for candidates in self._reduce_only.values():
                candidates.pop(client_order_id, None)

    def purge_position(self, position_id: PositionId, purge_from_database: bool = False) -> None:
        """Purge the position, as `Cache.purge_position` does."""
        position = self.position(position_id)
        Cache.purge_position(self, position_id, purge_from_database)
        if self.position(position_id) is None:  # An open position stays
            self._reduce_only.pop(position_id, None)
            self.snapshots.purge_position(position_id, None if position is None else position.instrument_id)

    def purge_instrument(self, instrument_id: InstrumentId, purge_from_database: bool = False) -> None:
        """Purge the instrument, as `Cache.purge_instrument` does."""
        Cache.purge_instrument(self, instrument_id, purge_from_database)
        if self.instrument(instrument_id) is None:
            self.snapshots.clear_index(instrument_id)

    def clear_index(self) -> None:
        """Clear the indexes, as `Cache.clear_index` does."""
        Cache.clear_index(self)
        self._reduce_only.clear()
        self.snapshots.clear_index()

    def reset(self) -> None:
        """Reset the cache, as `Cache.reset` does."""
        Cache.reset(self)
        self.snapshots.clear()

    def _has_account(self, position_id: PositionId, account_id: AccountId) -> bool:
        position = self.position(position_id)
        if position is not None and position.account_id == account_id:
            return True
        return bool(self.snapshots.find(position_id, account_id))


@contextmanager
def installed_cache() -> Iterator[None]:
    """Let every kernel that is built inside the block have an `IndexedCache`."""
    original = kernel_module.Cache
    kernel_module.Cache = IndexedCache
    try:
        yield
    finally:
        kernel_module.Cache = original
