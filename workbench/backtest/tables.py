"""The tables of a run as Arrow: what the engine's cache and the monitor hold after the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from nautilus_trader.accounting.accounts.base import Account
from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import (
    account_type_to_str,
    liquidity_side_to_str,
    order_side_to_str,
    order_status_to_str,
    order_type_to_str,
    position_side_to_str,
    time_in_force_to_str,
)
from nautilus_trader.model.events import OrderDenied, OrderRejected
from nautilus_trader.model.objects import Currency
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from workbench.backtest.bookkeeping import IndexedCache
from workbench.backtest.marks import Marks
from workbench.backtest.monitor import FillSample, Sample
from workbench.gate.worth import EXACT

__all__ = [
    "build_accounts",
    "build_equity",
    "build_fills",
    "build_orders",
    "build_positions",
]

_AMOUNT = pa.decimal128(38, 16)
_TIME = pa.timestamp("ns", tz="UTC")
_PLACES = Decimal(1).scaleb(-16)

_Column = tuple[str, pa.DataType, Callable[[Any], Any]]


def _fit(value: Decimal | None) -> Decimal | None:
    """Return `value` with 16 decimals: only quotients (rates, average prices) have more."""
    return None if value is None else EXACT.quantize(value, _PLACES)


def _amount(value: Any) -> Decimal | None:
    """Return a nautilus Price, Quantity or Money as the exact decimal that it is."""
    return None if value is None else value.as_decimal()


def _from_double(value: float | None) -> Decimal | None:
    """Return what nautilus holds as a double (an average price) as the shortest decimal that reads back."""
    return None if value is None else _fit(Decimal(repr(float(value))))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _build(
    columns: Iterable[_Column], rows: list[Any], metadata: dict[bytes, bytes] | None = None
) -> pa.Table:
    arrays, fields = [], []
    for name, kind, read in columns:
        arrays.append(pa.array([read(row) for row in rows], type=kind))
        fields.append(pa.field(name, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def build_equity(samples: list[Sample], currency: Currency) -> pa.Table:
    """Return the samples: one row each, ascending `ts`, amounts in `currency`."""

    def unrealized(s: Sample) -> Decimal | None:
        return None if s.equity is None or s.balance is None else _fit(EXACT.subtract(s.equity, s.balance))

    columns: list[_Column] = [
        ("ts", _TIME, lambda s: s.ts_ns),
        ("equity", _AMOUNT, lambda s: _fit(s.equity)),
        ("balance", _AMOUNT, lambda s: _fit(s.balance)),
        ("unrealized_pnl", _AMOUNT, unrealized),
        ("gross_exposure", _AMOUNT, lambda s: _fit(s.gross_exposure)),
        ("net_exposure", _AMOUNT, lambda s: _fit(s.net_exposure)),
        ("open_positions", pa.int32(), lambda s: s.open_positions),
        ("open_orders", pa.int32(), lambda s: s.open_orders),
        ("events", pa.int64(), lambda s: s.events),
    ]
    return _build(columns, samples, {b"workbench.currency": currency.code.encode()})


def build_orders(cache: Cache) -> pa.Table:
    """Return all orders, ascending `ts_init`."""

    def reason(order: Order) -> str | None:
        event = order.last_event
        return event.reason if isinstance(event, OrderDenied | OrderRejected) else None

    def average(order: Order) -> Decimal | None:
        return _from_double(order.avg_px) if order.filled_qty.as_decimal() else None

    columns: list[_Column] = [
        ("client_order_id", pa.string(), lambda o: _text(o.client_order_id)),
        ("venue_order_id", pa.string(), lambda o: _text(o.venue_order_id)),
        ("instrument_id", pa.string(), lambda o: _text(o.instrument_id)),
        ("strategy_id", pa.string(), lambda o: _text(o.strategy_id)),
        ("position_id", pa.string(), lambda o: _text(o.position_id)),
        ("order_side", pa.string(), lambda o: order_side_to_str(o.side)),
        ("order_type", pa.string(), lambda o: order_type_to_str(o.order_type)),
        ("time_in_force", pa.string(), lambda o: time_in_force_to_str(o.time_in_force)),
        ("quantity", _AMOUNT, lambda o: _amount(o.quantity)),
        ("filled_qty", _AMOUNT, lambda o: _amount(o.filled_qty)),
        ("avg_px", _AMOUNT, average),
        ("price", _AMOUNT, lambda o: _amount(o.price) if o.has_price else None),
        ("trigger_price", _AMOUNT, lambda o: _amount(o.trigger_price) if o.has_trigger_price else None),
        ("status", pa.string(), lambda o: order_status_to_str(o.status)),
        ("is_reduce_only", pa.bool_(), lambda o: o.is_reduce_only),
        ("tags", pa.string(), lambda o: ",".join(o.tags) if o.tags else None),
        ("reason", pa.string(), reason),
        ("ts_init", _TIME, lambda o: o.ts_init),
        ("ts_last", _TIME, lambda o: o.ts_last),
    ]
    return _build(columns, sorted(cache.orders(), key=_created))


def _created(order: Order) -> tuple[int, int, str]:
    """Return when the order was made; of equal times, ids that count up."""
    name: str = order.client_order_id.value
    return order.ts_init, len(name), name


def build_fills(fills: list[FillSample], cache: Cache) -> pa.Table:
    """Return all fills in the order in which they happened."""
    instruments = {s.fill.instrument_id: cache.instrument(s.fill.instrument_id) for s in fills}
    settlements = {key: i.get_settlement_currency().code for key, i in instruments.items()}
    columns: list[_Column] = [
        ("ts_event", _TIME, lambda s: s.fill.ts_event),
        ("instrument_id", pa.string(), lambda s: _text(s.fill.instrument_id)),
        ("strategy_id", pa.string(), lambda s: _text(s.fill.strategy_id)),
        ("account_id", pa.string(), lambda s: _text(s.fill.account_id)),
        ("position_id", pa.string(), lambda s: _text(s.fill.position_id)),
        ("client_order_id", pa.string(), lambda s: _text(s.fill.client_order_id)),
        ("venue_order_id", pa.string(), lambda s: _text(s.fill.venue_order_id)),
        ("trade_id", pa.string(), lambda s: _text(s.fill.trade_id)),
        ("order_side", pa.string(), lambda s: order_side_to_str(s.fill.order_side)),
        ("order_type", pa.string(), lambda s: order_type_to_str(s.fill.order_type)),
        ("last_qty", _AMOUNT, lambda s: _amount(s.fill.last_qty)),
        ("last_px", _AMOUNT, lambda s: _amount(s.fill.last_px)),
        ("multiplier", _AMOUNT, lambda s: _amount(instruments[s.fill.instrument_id].multiplier)),
        ("is_inverse", pa.bool_(), lambda s: instruments[s.fill.instrument_id].is_inverse),
        ("currency", pa.string(), lambda s: settlements[s.fill.instrument_id]),
        ("commission", _AMOUNT, lambda s: _amount(s.fill.commission)),
        ("commission_currency", pa.string(), lambda s: s.fill.commission and s.fill.commission.currency.code),
        ("liquidity_side", pa.string(), lambda s: liquidity_side_to_str(s.fill.liquidity_side)),
        ("best_bid", _AMOUNT, lambda s: _amount(s.touch.bid)),
        ("best_ask", _AMOUNT, lambda s: _amount(s.touch.ask)),
        ("rate", _AMOUNT, lambda s: _fit(s.rate)),
        ("commission_rate", _AMOUNT, lambda s: _fit(s.commission_rate)),
    ]
    return _build(columns, fills)


def build_positions(cache: Cache, marks: Marks, fills: list[FillSample], currency: Currency) -> pa.Table:
    """Return all positions and the snapshots of closed cycles (NETTING), ascending `ts_opened`."""
    # Reading them does not need the copies that `position_snapshots` makes.
    is_indexed = isinstance(cache, IndexedCache)
    snapshots = cache.snapshots.find(None, None) if is_indexed else cache.position_snapshots()
    snapshot_ids = {p.id for p in snapshots}
    # A position closes with a fill, and that fill holds the rate of its moment.
    closing = {str(s.fill.client_order_id): s.rate for s in fills}

    def rate(p: Position) -> Decimal | None:
        if p.settlement_currency == currency:
            return Decimal(1)
        if p.is_closed:
            return _fit(closing.get(str(p.closing_order_id)))
        return _fit(marks.find_rate(p.settlement_currency, currency))

    def commissions(p: Position) -> Decimal | None:
        paid = p.commissions()
        return paid[0].as_decimal() if len(paid) == 1 else None

    columns: list[_Column] = [
        # A snapshot's id is the position's with a UUID behind it: keep what the fills say.
        ("position_id", pa.string(), lambda p: str(p.id)[:-37] if p.id in snapshot_ids else str(p.id)),
        ("instrument_id", pa.string(), lambda p: _text(p.instrument_id)),
        ("strategy_id", pa.string(), lambda p: _text(p.strategy_id)),
        ("account_id", pa.string(), lambda p: _text(p.account_id)),
        ("entry", pa.string(), lambda p: order_side_to_str(p.entry)),
        ("side", pa.string(), lambda p: position_side_to_str(p.side)),
        ("quantity", _AMOUNT, lambda p: _amount(p.quantity)),
        ("peak_qty", _AMOUNT, lambda p: _amount(p.peak_qty)),
        ("avg_px_open", _AMOUNT, lambda p: _from_double(p.avg_px_open)),
        ("avg_px_close", _AMOUNT, lambda p: _from_double(p.avg_px_close) if p.avg_px_close else None),
        ("ts_opened", _TIME, lambda p: p.ts_opened),
        ("ts_closed", _TIME, lambda p: p.ts_closed if p.is_closed else None),
        ("duration_ns", pa.int64(), lambda p: p.duration_ns if p.is_closed else None),
        ("realized_pnl", _AMOUNT, lambda p: _amount(p.realized_pnl)),
        ("currency", pa.string(), lambda p: p.settlement_currency.code),
        ("realized_return", pa.float64(), lambda p: p.realized_return),
        ("commissions", _AMOUNT, commissions),
        (
            "commissions_currency",
            pa.string(),
            lambda p: p.commissions()[0].currency.code if len(p.commissions()) == 1 else None,
        ),
        ("rate", _AMOUNT, rate),
        ("is_snapshot", pa.bool_(), lambda p: p.id in snapshot_ids),
        ("opening_order_id", pa.string(), lambda p: _text(p.opening_order_id)),
        ("closing_order_id", pa.string(), lambda p: _text(p.closing_order_id)),
        ("event_count", pa.int32(), lambda p: p.event_count),
    ]
    positions = sorted([*snapshots, *cache.positions()], key=lambda p: (p.ts_opened, p.ts_last, str(p.id)))
    return _build(columns, positions)


def build_accounts(cache: Cache) -> pa.Table:
    """Return every balance of every account state, in the order in which they came."""
    rows = [
        (account, event, balance)
        for account in cache.accounts()
        for event in account.events
        for balance in event.balances
    ]

    def kind(row: tuple[Account, Any, Any]) -> str:
        return str(account_type_to_str(row[0].type))

    columns: list[_Column] = [
        ("ts_event", _TIME, lambda r: r[1].ts_event),
        ("account_id", pa.string(), lambda r: _text(r[0].id)),
        ("account_type", pa.string(), kind),
        ("currency", pa.string(), lambda r: r[2].currency.code),
        ("total", _AMOUNT, lambda r: _amount(r[2].total)),
        ("free", _AMOUNT, lambda r: _amount(r[2].free)),
        ("locked", _AMOUNT, lambda r: _amount(r[2].locked)),
        ("is_reported", pa.bool_(), lambda r: r[1].is_reported),
    ]
    return _build(columns, rows)
