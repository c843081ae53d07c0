"""Strategies of the tests of marks, tables, control and failures; loaded by the path of this file."""

from __future__ import annotations

import json
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pandas as pd
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy


class ScriptConfig(StrategyConfig, frozen=True):
    """
    What to send, and when.

    Each step is (time, instrument, signed quantity, limit price or nothing); it is taken with the first data
    of that instrument at or after its time. `journal` names a file for every fill.
    """

    steps: list[tuple[str, str, str, str]]
    instruments: list[str]
    bar_types: tuple[str, ...] = ()
    journal: str = ""
    closes: bool = False


class Script(Strategy):
    """Sends what its configuration says."""

    def __init__(self, config: ScriptConfig) -> None:
        super().__init__(config)
        self.todo = [(pd.Timestamp(t, tz="UTC").value, *rest) for t, *rest in config.steps]

    def on_start(self) -> None:
        for name in self.config.instruments:
            self.subscribe_quote_ticks(InstrumentId.from_str(name))
        for name in self.config.bar_types:
            self.subscribe_bars(BarType.from_str(name))

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.act(tick, tick.instrument_id)

    def on_bar(self, bar: Bar) -> None:
        self.act(bar, bar.bar_type.instrument_id)

    def act(self, data: Data, instrument_id: InstrumentId) -> None:
        due = [s for s in self.todo if s[0] <= data.ts_init and s[1] == str(instrument_id)]
        self.todo = [s for s in self.todo if s not in due]
        instrument = self.cache.instrument(instrument_id)
        for _, _, quantity, price in due:
            side = OrderSide.SELL if quantity.startswith("-") else OrderSide.BUY
            qty = instrument.make_qty(abs(Decimal(quantity)))
            if price:
                order = self.order_factory.limit(
                    instrument_id, side, qty, instrument.make_price(Decimal(price)), tags=["limit", "test"]
                )
            else:
                order = self.order_factory.market(instrument_id, side, qty)
            self.submit_order(order)

    def on_order_filled(self, event: OrderFilled) -> None:
        if self.config.journal:
            with Path(self.config.journal).open("a") as file:
                file.write(json.dumps(OrderFilled.to_dict(event)) + "\n")

    def on_stop(self) -> None:
        if self.config.closes:
            for name in self.config.instruments:
                self.close_all_positions(InstrumentId.from_str(name), time_in_force=TimeInForce.GTC)


class GatedConfig(StrategyConfig, frozen=True):
    """
    Where to wait, and for what.

    At quote number `at` the file `reached` is made, and the file `gate` waited for. Every quote after it takes
    `secs`. A market order goes out every `every` quotes. `count` names a file that holds the number of quotes.
    """

    instrument_id: str
    at: int
    reached: str
    gate: str
    count: str
    every: int = 10
    secs: float = 0.003


class Gated(Strategy):
    """Trades, and lets a test meet it in the middle of a run."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(InstrumentId.from_str(self.config.instrument_id))
        self.subscribe_quote_ticks(self.instrument.id)
        self.quotes = 0

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quotes += 1
        Path(self.config.count).write_text(str(self.quotes))
        if self.quotes == self.config.at:
            Path(self.config.reached).touch()
            while not Path(self.config.gate).exists():
                time.sleep(0.002)
        if self.quotes > self.config.at:
            time.sleep(self.config.secs)
        if self.quotes % self.config.every == 0:
            side = OrderSide.SELL if self.quotes // self.config.every % 3 == 0 else OrderSide.BUY
            self.submit_order(
                self.order_factory.market(self.instrument.id, side, self.instrument.make_qty(1_000))
            )


class FaultyConfig(StrategyConfig, frozen=True):
    """What goes wrong, at which quote, and how much is bought first."""

    instrument_id: str
    kind: str
    at: int = 20
    quantity: str = "1000"


class Faulty(Strategy):
    """Buys with its fifth quote, then does what its configuration says."""

    def __init__(self, config: FaultyConfig) -> None:
        super().__init__(config)
        self.quotes = 0
        if config.kind == "init":
            raise RuntimeError("broken in init")

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(InstrumentId.from_str(self.config.instrument_id))
        self.subscribe_quote_ticks(self.instrument.id)
        if self.config.kind == "start":
            raise RuntimeError("broken in start")

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quotes += 1
        if self.quotes == 5:
            quantity = self.instrument.make_qty(Decimal(self.config.quantity))
            self.submit_order(self.order_factory.market(self.instrument.id, OrderSide.BUY, quantity))
        if self.quotes == self.config.at and hasattr(self, f"break_by_{self.config.kind}"):
            getattr(self, f"break_by_{self.config.kind}")()

    def break_by_data(self) -> None:
        raise RuntimeError("broken in data")

    def break_by_hang(self) -> None:
        while True:
            time.sleep(0.01)

    def break_by_eating(self) -> None:
        held = []
        while True:
            held.append(b"x" * 20_000_000)
            time.sleep(0.01)

    def break_by_exit(self) -> None:
        os.write(2, b"last words\n")
        os._exit(5)

    def break_by_kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_stop(self) -> None:
        if self.config.kind == "stop":
            raise RuntimeError("broken in stop")
