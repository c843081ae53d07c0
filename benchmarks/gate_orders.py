"""
What the risk gate costs on the way of an order.

Two engines of nautilus in one process, one of them with the gate: 20 strategies, 100 open positions, 300 resting
orders, every limit set and none reached. On each quote a strategy sends ten limit orders and cancels them: a cycle is a
submission, an acceptance and a cancel, in two commands.

The first row is what the gate adds to a command, in microseconds: the time spent in the gate and not behind it, taken
around each of its entries (the median of each kind, so that another process on the machine does not count), all
that it counts on events and its measurements of equity and marks (every half second of the engine's time, as in a
host, in which 2,500 orders are sent) included. What it takes to take the time of nothing, in between, is no part of
it and is shown. The second row is the CPU time of the whole run with the gate against without.
"""

from __future__ import annotations

import gc
import statistics
import time
import warnings
from collections import defaultdict
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy
from rounds import build_row, run_script

from workbench.gate.gate import Gate
from workbench.gate.limits import Limits, parse_limits
from workbench.gate.tracker import Tracker
from workbench.live.valuer import LiveValuer

__all__ = ["measure"]

TARGET_US = 5.0
TARGET_RATIO = 1.15
STRATEGIES, EACH, RESTING, BURST = 20, 5, 3, 10
QUOTES, QUICK_QUOTES = 1_000, 250
STEP_NS = 2_000_000
MAX_AGE_SECS = 0.1
HOST_SECS = 0.5  # How often a host measures; here more often, for a median that means something
VENUE = Venue("XNAS")
_TIMER = "the timer itself"


def _do_nothing() -> None:
    """Take no time."""


class _TimedGate(Gate):
    """Keeps how long each of its entries took, without what happened behind it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        self._behind = 0
        self._tracker = _TimedTracker(self, self._cache, self._ledger)

    def attach(self) -> None:
        super().attach()
        self._passes = self._forward
        self._forward = self._pass

    def _pass(self, command: Any) -> None:
        began = time.perf_counter_ns()
        self._passes(command)
        self._behind += time.perf_counter_ns() - began
        self.time(_TIMER, _do_nothing)

    def time(self, kind: str, entry: Any, *arguments: Any) -> None:
        before, self._behind = self._behind, 0
        began = time.perf_counter_ns()
        entry(*arguments)
        took = time.perf_counter_ns() - began
        self.times[kind].append(took - self._behind)
        self._behind = before + took

    def execute(self, command: Any) -> None:
        self.time(type(command).__name__, super().execute, command)

    def observe(self) -> None:
        self.time("measurement", super().observe)


class _TimedTracker(Tracker):
    """Keeps how long each event took."""

    def __init__(self, gate: _TimedGate, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._gate = gate

    def on_order(self, event: Any) -> None:
        self._gate.time(type(event).__name__, super().on_order, event)

    def on_position(self, event: Any) -> None:
        self._gate.time(type(event).__name__, super().on_position, event)


class _SenderConfig(StrategyConfig, frozen=True):
    instrument_ids: list[InstrumentId]


class _Sender(Strategy):
    """Holds a position and rests orders in each of its instruments, then sends and cancels."""

    def __init__(self, config: _SenderConfig) -> None:
        super().__init__(config)
        self._begun: set[InstrumentId] = set()
        self._sent: list[ClientOrderId] = []
        self.orders = 0

    def on_start(self) -> None:
        for instrument_id in self.config.instrument_ids:
            self.subscribe_quote_ticks(instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        size = Quantity.from_int(10)
        if tick.instrument_id not in self._begun:
            self._begun.add(tick.instrument_id)
            self.submit_order(self.order_factory.market(tick.instrument_id, OrderSide.BUY, size))
            for number in range(RESTING):
                self._rest(tick.instrument_id, 50 + number)
            return
        for client_order_id in self._sent:
            self.cancel_order(self.cache.order(client_order_id))
        self._sent = [self._rest(tick.instrument_id, 60 + n) for n in range(BURST)]
        self.orders += BURST

    def _rest(self, instrument_id: InstrumentId, price: int) -> ClientOrderId:
        order = self.order_factory.limit(instrument_id, OrderSide.BUY, Quantity.from_int(10), Price(price, 2))
        self.submit_order(order)
        client_order_id: ClientOrderId = order.client_order_id
        return client_order_id


def measure(rounds: int = 5, quick: bool = False) -> list[dict[str, Any]]:
    """Run both engines in turns."""
    warnings.simplefilter("ignore")  # Raised inside nautilus's compiled engine
    quotes = QUICK_QUOTES if quick else QUOTES
    _run(quotes // 10, Gate)
    costs, ratios, details = [], [], []
    for _ in range(rounds):
        plain, gated = (_run(quotes, kind) for kind in (None, Gate))
        ratios.append(gated["secs"] / plain["secs"])
        found = _run(quotes, _TimedGate)
        medians = {kind: statistics.median(times) / 1e3 for kind, times in found["times"].items()}
        timer = medians.pop(_TIMER)
        medians = {kind: max(0.0, one - timer) for kind, one in medians.items()} | {_TIMER: timer}
        cycles = found["orders"]
        counts = {kind: len(times) for kind, times in found["times"].items() if kind != _TIMER}
        counts["measurement"] = round(quotes * STEP_NS / 1e9 / HOST_SECS)
        total = sum(medians[kind] * count for kind, count in counts.items())
        costs.append(total / cycles / 2)
        details.append(medians)
    parts = ", ".join(f"{kind} {statistics.median(one[kind] for one in details):.1f}" for kind in details[0])
    return [
        build_row(
            "gate, us per command",
            costs,
            TARGET_US,
            f"{STRATEGIES} strategies, {STRATEGIES * EACH} positions, {STRATEGIES * EACH * RESTING} resting orders, "
            f"all limits; us of each: {parts}",
            us={kind: statistics.median(one[kind] for one in details) for kind in details[0]},
        ),
        build_row(
            "order path with the gate",
            ratios,
            TARGET_RATIO,
            f"{plain['secs'] / plain['orders'] * 1e6:.0f} us CPU an order and its cancel without the gate",
        ),
    ]


def _run(quotes: int, gate_type: type[Gate] | None) -> dict[str, Any]:
    """Return the CPU ``secs`` of a run, the ``orders`` that were sent in it and the ``times`` of a timed gate."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate="1000000/00:00:01", max_order_modify_rate="1000000/00:00:01"
            ),
        )
    )
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000_000, USD)], base_currency=USD
    )
    instruments = [_build_equity(number) for number in range(STRATEGIES * EACH)]
    for instrument in instruments:
        engine.add_instrument(instrument)
    senders = [
        _Sender(
            _SenderConfig(
                order_id_tag=f"{number:03}",
                instrument_ids=[i.id for i in instruments[number * EACH : (number + 1) * EACH]],
            )
        )
        for number in range(STRATEGIES)
    ]
    engine.add_strategies(senders)
    gate = None
    if gate_type is not None:
        valuer = LiveValuer(engine.kernel.cache, engine.kernel.clock, USD, max_mark_age_secs=3_600.0)
        gate = gate_type(engine.kernel, _build_limits(), valuer, max_age_secs=MAX_AGE_SECS)
        gate.attach()
    count = len(instruments)
    size = Quantity.from_int(1_000_000)
    ticks = [
        QuoteTick(
            instruments[number * 7 % count].id,
            Price(100 + number // count % 5 * 0.01, 2),
            Price(100.1 + number // count % 5 * 0.01, 2),
            size,
            size,
            (number + 1) * STEP_NS,
            (number + 1) * STEP_NS,
        )
        for number in range(count + quotes)
    ]
    engine.add_data(ticks)
    gc.collect()
    gc.disable()
    began = time.process_time()
    engine.run()
    used = time.process_time() - began
    gc.enable()
    orders = sum(sender.orders for sender in senders)
    if gate is not None and (gate.log.denials or gate.stand.why or gate.audit()):
        raise RuntimeError(f"the gate was not idle: {gate.describe()}, {gate.stand}")
    engine.dispose()
    return {"secs": used, "orders": orders, "times": getattr(gate, "times", {})}


def _build_equity(number: int) -> Equity:
    return TestInstrumentProvider.equity(f"X{number:03}", VENUE.value)


def _build_limits() -> Limits:
    return parse_limits(
        max_position={"*": "1000000"},
        max_exposure="100000000000",
        max_net_exposure="100000000000",
        max_margin="0.9",
        max_daily_loss=str(Decimal(10) ** 8),
        max_drawdown="0.5",
        max_orders_per_sec=1_000_000,
        max_mark_age_secs=3_600.0,
    )


if __name__ == "__main__":
    run_script(measure, __doc__)
