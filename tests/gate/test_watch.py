from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.currencies import EUR, USD
from nautilus_trader.model.objects import Currency

from workbench.gate.limits import parse_limits
from workbench.gate.losses import Breach
from workbench.gate.record import GateLog
from workbench.gate.rules import TradingState
from workbench.gate.switch import Switch
from workbench.gate.valuer import Valuation
from workbench.gate.watch import Watch

HOUR_NS = 3_600_000_000_000
LIMITS = parse_limits(max_daily_loss="100", max_drawdown="0.5")


class Worth:
    """A valuer that says what it is told to."""

    def __init__(self, currency: Currency = USD) -> None:
        self.currency = currency
        self.equity: Decimal | None = Decimal("1000.10")

    def measure(self, *, has_margin: bool = False) -> Valuation:
        missing = "" if self.equity is not None else "no price of GBP/USD.SIM"
        return Valuation(equity=self.equity, missing=missing)


class Desk:
    """A watch with its surroundings."""

    def __init__(self, currency: Currency = USD) -> None:
        self.worth = Worth(currency)
        self.switch = Switch()
        self.log = GateLog()
        self.acts = 0
        self.watch = Watch(self.worth, self.switch, self.log)  # type: ignore[arg-type]

    def see(self, equity: str | None, hours: int) -> None:
        self.worth.equity = None if equity is None else Decimal(equity)
        self.watch.observe(LIMITS, hours * HOUR_NS, self.act)

    def act(self) -> None:
        self.acts += 1

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.log.events]


def test_breach_reduces_acts_and_ends_with_the_day() -> None:
    desk = Desk()
    desk.see("1000", 1)
    assert desk.switch.now.state == TradingState.ACTIVE

    desk.see("900", 2)
    assert desk.switch.now == (TradingState.REDUCING, "DAILY_LOSS reached")
    assert (desk.acts, desk.kinds) == (1, ["breach"])

    desk.see("990", 3)
    assert desk.acts == 2, "tried again while it lasts"
    desk.see("990", 25)
    assert desk.switch.now.state == TradingState.ACTIVE
    assert desk.kinds == ["breach", "day"]


def test_unknown_equity_reduces_and_is_told_once() -> None:
    desk = Desk()
    desk.see(None, 1)
    desk.see(None, 2)
    assert desk.switch.now == (TradingState.REDUCING, "equity is unknown: no price of GBP/USD.SIM")
    desk.see("1000", 3)
    assert desk.switch.now.state == TradingState.ACTIVE
    assert desk.kinds == ["marks", "marks"]
    assert desk.acts == 0, "nothing is cancelled or closed for that"


def test_state_survives_a_restart() -> None:
    before = Desk()
    before.see("1000.10", 1)
    before.see("900.05", 2)
    before.log.denials["GBP/USD.SIM"] = 3
    before.switch.request(TradingState.HALTED, "lunch")
    data = before.watch.encode()
    assert b'"900.05"' in data, "decimals are text"

    after = Desk()
    after.watch.restore(data, 0)

    assert after.watch.losses == before.watch.losses
    assert after.watch.losses.breach == Breach.DAILY_LOSS
    assert after.switch.now == (TradingState.HALTED, "lunch")
    after.switch.request(TradingState.ACTIVE, "back")
    assert after.switch.now.state == TradingState.REDUCING, "the breach holds"
    assert after.log.denials["GBP/USD.SIM"] == 3
    after.see("905", 3)
    assert after.switch.now.state == TradingState.REDUCING
    assert after.watch.losses.day_equity == Decimal("1000.10")
    assert after.watch.encode() != data
    assert Desk().watch.encode() == Desk().watch.encode()


def _damage(**changes: Any) -> bytes:
    desk = Desk()
    desk.see("1000", 1)
    values = msgspec.json.decode(desk.watch.encode())
    values.update({k: v for k, v in changes.items() if k in values})
    values["losses"].update({k: v for k, v in changes.items() if k in values["losses"]})
    return msgspec.json.encode(values)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1, 2]",
        _damage()[:-10],
        b"\xff\xfe",
        _damage(version=2),
        _damage(currency="EUR"),
        _damage(peak="NaN"),
        _damage(equity="Infinity"),
        _damage(day_equity="many"),
        _damage(requested="ASLEEP"),
    ],
)
def test_what_cannot_be_read_halts_and_counts_nothing_from_zero(data: bytes) -> None:
    desk = Desk()
    desk.watch.restore(data, 0)
    assert desk.switch.now.state == TradingState.HALTED
    assert desk.switch.now.why.startswith("what the gate")
    assert desk.kinds == ["state"]


def test_amounts_of_another_currency_are_not_taken_over() -> None:
    desk = Desk(EUR)
    desk.watch.restore(_damage(), 0)
    assert desk.switch.now.state == TradingState.HALTED
    assert "USD" in desk.switch.now.why


def test_cleared_breach_counts_from_now_on() -> None:
    desk = Desk()
    desk.see("1000", 1)
    desk.see("400", 2)
    assert desk.watch.losses.breach == Breach.DRAWDOWN
    desk.watch.clear()
    assert desk.switch.now.state == TradingState.ACTIVE
    desk.see("400", 3)
    assert desk.watch.losses.peak == 400
    assert desk.switch.now.state == TradingState.ACTIVE
