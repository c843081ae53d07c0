"""What the day has brought: over restarts, and where equity is not known."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from workbench.gate.limits import parse_limits
from workbench.gate.losses import Breach, Losses
from workbench.live.today import Today

LIMITS = parse_limits(day_start="17:00", day_zone="America/New_York", max_daily_loss="1")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_day_begins_with_the_last_equity_before_its_boundary_also_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "day.json"
    today = Today(path, LIMITS, "USD")
    today.observe(at("2026-01-05T20:00"), Decimal("100.000000000000000001"))
    assert (today.pnl, today.day_equity) == (0, Decimal("100.000000000000000001"))
    # A loss limit is the gate's matter: a breach changes nothing here.
    today.observe(at("2026-01-05T21:59"), Decimal(90))
    assert today.pnl == Decimal("-10.000000000000000001")
    again = Today(path, LIMITS, "USD")
    again.observe(at("2026-01-05T21:59:30"), Decimal(95))
    assert again.pnl == Decimal("-5.000000000000000001")
    # 17:00 in New York is 22:00 UTC in winter.
    again.observe(at("2026-01-05T22:00"), Decimal(96))
    assert (again.pnl, again.day_equity) == (1, 95)
    other = Today(path, LIMITS, "EUR")
    other.observe(at("2026-01-05T22:01"), Decimal(7))
    assert other.pnl == 0


def test_equity_that_is_not_known_makes_no_number_and_forgets_nothing(tmp_path: Path) -> None:
    today = Today(tmp_path / "day.json", LIMITS, "USD")
    today.observe(at("2026-01-05T12:00"), None)
    assert (today.pnl, today.day_equity) == (None, None)
    today.observe(at("2026-01-05T12:01"), Decimal(10))
    today.observe(at("2026-01-05T12:02"), None)
    assert (today.pnl, today.day_equity) == (None, 10)
    today.observe(at("2026-01-05T12:03"), Decimal(12))
    assert today.pnl == 2


def test_what_the_gate_remembers_serves_where_nothing_was_kept_and_a_broken_file_does_no_harm(
    tmp_path: Path,
) -> None:
    path = tmp_path / "day.json"
    path.write_text("{")
    known = Losses(
        breach=Breach.DAILY_LOSS,
        day="2026-01-05",
        day_equity=Decimal(50),
        equity=Decimal(40),
        peak=Decimal(50),
    )
    today = Today(path, LIMITS, "USD", known=known)
    today.observe(at("2026-01-05T23:00"), Decimal(41))
    # 18:00 in New York: the day that began at 17:00 is named by the morning before it.
    assert (today.day, today.pnl) == ("2026-01-05", Decimal(-9))
