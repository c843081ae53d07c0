"""What each strategy has made: what it closed and what it holds, in the currency of the engine."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from decimal import Decimal, localcontext

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import MessageBus
from nautilus_trader.model.events import PositionClosed, PositionEvent
from nautilus_trader.model.objects import Money
from nautilus_trader.model.position import Position

from workbench.engine_records import StrategyPnl
from workbench.gate.worth import EXACT
from workbench.live.valuer import LiveValuer

__all__ = ["StrategyPnls"]

_ZERO = Decimal(0)


class StrategyPnls:
    """
    Adds up what strategies made, over restarts of the engine; in the main loop.

    What is closed counts at the rate of that moment, what is held at the rate of now.

    Parameters
    ----------
    cache : Cache
        The engine's cache, with what it held before.
    valuer : LiveValuer
        Prices and rates.
    before : Mapping[str, StrategyPnl]
        What strategies had realised when the history ended.

    """

    def __init__(self, cache: Cache, valuer: LiveValuer, before: Mapping[str, StrategyPnl]) -> None:
        self._cache = cache
        self._valuer = valuer
        self._closed: dict[str, Decimal] = {
            name: Decimal(pnl.realized) for name, pnl in before.items() if pnl.realized is not None
        }
        self._unrated: dict[str, str] = {}
        self._events: deque[tuple[str, Money]] = deque()
        # What open positions have realised was counted before already, and comes again when they are closed.
        for position in cache.positions_open():
            name = position.strategy_id.value
            if name in self._closed and position.realized_pnl is not None:
                self._events.append((name, Money(-position.realized_pnl, position.realized_pnl.currency)))

    def attach(self, bus: MessageBus) -> None:
        """Listen to what is closed."""
        bus.subscribe("events.position.*", self._note)

    def measure(self) -> dict[str, StrategyPnl]:
        """Return what each strategy has made so far, by its id."""
        with localcontext(EXACT):
            self._settle()
            held: dict[str, list[Position]] = defaultdict(list)
            for position in self._cache.positions_open():
                held[position.strategy_id.value].append(position)
            return {name: self._measure(name, held.get(name, [])) for name in {**self._closed, **held}}

    def _measure(self, name: str, positions: list[Position]) -> StrategyPnl:
        realized: Decimal | None = self._closed.get(name, _ZERO)
        unrealized: Decimal | None = _ZERO
        why = self._unrated.get(name, "")
        if why:
            realized = None
        for position in positions:
            done = position.realized_pnl
            amount = _ZERO if done is None else self._convert(done)
            if amount is None:
                why = why or f"no rate {done.currency.code}/{self._valuer.currency.code}"
            realized = None if realized is None or amount is None else realized + amount
            price = self._valuer.find_price(position)
            if price is None:
                why = why or self._valuer.explain(position.instrument_id)
                unrealized = None
                continue
            open_pnl = position.unrealized_pnl(price)
            amount = self._convert(open_pnl)
            if amount is None:
                why = why or f"no rate {open_pnl.currency.code}/{self._valuer.currency.code}"
            unrealized = None if unrealized is None or amount is None else unrealized + amount
        return StrategyPnl(realized=_text(realized), unrealized=_text(unrealized), why=why)

    def _note(self, event: PositionEvent) -> None:
        # From any thread: timers call from their own
        if isinstance(event, PositionClosed):
            self._events.append((event.strategy_id.value, event.realized_pnl))

    def _settle(self) -> None:
        """Count what was closed; what has no rate yet waits, and says so."""
        waiting = []
        while self._events:
            name, money = self._events.popleft()
            amount = self._convert(money)
            if amount is None:
                waiting.append((name, money))
            else:
                self._closed[name] = self._closed.get(name, _ZERO) + amount
        self._unrated = {n: f"no rate {m.currency.code}/{self._valuer.currency.code}" for n, m in waiting}
        for name, _ in waiting:
            self._closed.setdefault(name, _ZERO)
        self._events.extendleft(reversed(waiting))

    def _convert(self, money: Money) -> Decimal | None:
        rate = self._valuer.find_rate(money.currency)
        return None if rate is None else money.as_decimal() * rate


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
