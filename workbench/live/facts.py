"""What the main loop tells for the status: what is held is worth, and which clients are connected."""

from __future__ import annotations

import time
from collections import deque
from decimal import Decimal, localcontext
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.events import OrderSubmitted

from workbench.errors import StoreError
from workbench.gate.gate import Gate
from workbench.gate.worth import EXACT
from workbench.live.clock_offset import DelayWindow, describe_clock, read_kernel_clock
from workbench.live.context import HostContext
from workbench.live.equity_history import load_last
from workbench.live.replays import find_replays
from workbench.live.rows import find_mark
from workbench.live.strategy_pnl import StrategyPnls
from workbench.live.today import Today
from workbench.live.valuer import LiveValuer

__all__ = [
    "FactTeller",
    "RoundTrip",
    "build_teller",
    "describe_clients",
    "describe_data",
    "describe_queues",
    "describe_valuation",
]

_MOST_TRIPS = 200


class FactTeller:
    """
    Tells of a node, for the status; in the main loop.

    Parameters
    ----------
    node : TradingNode
        The node, built.
    valuer : LiveValuer
        What things are worth.
    today : Today
        What the day has brought.
    strategies : StrategyPnls
        What strategies have made.
    round_trip : RoundTrip
        How long the venue takes.

    """

    def __init__(
        self,
        node: TradingNode,
        valuer: LiveValuer,
        today: Today,
        strategies: StrategyPnls,
        round_trip: RoundTrip,
    ) -> None:
        self._node = node
        self._valuer = valuer
        self._today = today
        self._strategies = strategies
        self._round_trip = round_trip
        self._since_ns: dict[str, int] = {}
        replays = find_replays(node.kernel)
        self._has_live_data = len(replays) < len(node.kernel.data_engine.registered_clients)
        self._delays = DelayWindow({venue for replay in replays.values() for venue in replay.venues})
        if self._has_live_data:
            self._delays.attach(node.kernel.msgbus)

    def describe(self) -> dict[str, Any]:
        """Return what the status says besides what the service knows itself, as plain values."""
        kernel, now_ns = self._node.kernel, time.time_ns()
        return {
            "trader": kernel.trader.state.name,
            "valuation": describe_valuation(kernel.cache, self._valuer, self._today),
            "strategy_pnl": self._strategies.measure(),
            "clients": describe_clients(kernel),
            "data": describe_data(kernel, self._since_ns),
            "queues": describe_queues(kernel),
            "round_trip": self._round_trip.describe(kernel.clock.timestamp_ns()),
            "clock": describe_clock(
                self._delays.find_least(), read_kernel_clock(), has_live_data=self._has_live_data
            ),
            "feeds": [{"client_id": name, **r.describe()} for name, r in find_replays(kernel).items()],
            "told_ns": now_ns,
        }


def build_teller(
    node: TradingNode, context: HostContext, valuer: LiveValuer, gate: Gate, round_trip: RoundTrip
) -> FactTeller:
    """Return who tells of a node, with what its hosts before have left."""
    directory, currency = context.directory, valuer.currency.code
    last = None
    try:
        last = load_last(directory.equity, currency)
    except StoreError as e:
        context.tell("alarm", "EquityNotRead", {"error": str(e)})
    pnls = StrategyPnls(node.kernel.cache, valuer, {} if last is None else last.strategies)
    pnls.attach(node.kernel.msgbus)
    today = Today(directory.day, gate.limits, currency, known=gate.losses)
    return FactTeller(node, valuer, today, pnls, round_trip)


def describe_valuation(cache: Cache, valuer: LiveValuer, today: Today) -> dict[str, Any]:
    """
    Return what the accounts are worth, and the marks that say so, as plain values; amounts are decimal text.

    What cannot be known is ``None``: a mark or a rate is missing, or too old; ``missing`` says which. ``day_pnl`` is
    what equity has changed by since the ``day`` began, with ``day_equity``.
    """
    valuation = valuer.measure()
    today.observe(time.time_ns(), valuation.equity)
    gross: Decimal | None = Decimal(0)
    net: Decimal | None = Decimal(0)
    marks: dict[str, float | None] = {}
    now_ns = time.time_ns()
    for position in cache.positions_open():
        mark = find_mark(cache, position.instrument_id, is_long=position.is_long)
        marks[position.instrument_id.value] = None if mark is None else (now_ns - mark[1]) / 1e9
        price = valuer.find_price(position)
        notional = None if price is None else position.notional_value(price)
        rate = None if notional is None else valuer.find_rate(notional.currency)
        if notional is None or rate is None or gross is None or net is None:
            gross = net = None
            continue
        with localcontext(EXACT):
            worth = abs(notional.as_decimal() * rate)
            gross += worth
            net += worth if position.is_long else -worth
    return {
        "currency": valuer.currency.code,
        "equity": _text(valuation.equity),
        "day_pnl": _text(today.pnl),
        "day": today.day,
        "day_equity": _text(today.day_equity),
        "gross": _text(gross),
        "net": _text(net),
        "missing": valuation.missing,
        "marks": [{"instrument_id": name, "age_secs": age} for name, age in marks.items()],
    }


def describe_clients(kernel: Any) -> list[dict[str, Any]]:
    """Return the clients of a node, and whether each says that it is connected."""
    return [
        {"client_id": client.id.value, "is_connected": client.is_connected, "kind": kind}
        for kind, engine in (("data", kernel.data_engine), ("execution", kernel.exec_engine))
        for client in engine._clients.values()
    ]


def describe_data(kernel: Any, since_ns: dict[str, int]) -> list[dict[str, Any]]:
    """
    Return how old the latest of everything is that strategies and others have subscribed to.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    since_ns : dict[str, int]
        Since when each is subscribed to; kept here: what was subscribed to and never came is as old as that.

    """
    cache, data = kernel.cache, kernel.data_engine
    latest = {f"{i} quotes": (cache.quote_tick(i), 0.0) for i in data.subscribed_quote_ticks()}
    latest |= {f"{i} trades": (cache.trade_tick(i), 0.0) for i in data.subscribed_trade_ticks()}
    latest |= {
        str(b): (cache.bar(b), b.spec.timedelta.total_seconds() if b.spec.is_time_aggregated() else 0.0)
        for b in data.subscribed_bars()
    }
    now_ns = time.time_ns()
    for name in since_ns.keys() - latest.keys():
        del since_ns[name]
    return [
        {
            "name": name,
            "has_data": found is not None,
            "age_secs": (now_ns - max(found.ts_init if found else 0, since_ns.setdefault(name, now_ns)))
            / 1e9,
            "interval_secs": interval_secs,
        }
        for name, (found, interval_secs) in latest.items()
    ]


def describe_queues(kernel: Any) -> dict[str, int]:
    """Return how many messages wait in nautilus's queues."""
    data, risk, execution = kernel.data_engine, kernel.risk_engine, kernel.exec_engine
    return {
        "data": data.data_qsize(),
        "data_commands": data.cmd_qsize() + data.req_qsize() + data.res_qsize(),
        "risk": risk.cmd_qsize() + risk.evt_qsize(),
        "execution_commands": execution.cmd_qsize(),
        "execution_events": execution.evt_qsize(),
    }


class RoundTrip:
    """How long a venue takes to answer an order: the latest of them, from its submission to the first word of it."""

    def __init__(self) -> None:
        self._sent: dict[Any, int] = {}
        self._took: deque[int] = deque(maxlen=_MOST_TRIPS)

    def note(self, event: Any) -> None:
        """Take note of an event of an order."""
        if isinstance(event, OrderSubmitted):
            self._sent[event.client_order_id] = event.ts_init
            if len(self._sent) > _MOST_TRIPS:
                del self._sent[next(iter(self._sent))]
        elif self._sent and (sent_ns := self._sent.pop(event.client_order_id, None)) is not None:
            self._took.append(event.ts_init - sent_ns)

    def describe(self, now_ns: int) -> dict[str, float | int | None]:
        """Return the median and the longest, in milliseconds, of how many orders, and how long one waits already."""
        took = sorted(self._took)
        oldest_ns = next(iter(self._sent.values()), None)  # They were sent in this order
        return {
            "waiting_ms": None if oldest_ns is None else (now_ns - oldest_ns) / 1e6,
            "median_ms": took[len(took) // 2] / 1e6 if took else None,
            "worst_ms": took[-1] / 1e6 if took else None,
            "count": len(took),
        }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
