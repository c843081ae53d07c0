"""The limits of an engine as bars: what of each is used, as far as it is known, and nothing made up."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.ui.test_engine_book import POSITION
from tests.ui.test_engine_status import build_book
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_limits import Limit, build_limits, find_breach, list_limits

RISK = {
    "max_daily_loss": "5000",
    "max_drawdown": "0.05",
    "max_exposure": "60000",
    "max_net_exposure": "50000",
    "max_margin": "0.5",
    "max_orders_per_sec": 20,
}


def build_limited(risk: dict[str, object], **valuation: object) -> EngineBook:
    book = build_book(valuation={"currency": "USD", **valuation})
    book.risk = risk
    return book


def find(book: EngineBook, label: str) -> Limit:
    (limit,) = [limit for limit in list_limits(book) if limit.label == label]
    return limit


def test_used_parts_are_those_that_the_host_tells() -> None:
    book = build_limited(RISK, day_pnl="-4200", gross="45000", net="-25000")

    assert [limit.label for limit in list_limits(book)] == [
        "Loss today",
        "Drawdown",
        "Gross exposure",
        "Net exposure",
        "Margin",
        "Orders",
    ]
    assert find(book, "Loss today").share == Decimal("0.84")
    assert find(book, "Gross exposure").share == Decimal("0.75")
    assert find(book, "Net exposure").used == 25_000
    assert find(book, "Drawdown").share is None
    assert find(book, "Orders").used is None


def test_gain_is_no_loss_and_what_is_not_known_is_no_number() -> None:
    assert find(build_limited(RISK, day_pnl="12"), "Loss today").used == 0
    unknown = build_limited(RISK, day_pnl=None)
    assert find(unknown, "Loss today").share is None
    html = build_limits(unknown)
    assert "wb-bar" not in html
    assert "5,000 at most" in html


@pytest.mark.parametrize(
    ("risk", "label", "most"),
    [({"*": "90"}, "GBP/USD.SIM", 90), ({"GBP/USD.SIM": "40", "*": "9"}, "GBP/USD.SIM", 40)],
)
def test_positions_count_by_instrument_the_larger_side(risk: dict[str, str], label: str, most: int) -> None:
    book = build_limited({"max_position": risk})
    book.take_positions(
        [
            msgspec.structs.replace(
                POSITION, position_id=str(k), instrument_id="GBP/USD.SIM", side=side, quantity=quantity
            )
            for k, (side, quantity) in enumerate([("LONG", "10"), ("LONG", "20"), ("SHORT", "25")])
        ]
    )
    limit = find(book, label)
    assert (limit.used, limit.most) == (30, most)


def test_near_limit_and_breach_are_said_in_words_and_colour() -> None:
    book = build_limited(RISK, day_pnl="-4200", gross="61000", net="0")
    html = build_limits(book)
    assert "wb-bar warn" in html
    assert "84 %" in html
    assert "wb-bar bad" in html
    assert "102 %" in html
    assert "width:100.0%" in html

    assert book.report is not None
    assert book.report.status.heartbeat is not None
    beat = msgspec.structs.replace(book.report.status.heartbeat, breach="DAILY_LOSS")
    status = msgspec.structs.replace(book.report.status, heartbeat=beat)
    book.take_report(msgspec.structs.replace(book.report, status=status), 101.0)
    assert find_breach(book) == "daily loss reached"


def test_engine_without_limits_says_so() -> None:
    book = build_limited({})
    assert "No limits are set" in build_limits(book)
    empty = EngineBook()
    assert "Not heard yet" in build_limits(empty)
