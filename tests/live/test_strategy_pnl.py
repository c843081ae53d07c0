"""What strategies have made: over restarts, in other currencies, and where a price or a rate is missing."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.model.currencies import EUR, USD
from nautilus_trader.model.objects import Money

from workbench.engine_records import StrategyPnl
from workbench.live.strategy_pnl import StrategyPnls


class _Valuer:
    """Prices and rates as told."""

    def __init__(self) -> None:
        self.currency = USD
        self.rates: dict[Any, Decimal] = {USD: Decimal(1)}
        self.has_price = True

    def find_rate(self, source: Any) -> Decimal | None:
        return self.rates.get(source)

    def find_price(self, position: Any) -> Any:
        return "price" if self.has_price else None

    def explain(self, instrument_id: Any) -> str:
        return f"no price of {instrument_id}"


def build_position(name: str, realized: Money, unrealized: Money) -> Any:
    return SimpleNamespace(
        strategy_id=SimpleNamespace(value=name),
        instrument_id="X.SIM",
        realized_pnl=realized,
        unrealized_pnl=lambda price: unrealized,
    )


def build(
    *positions: Any, valuer: _Valuer | None = None, before: dict[str, StrategyPnl] | None = None
) -> tuple[StrategyPnls, list[Any], _Valuer]:
    held = list(positions)
    valuer = valuer or _Valuer()
    cache: Any = SimpleNamespace(positions_open=lambda: held)
    return StrategyPnls(cache, valuer, before or {}), held, valuer  # type: ignore[arg-type]


def close(pnls: StrategyPnls, name: str, money: Money) -> None:
    pnls._events.append((name, money))


def test_what_is_held_and_what_was_closed_add_up() -> None:
    pnls, held, _ = build(build_position("A", Money(-2, USD), Money(30, USD)))
    assert pnls.measure() == {"A": StrategyPnl(realized="-2", unrealized="30")}
    held.clear()
    close(pnls, "A", Money(25, USD))
    close(pnls, "B", Money(-1, USD))
    assert pnls.measure()["A"] == StrategyPnl(realized="25", unrealized="0")
    assert pnls.measure()["B"].realized == "-1"


def test_what_was_made_before_a_restart_counts_once() -> None:
    # Before: 7 closed, and -2 of the position that is held still.
    before = {
        "A": StrategyPnl(realized="5.00", unrealized="30.00"),
        "B": StrategyPnl(realized=None, unrealized=None),
    }
    pnls, held, _ = build(build_position("A", Money(-2, USD), Money(31, USD)), before=before)
    assert Decimal(pnls.measure()["A"].realized or "") == 5
    held.clear()
    close(pnls, "A", Money(20, USD))
    assert Decimal(pnls.measure()["A"].realized or "") == 27


def test_closed_amount_counts_at_the_rate_of_its_moment_and_waits_where_there_is_none() -> None:
    pnls, _, valuer = build()
    close(pnls, "A", Money(10, EUR))
    assert pnls.measure() == {"A": StrategyPnl(realized=None, unrealized="0", why="no rate EUR/USD")}
    valuer.rates[EUR] = Decimal("1.10")
    assert pnls.measure()["A"] == StrategyPnl(realized="11.00", unrealized="0")
    valuer.rates[EUR] = Decimal(2)
    assert pnls.measure()["A"].realized == "11.00"


def test_missing_price_or_rate_makes_no_number_and_says_why() -> None:
    pnls, _, valuer = build(build_position("A", Money(1, EUR), Money(2, EUR)))
    found = pnls.measure()["A"]
    assert (found.realized, found.unrealized, found.why) == (None, None, "no rate EUR/USD")
    valuer.rates[EUR] = Decimal(1)
    valuer.has_price = False
    found = pnls.measure()["A"]
    assert (found.realized, found.unrealized, found.why) == ("1", None, "no price of X.SIM")
