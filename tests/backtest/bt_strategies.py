"""Strategies that do what a test needs, in the child process as well."""

from __future__ import annotations

import decimal
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

RUNS = 0


class ScheduleConfig(StrategyConfig, frozen=True):
    """`orders` holds (time, instrument, signed quantity); `closes` closes all at the end."""

    orders: list[tuple[str, str, str]]
    closes: bool = False


class Schedule(Strategy):
    """Sends market orders with the first quote at or after their time."""

    def __init__(self, config: ScheduleConfig) -> None:
        super().__init__(config)
        self.todo = [
            (pd.Timestamp(t, tz="UTC").value, InstrumentId.from_str(i), Decimal(q))
            for t, i, q in config.orders
        ]

    def on_start(self) -> None:
        for instrument_id in {i for _, i, _ in self.todo}:
            self.subscribe_quote_ticks(instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        due = [t for t in self.todo if t[0] <= tick.ts_event and t[1] == tick.instrument_id]
        for order in due:
            self.todo.remove(order)
            _, instrument_id, quantity = order
            instrument = self.cache.instrument(instrument_id)
            side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
            self.submit_order(
                self.order_factory.market(instrument_id, side, instrument.make_qty(abs(quantity)))
            )

    def on_stop(self) -> None:
        if self.config.closes:
            for instrument_id in {position.instrument_id for position in self.cache.positions_open()}:
                self.close_all_positions(instrument_id)


class TroubleConfig(StrategyConfig, frozen=True):
    """What goes wrong, and at which bar."""

    kind: str
    at: int = 100
    note: str | None = None
    bar_type: str = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"


class Trouble(Strategy):
    """Trades a little, then does what its config says."""

    def __init__(self, config: TroubleConfig) -> None:
        super().__init__(config)
        self.bars = 0
        if config.kind == "init":
            raise RuntimeError("trouble in init")

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str(self.config.bar_type))
        if self.config.kind == "start":
            raise RuntimeError("trouble in on_start")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        instrument_id = bar.bar_type.instrument_id
        if self.bars in (10, 20):
            side = OrderSide.BUY if self.bars == 10 else OrderSide.SELL
            quantity = self.cache.instrument(instrument_id).make_qty(1_000)
            self.submit_order(self.order_factory.market(instrument_id, side, quantity))
        if self.bars == self.config.at and self.config.kind != "stop":
            if self.config.note is not None:
                Path(self.config.note).touch()
            getattr(self, f"_do_{self.config.kind}")(bar)

    def _do_bar(self, bar: Bar) -> None:
        raise RuntimeError("trouble in on_bar")

    def _do_exit(self, bar: Bar) -> None:
        raise SystemExit(3)

    def _do_hang(self, bar: Bar) -> None:
        time.sleep(600)

    def _do_eat(self, bar: Bar) -> None:
        held = []
        while True:
            held.append(b"x" * 50_000_000)
            time.sleep(0.02)

    def _do_poison(self, bar: Bar) -> None:
        decimal.getcontext().prec = 3

    def _do_wait(self, bar: Bar) -> None:
        time.sleep(0.01)

    def on_stop(self) -> None:
        if self.config.kind == "stop":
            raise RuntimeError("trouble in on_stop")


class SlowConfig(StrategyConfig, frozen=True):
    """How long every bar takes."""

    secs: float = 0.001
    bar_type: str = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"


class Slow(Strategy):
    """Takes its time, so that a test can reach a run in the middle."""

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str(self.config.bar_type))

    def on_bar(self, bar: Bar) -> None:
        time.sleep(self.config.secs)


class RuinConfig(StrategyConfig, frozen=True):
    """Whether it begins with what it does not have."""

    sells_first: bool = False


class Ruin(Strategy):
    """Buys far more than the account can carry."""

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str("GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"))
        self.bars = 0

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars % 10 == 0:
            is_first = bool(self.bars % 20)
            side = OrderSide.SELL if is_first == self.config.sells_first else OrderSide.BUY
            instrument = self.cache.instrument(bar.bar_type.instrument_id)
            self.submit_order(self.order_factory.market(instrument.id, side, instrument.make_qty(9_000_000)))


class BracketsConfig(StrategyConfig, frozen=True):
    """How often to enter."""

    every: int = 15
    bar_type: str = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"


class Brackets(Strategy):
    """Enters now and then, with brackets and with reduce-only stops and limits of its own."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(InstrumentId.from_str("GBP/USD.SIM"))
        self.subscribe_bars(BarType.from_str(self.config.bar_type))
        self.bars = 0
        self.seen: list[int] = []

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars % self.config.every:
            return
        turn = self.bars // self.config.every
        side = OrderSide.BUY if turn % 3 else OrderSide.SELL
        close = float(bar.close)
        away = 0.0006 if side == OrderSide.BUY else -0.0006
        quantity = self.instrument.make_qty(10_000 * (1 + turn % 4))
        if turn % 2:
            bracket = self.order_factory.bracket(
                instrument_id=self.instrument.id,
                order_side=side,
                quantity=quantity,
                sl_trigger_price=self.instrument.make_price(close - away),
                tp_price=self.instrument.make_price(close + away),
            )
            self.submit_order_list(bracket)
            return
        self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))
        exit_side = OrderSide.SELL if side == OrderSide.BUY else OrderSide.BUY
        stop = self.order_factory.stop_market(
            self.instrument.id,
            exit_side,
            self.instrument.make_qty(25_000),
            self.instrument.make_price(close - 2 * away),
            time_in_force=TimeInForce.GTC,
            reduce_only=True,
        )
        limit = self.order_factory.limit(
            self.instrument.id,
            exit_side,
            self.instrument.make_qty(15_000),
            self.instrument.make_price(close + away / 2),
            reduce_only=True,
        )
        self.submit_order(stop)
        self.submit_order(limit)
        for position in self.cache.positions_open():
            self.seen.append(len(self.cache.orders_for_position(position.id)))
            self.seen.append(len(self.cache.position_snapshots(position.id)))
        self.log.warning(f"seen {self.seen[-2:]} {self.portfolio.realized_pnl(self.instrument.id)}")


class ClockworkConfig(StrategyConfig, frozen=True):
    """How many minutes lie between two trades."""

    minutes: int = 3


class Clockwork(Strategy):
    """Trades on a timer that is due exactly when bars are, by the prices that it has seen until then."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(InstrumentId.from_str("GBP/USD.SIM"))
        self.last: dict[str, float] = {}
        for side in ("BID", "ASK"):
            self.subscribe_bars(BarType.from_str(f"GBP/USD.SIM-1-MINUTE-{side}-EXTERNAL"))
        self.clock.set_timer("trade", timedelta(minutes=self.config.minutes), callback=self.trade)

    def on_bar(self, bar: Bar) -> None:
        # What the order of bars with equal stamps does to a strategy shows here.
        self.last[str(bar.bar_type)] = float(bar.close)
        self.order_of_last = str(bar.bar_type)

    def trade(self, event: Any) -> None:
        if len(self.last) < 2:
            return
        is_bid_last = "BID" in self.order_of_last
        spread = (
            self.last["GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL"] - self.last["GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"]
        )
        side = OrderSide.BUY if is_bid_last else OrderSide.SELL
        quantity = self.instrument.make_qty(1_000 + max(round(spread * 100_000), 0) * 1_000)
        self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))


class StatefulConfig(StrategyConfig, frozen=True):
    """Nothing to configure."""


class Stateful(Strategy):
    """Counts its runs in its module: a fresh process always counts to one."""

    def on_start(self) -> None:
        global RUNS
        RUNS += 1
        self.log.warning(f"run number {RUNS} in this process")
