from __future__ import annotations

import pytest
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

from workbench.errors import InputError
from workbench.live.drills import SLOW_NS, Drills, FeedEvent, parse_drill

GBPUSD, EURUSD = "GBP/USD.SIM", "EUR/USD.SIM"


def _event(number: int, name: str = GBPUSD) -> FeedEvent:
    price, size = Price.from_str("1.50000"), Quantity.from_int(1)
    return FeedEvent(number, QuoteTick(InstrumentId.from_str(name), price, price, size, size, number, number))


def _run(mode: str, count: int = 10, **more: object) -> list[int]:
    drills = Drills()
    drills.switch_on(parse_drill(mode, now_ns=0, **more))  # type: ignore[arg-type]
    return [e.ts_event for n in range(1, count + 1) for e in drills.admit(_event(n), n)]


def test_drill_hits_every_nth_event_the_same_each_time() -> None:
    assert _run("duplicates", 6, every=3) == [1, 2, 3, 3, 4, 5, 6, 6]
    assert _run("out_of_order", 7, every=3) == [1, 2, 4, 3, 5, 7, 6]
    assert _run("stall") == _run("disconnect") == _run("slow") == []


def test_drill_garbage_has_ten_times_the_prices() -> None:
    drills = Drills()
    drills.switch_on(parse_drill("garbage", now_ns=0, every=2))

    events = [*drills.admit(_event(1), 1), *drills.admit(_event(2), 2)]

    assert [str(e.data.bid_price) for e in events] == ["1.50000", "15.00000"]


def test_drill_for_an_instrument_leaves_others_alone() -> None:
    drills = Drills()
    drills.switch_on(parse_drill("stall", now_ns=0, instrument_id=EURUSD))

    assert drills.admit(_event(1), 1)
    assert not drills.admit(_event(2, EURUSD), 2)
    assert drills.withheld == 1


def test_drill_ends_by_itself_and_gives_back_what_was_late() -> None:
    drills = Drills()
    drills.switch_on(parse_drill("slow", now_ns=0, secs=1.0))
    assert drills.admit(_event(5), 5) == []
    assert drills.find_end() == 1_000_000_000

    assert not drills.expire(999_999_999)
    assert drills.expire(1_000_000_000)
    assert drills.release(SLOW_NS) == []
    assert not drills.is_idle
    assert [e.ts_event for e in drills.release(SLOW_NS + 5)] == [5]
    assert drills.is_idle


def test_drill_out_of_order_switched_off_loses_nothing() -> None:
    drills = Drills()
    drills.switch_on(parse_drill("out_of_order", now_ns=0, every=1))
    assert drills.admit(_event(1), 1) == []

    drills.switch_off()

    assert [e.ts_event for e in drills.release(2)] == [1]


@pytest.mark.parametrize(
    ("mode", "more", "field"),
    [
        ("chaos", {}, "mode"),
        ("stall", {"secs": 0}, "secs"),
        ("stall", {"secs": float("nan")}, "secs"),
        ("garbage", {"every": 0}, "every"),
        ("disconnect", {"instrument_id": GBPUSD}, "instrument_id"),
    ],
)
def test_drill_that_makes_no_sense_is_refused(mode: str, more: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as info:
        parse_drill(mode, now_ns=0, **more)  # type: ignore[arg-type]

    assert info.value.field == field
