"""
Random orders in a real engine: after every event the gate's counts equal those of the cache, counted anew.

A script, for nautilus's engine belongs into a process of its own. Fails with the shortest list of actions that
hypothesis finds.
"""

from __future__ import annotations

import sys
import warnings
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder, SubmitOrderList
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, TriggerType
from nautilus_trader.model.identifiers import InstrumentId, OrderListId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.model.orders import OrderList
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from workbench.gate.checks import Checks
from workbench.gate.gate import Gate
from workbench.gate.limits import parse_limits
from workbench.gate.switch import OPEN
from workbench.gate.tallies import REDUCING
from workbench.gate.worth import EXACT
from workbench.live.valuer import LiveValuer

VENUE = Venue("SIM")
PAIRS = [TestInstrumentProvider.default_fx_ccy(name, VENUE) for name in ("GBP/USD", "USD/JPY")]
START = {PAIRS[0].id: Decimal("1.58000"), PAIRS[1].id: Decimal("90.000")}
STEP_NS = 300_000_000

ACTION = st.tuples(
    st.sampled_from(
        (
            "market",
            "turn",
            "limit",
            "stop",
            "reduce",
            "reduce_limit",
            "bracket",
            "emulated",
            "quote_quantity",
            "quote_sell",
            "low_sell",
            "trailing",
            "list",
            "again",
            "again_list",
            "modify",
            "modify_twice",
            "modify_too_large",
            "modify_emulated",
            "dearer",
            "cheaper",
            "cancel",
            "cancel_all",
            "close",
            "wait",
        )
    ),
    st.integers(0, 1),  # Which strategy
    st.integers(0, 1),  # Which instrument
    st.booleans(),  # Buys
    st.integers(1, 60),  # Thousands of units
    st.integers(-20, 20),  # Thousandths by which the price moves
)


class Actor(Strategy):
    """Does what it is told, and looks at every event whether the counts are right."""

    def __init__(self, number: int) -> None:
        super().__init__(StrategyConfig(order_id_tag=f"{number:03}"))
        self.check: Any = None

    def on_start(self) -> None:
        pass

    def on_stop(self) -> None:
        pass

    def on_event(self, event: Any) -> None:
        self.check(event)

    def _build(self, kind: Any, **more: Any) -> Any:
        stamps = {"command_id": UUID4(), "ts_init": self.clock.timestamp_ns()}
        return kind(trader_id=self.trader_id, strategy_id=self.id, **stamps, **more)

    def act(self, action: Any, prices: dict[InstrumentId, Decimal]) -> None:
        kind, _, number, is_buy, thousands, _ = action
        instrument = PAIRS[number]
        side = OrderSide.BUY if is_buy else OrderSide.SELL
        size = Quantity.from_int(thousands * 1_000)
        mark = prices[instrument.id]
        away = mark * (Decimal("0.99") if is_buy else Decimal("1.01"))
        beyond = mark * (Decimal("1.01") if is_buy else Decimal("0.99"))
        make, factory = instrument.make_price, self.order_factory
        match kind:
            case "market" | "reduce":
                self.submit_order(factory.market(instrument.id, side, size, reduce_only=kind == "reduce"))
            case "limit" | "reduce_limit":
                is_reducing = kind == "reduce_limit"
                self.submit_order(
                    factory.limit(instrument.id, side, size, make(away), reduce_only=is_reducing)
                )
            case "stop":
                self.submit_order(factory.stop_market(instrument.id, side, size, make(beyond)))
            case "bracket":
                tp, sl = (beyond, away)
                self.submit_order_list(
                    factory.bracket(instrument.id, side, size, tp_price=make(tp), sl_trigger_price=make(sl))
                )
            case "emulated":
                order = factory.stop_market(
                    instrument.id, side, size, make(beyond), emulation_trigger=TriggerType.BID_ASK
                )
                self.submit_order(order)
            case "quote_quantity":
                self.submit_order(factory.limit(instrument.id, side, size, make(away), quote_quantity=True))
            case "quote_sell":
                self.submit_order(
                    factory.limit(instrument.id, OrderSide.SELL, size, make(mark / 2), quote_quantity=True)
                )
            case "low_sell":  # Filled at the market, far above its own price
                self.submit_order(factory.limit(instrument.id, OrderSide.SELL, size, make(mark / 2)))
            case "trailing":
                offset = (mark / 200).quantize(Decimal(1).scaleb(-instrument.price_precision))
                self.submit_order(factory.trailing_stop_market(instrument.id, side, size, offset))
            case "list":
                orders = [factory.limit(instrument.id, side, size, make(p)) for p in (away, beyond)]
                self.submit_order_list(factory.create_list(orders))
            case _:
                self._change(action, mark)

    def _change(self, action: Any, mark: Decimal) -> None:
        """Do something about what there is, if there is any."""
        kind, _, number, is_buy, thousands, _ = action
        instrument = PAIRS[number]
        side = OrderSide.BUY if is_buy else OrderSide.SELL
        size = Quantity.from_int(thousands * 1_000)
        away = mark * (Decimal("0.99") if is_buy else Decimal("1.01"))
        make, factory = instrument.make_price, self.order_factory
        own = self.cache.orders_open(instrument_id=instrument.id, strategy_id=self.id)
        held = self.cache.positions_open(instrument_id=instrument.id, strategy_id=self.id)
        match kind:
            case "turn" if held:
                away_side = OrderSide.SELL if held[0].is_long else OrderSide.BUY
                more = Quantity.from_int(int(held[0].quantity) + thousands * 1_000)
                self.submit_order(factory.market(instrument.id, away_side, more), position_id=held[0].id)
            case "again" if own:  # Past the strategy's own methods
                self.msgbus.send("ExecEngine.execute", self._build(SubmitOrder, order=own[0]))
            case "again_list" if own:
                orders = [own[0], factory.limit(instrument.id, side, size, make(away))]
                both = OrderList(OrderListId(f"AGAIN-{UUID4()}"), orders)
                self.msgbus.send("ExecEngine.execute", self._build(SubmitOrderList, order_list=both))
            case "modify" if own:
                self.modify_order(own[0], quantity=size)
            case "modify_twice" if own:  # Each alone is less than both together
                self.modify_order(own[0], quantity=size)
                if own[0].has_price:
                    self.modify_order(own[0], price=make(away))
            case "modify_too_large" if own:  # Nautilus's risk engine turns it back
                self.modify_order(own[0], quantity=size)
                self.modify_order(own[0], quantity=Quantity.from_int(900_000_000))
            case "modify_emulated":
                held_back = self.cache.orders_emulated(instrument_id=instrument.id, strategy_id=self.id)
                if held_back:
                    self.modify_order(held_back[0], quantity=size)
            case "dearer" | "cheaper" if own:
                price = make(mark * Decimal("0.995" if kind == "dearer" else "0.98"))
                name = "price" if own[0].has_price else "trigger_price"
                self.modify_order(own[0], **{name: price})
            case "cancel" if own:
                self.cancel_order(own[-1])
            case "cancel_all":
                self.cancel_all_orders(instrument.id)
            case "close":
                self.close_all_positions(instrument.id)


class CheckedChecks(Checks):
    """Whatever passes quickly passes exactly too. What does not is noted: nautilus swallows what is raised here."""

    problems: list[str]

    def admit_quickly(self, order: Any, now_ns: int) -> bool:
        tally = self._ledger.open_tally(order.instrument_id)
        assert tally is not None
        with localcontext(EXACT):
            quantity, worth = self._measure(order, tally, None)
            (client,) = self._engine._clients.values()
            reason = self._check(order, None, client, OPEN, tally, None, quantity, worth)
        is_admitted = super().admit_quickly(order, now_ns)
        if is_admitted and reason is not None:
            self.problems.append(f"passed quickly: {reason}")
        return is_admitted


def play(actions: list[Any], oms: OmsType, limits: dict[str, Any], latency_ns: int = 0) -> Gate:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        VENUE,
        oms,
        AccountType.MARGIN,
        [Money(200_000, USD)],
        base_currency=USD,
        default_leverage=Decimal(20),
        latency_model=LatencyModel(latency_ns) if latency_ns else None,
    )
    for instrument in PAIRS:
        engine.add_instrument(instrument)
    actors = [Actor(0), Actor(1)]
    engine.add_strategies(actors)
    valuer = LiveValuer(engine.kernel.cache, engine.kernel.clock, USD)
    gate = Gate(engine.kernel, parse_limits(**limits), valuer, max_age_secs=0.5)
    gate.attach()
    checks = gate._checks = CheckedChecks(gate.limits, gate._ledger, engine.kernel.exec_engine)
    problems: list[str] = []
    checks.problems = problems

    most = gate.limits.max_position["*"] if gate.limits.max_position else None

    is_still = all(action[5] == 0 for action in actions)

    def check(event: Any) -> None:
        if not gate._is_loaded or problems:
            return
        problems.extend(f"after {type(event).__name__}: {d}" for d in gate._ledger.find_differences())
        for instrument in PAIRS if most is not None else ():
            held = [p.signed_decimal_qty() for p in engine.cache.positions_open(instrument_id=instrument.id)]
            sides = (
                [sum(held)]
                if oms == OmsType.NETTING
                else [sum(q for q in held if q * s > 0) for s in (1, -1)]
            )
            problems.extend(f"{abs(side)} of {instrument.id} are held" for side in sides if abs(side) > most)
        exposure = (
            gate._ledger.measure_exposure() if is_still and gate.limits.max_exposure is not None else None
        )
        # A little more, for what is bought at the bid's other side is worth the spread less
        if exposure is not None and exposure.gross > gate.limits.max_exposure * Decimal("1.001"):
            problems.append(f"{exposure.gross} are held")

    prices = dict(START)
    ticks, plan = [], {}
    size = Quantity.from_int(10_000_000)
    # At the end all is cancelled, and the venue has the time to answer
    ending = [("cancel_all", who, number, True, 1, 0) for who in (0, 1) for number in (0, 1)]
    for number, action in enumerate([None, None, *actions, *WAITING, *ending, *WAITING]):
        instrument = PAIRS[number % 2 if action is None else action[2]]
        if action is not None:
            prices[instrument.id] *= 1 + Decimal(action[5]) / 1_000
        ts = (number + 1) * STEP_NS
        price = prices[instrument.id]
        bid, ask = instrument.make_price(price), instrument.make_price(price * Decimal("1.0002"))
        ticks.append(QuoteTick(instrument.id, Price.from_str(str(bid)), ask, size, size, ts, ts))
        plan[ts] = (action, dict(prices))

    def on_tick(tick: QuoteTick) -> None:
        action, at = plan[tick.ts_event]
        check(tick)
        if not latency_ns and any(entry.changes for entry in gate._ledger.orders.values()):
            problems.append("a modification counts though the venue has answered it")
        if action is not None:
            actors[action[1]].act(action, at)
        check(tick)

    for actor in actors:
        actor.check = check
    actors[0].on_quote_tick = on_tick
    actors[0].on_start = lambda: [actors[0].subscribe_quote_ticks(i.id) for i in PAIRS]
    engine.add_data(ticks)
    engine.run()
    left = [str(i) for i, e in gate._ledger.orders.items() if e.index < REDUCING or e.changes]
    if left and not problems:
        problems.append(f"orders count though all were cancelled: {left}")
    engine.dispose()
    assert not problems, "\n".join(problems)
    return gate


WAITING = [("wait", 0, number % 2, True, 1, 0) for number in range(6)]
LOOSE = {
    "max_position": {"*": "100000000"},
    "max_exposure": "1000000000",
    "max_net_exposure": "1000000000",
    "max_margin": "1",
    "max_drawdown": "0.9",
}
TIGHT = {
    "max_position": {"*": "80000"},
    "max_exposure": "150000",
    "max_net_exposure": "90000",
    "max_margin": "0.05",
    "max_daily_loss": "1500",
    "max_orders_per_sec": 3,
}

FEW = {"max_position": {"*": "80000"}}
LITTLE_MARGIN = {"max_margin": "0.001"}


# What random actions find too rarely
GROWN = [("limit", 0, 0, True, 10, 0), ("modify", 0, 0, True, 40, 0), ("wait", 0, 0, True, 1, 0)]
TURNED = [("market", 0, 0, True, 10, 0), ("turn", 0, 0, True, 10, 0), ("wait", 0, 0, True, 1, 0)]
FULL = [("market", 0, 0, True, 40, 0), ("limit", 1, 0, True, 30, 0), ("limit", 0, 0, True, 30, 0)]
# While a growth to 60 is on its way, another modification is turned back before the venue
TURNED_BACK = [
    ("limit", 0, 0, True, 10, 0),
    *WAITING,
    ("modify_too_large", 0, 0, True, 60, 0),
    ("limit", 1, 0, True, 60, 0),
    *WAITING,
    ("low_sell", 0, 0, True, 1, -20),
]
# A smaller one is answered before a larger one
SHRUNK_AND_GROWN = [
    ("limit", 0, 0, True, 20, 0),
    *WAITING,
    ("modify", 0, 0, True, 10, 0),
    ("modify", 0, 0, True, 60, 0),
    *WAITING[:2],
    ("limit", 1, 0, True, 60, 0),
    *WAITING,
    *[("wait", 0, 0, True, 1, -20)] * 3,
]
# At its own price it is half of what it is at the market, where it is filled
SOLD_BELOW = [("low_sell", 0, 0, True, 60, 0), *WAITING]


@settings(
    max_examples=int(sys.argv[1]), deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(
    actions=st.lists(ACTION, min_size=1, max_size=25),
    oms=st.sampled_from((OmsType.NETTING, OmsType.HEDGING)),
    limits=st.sampled_from((LOOSE, TIGHT, FEW, LITTLE_MARGIN)),
    latency_ns=st.sampled_from((0, 700_000_000)),
)
@example(actions=GROWN, oms=OmsType.NETTING, limits=LOOSE, latency_ns=0)
@example(actions=TURNED, oms=OmsType.NETTING, limits=LOOSE, latency_ns=0)
@example(actions=TURNED, oms=OmsType.HEDGING, limits=LOOSE, latency_ns=0)
@example(actions=TURNED_BACK, oms=OmsType.NETTING, limits=FEW, latency_ns=700_000_000)
@example(actions=SHRUNK_AND_GROWN, oms=OmsType.NETTING, limits=FEW, latency_ns=700_000_000)
@example(actions=SOLD_BELOW, oms=OmsType.NETTING, limits={"max_exposure": "60000"}, latency_ns=0)
@example(actions=FULL, oms=OmsType.NETTING, limits={"max_position": {"*": "80000"}}, latency_ns=0)
@example(actions=FULL, oms=OmsType.NETTING, limits={"max_exposure": "130000"}, latency_ns=0)
@example(actions=FULL, oms=OmsType.NETTING, limits={"max_net_exposure": "130000"}, latency_ns=0)
@example(actions=FULL, oms=OmsType.NETTING, limits={"max_margin": "0.001"}, latency_ns=0)
def explore(actions: list[Any], oms: OmsType, limits: dict[str, Any], latency_ns: int) -> None:
    play(actions, oms, limits, latency_ns)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    explore()
    sys.stdout.write("equal\n")
