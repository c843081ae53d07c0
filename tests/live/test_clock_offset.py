"""How far the clock may be off: what is measured, and what that is called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from workbench.live import clock_offset
from workbench.live.clock_offset import DelayWindow, describe_clock, read_kernel_clock

GOOD = {"is_synchronised": True, "offset_ms": 0.4, "max_error_ms": 20.0}
BAD = {**GOOD, "is_synchronised": False}


def _data(delay_ms: float, venue: str = "BINANCE") -> Any:
    instrument_id = SimpleNamespace(venue=SimpleNamespace(value=venue))
    return SimpleNamespace(instrument_id=instrument_id, ts_event=10**12, ts_init=10**12 + int(delay_ms * 1e6))


def test_least_delay_is_that_of_a_venue_and_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(clock_offset.time, "monotonic_ns", lambda: now[0])
    window = DelayWindow({"SIM"})
    for delay in (80.0, 20.0, 50.0):
        window.note(_data(delay))
    window.note(_data(1.0, "SIM"))
    assert window.find_least() == {"BINANCE": 20.0}
    now[0] += 31 * 10**9
    assert window.find_least() == {"BINANCE": 20.0}
    window.note(_data(70.0))
    now[0] += 31 * 10**9
    assert window.find_least() == {"BINANCE": 70.0}
    now[0] += 70 * 10**9
    assert window.find_least() == {}


@pytest.mark.parametrize(
    ("least", "kernel", "offset", "source", "word"),
    [
        ({"A": -700.0, "B": 30.0}, GOOD, -700.0, "market data", "behind"),
        ({"A": 30.0}, GOOD, 0.4, "kernel", "correct"),
        ({"A": 30.0, "B": 900.0}, BAD, 900.0, "market data", "ahead"),
        ({"A": 30.0}, None, 30.0, "market data", "ahead"),
        ({}, GOOD, 0.4, "kernel", "correct"),
        ({}, BAD, None, "", "nothing came"),
        ({}, None, None, "", "nothing came"),
    ],
)
def test_what_is_known_is_told_with_its_source(
    least: dict[str, float], kernel: Any, offset: float | None, source: str, word: str
) -> None:
    found = describe_clock(least, kernel, has_live_data=True)
    assert (found["offset_ms"], found["source"]) == (offset, source)
    assert word in found["why"]
    assert found["venues"] == least
    assert found["kernel"] == kernel


def test_replay_alone_says_nothing_of_the_clock() -> None:
    found = describe_clock({}, None, has_live_data=False)
    assert found["offset_ms"] is None
    assert "replay" in found["why"]


def test_kernel_is_asked_where_it_is_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_kernel_clock()
    assert found is None or set(found) == {"is_synchronised", "offset_ms", "max_error_ms"}
    monkeypatch.setattr(clock_offset.sys, "platform", "darwin")
    assert read_kernel_clock() is None
