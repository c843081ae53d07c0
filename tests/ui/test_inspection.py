"""What a paused run holds, as tables."""

from __future__ import annotations

from typing import Any

from tests.ui.walking import Page
from workbench.records import Inspection
from workbench.ui.inspection import build_inspection_html

POSITION: dict[str, Any] = {
    "position_id": "P-1",
    "instrument_id": "GBP/USD.SIM",
    "strategy_id": "EMACross-000",
    "account_id": "SIM-001",
    "side": "LONG",
    "quantity": "100000",
    "avg_px_open": "1.578321234567891",
    "price": "1.57901",
    "unrealized_pnl": "-69.50",
    "currency": "USD",
    "ts_opened": "2012-02-06T00:21:00.000000000Z",
}
ACCOUNT: dict[str, Any] = {
    "account_id": "SIM-001", "type": "MARGIN", "currency": "USD", "total": "998051.44", "free": "990000", "locked": "0",
}  # fmt: skip


def build(**parts: Any) -> Page:
    held = {
        "simulated_ts_ns": 1_328_487_660_000_000_000,
        "positions": [],
        "orders": [],
        "accounts": [],
        **parts,
    }
    return Page(build_inspection_html(Inspection(**held)))


def read_rows(page: Page) -> list[list[str]]:
    rows: dict[int, list[str]] = {}
    for cell in page.find("td"):
        rows.setdefault(id(cell.parents[-1]), []).append(cell.text)
    return list(rows.values())


def test_amounts_are_exact_with_thousands_and_signs() -> None:
    page = build(positions=[POSITION], accounts=[ACCOUNT])

    assert read_rows(page) == [
        [
            "GBP/USD.SIM", "LONG", "100,000", "1.578321235", "1.57901", "−69.50", "USD", "EMACross-000",
            "2012-02-06 00:21:00",
        ],
        ["SIM-001", "MARGIN", "998,051.44", "990,000", "0", "USD"],
    ]  # fmt: skip
    assert [e.text for e in page.has_class("down")] == ["−69.50"]
    assert "Held at 2012-02-06 00:21:00 UTC" in page.elements[0].text


def test_what_is_not_known_is_a_dash_and_an_empty_column_is_left_out() -> None:
    order = {"instrument_id": "A", "type": "LIMIT", "price": "1.5", "trigger_price": None}
    other = {"instrument_id": "B", "type": "MARKET", "price": None, "trigger_price": None}
    page = build(orders=[order, other])

    assert [e.text for e in page.find("th")] == ["instrument", "type", "price"]
    assert read_rows(page) == [["A", "LIMIT", "1.5"], ["B", "MARKET", "—"]]


def test_nothing_held_is_said() -> None:
    text = build().elements[0].text

    assert "No open position." in text
    assert "No open order." in text
    assert "No account." in text


def test_text_of_a_strategy_is_escaped() -> None:
    assert build(positions=[{**POSITION, "instrument_id": "<script>"}]).find("script") == []
