"""Nautilus's objects as the rows that cross the process's edge."""

from __future__ import annotations

from typing import Any

from nautilus_trader.accounting.accounts.base import Account
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import (
    AggregationSource,
    account_type_to_str,
    liquidity_side_to_str,
    order_side_to_str,
)
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from workbench.engine_records import AccountRow, Balance, FillRow, OrderRow, PositionRow

__all__ = ["build_account_row", "build_fill_row", "build_order_row", "build_position_row", "find_mark"]


def build_order_row(order: Order) -> OrderRow:
    """Return an order as a row."""
    return OrderRow(
        client_order_id=order.client_order_id.value,
        venue_order_id=_text(order.venue_order_id),
        strategy_id=order.strategy_id.value,
        instrument_id=order.instrument_id.value,
        side=order.side_string(),
        type=order.type_string(),
        status=order.status_string(),
        quantity=str(order.quantity),
        filled_qty=str(order.filled_qty),
        price=str(order.price) if order.has_price else "",
        trigger_price=str(order.trigger_price) if order.has_trigger_price else "",
        avg_px=_text(order.avg_px) if order.filled_qty > 0 else "",
        time_in_force=order.tif_string(),
        is_reduce_only=order.is_reduce_only,
        is_open=not order.is_closed,
        position_id=_text(order.position_id),
        ts_init=order.ts_init,
        ts_last=order.ts_last,
    )


def build_fill_row(fill: OrderFilled) -> FillRow:
    """Return a fill as a row."""
    return FillRow(
        trade_id=fill.trade_id.value,
        client_order_id=fill.client_order_id.value,
        strategy_id=fill.strategy_id.value,
        instrument_id=fill.instrument_id.value,
        side=order_side_to_str(fill.order_side),
        quantity=str(fill.last_qty),
        price=str(fill.last_px),
        commission=_text(fill.commission),
        liquidity_side=liquidity_side_to_str(fill.liquidity_side),
        ts_event=fill.ts_event,
    )


def build_position_row(position: Position, mark: tuple[Price, int] | None) -> PositionRow:
    """Return a position as a row, valued at `mark`: a price, and when it was quoted."""
    return PositionRow(
        position_id=position.id.value,
        strategy_id=position.strategy_id.value,
        instrument_id=position.instrument_id.value,
        side="LONG" if position.is_long else "SHORT" if position.is_short else "FLAT",
        quantity=str(position.quantity),
        avg_px_open=str(position.avg_px_open),
        mark="" if mark is None else str(mark[0]),
        mark_ts=0 if mark is None else mark[1],
        unrealized_pnl="" if mark is None else str(position.unrealized_pnl(mark[0])),
        realized_pnl=_text(position.realized_pnl),
        currency=position.settlement_currency.code,
        ts_opened=position.ts_opened,
    )


def build_account_row(account: Account) -> AccountRow:
    """Return an account as a row."""
    event = account.last_event
    return AccountRow(
        account_id=account.id.value,
        type=account_type_to_str(account.type),
        base_currency="" if account.base_currency is None else account.base_currency.code,
        balances=[
            Balance(
                currency=b.currency.code,
                total=_number(b.total),
                free=_number(b.free),
                locked=_number(b.locked),
            )
            for b in account.balances().values()
        ],
        ts_event=event.ts_event,
    )


def find_mark(cache: CacheFacade, instrument_id: InstrumentId, *, is_long: bool) -> tuple[Price, int] | None:
    """Return the price at which a position could be closed now, or the last trade or bar, and when that was quoted."""
    quote = cache.quote_tick(instrument_id)
    trade = cache.trade_tick(instrument_id)
    if quote is not None and (trade is None or quote.ts_event >= trade.ts_event):
        return (quote.bid_price if is_long else quote.ask_price), quote.ts_event
    if trade is not None:
        return trade.price, trade.ts_event
    types = cache.bar_types(instrument_id=instrument_id, aggregation_source=AggregationSource.EXTERNAL)
    bars = [bar for bar in map(cache.bar, types) if bar is not None]
    bar = max(bars, key=lambda b: b.ts_event, default=None)
    return None if bar is None else (bar.close, bar.ts_event)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(money: Any) -> str:
    return str(money.as_decimal())
