from __future__ import annotations

import itertools

import pytest

from workbench.jobs.trace import TRACE_POINTS, Trace
from workbench.records import EquityTrace, Progress


def build_trace(count: int) -> EquityTrace:
    trace = Trace()
    for ts_ns in range(1, count + 1):
        trace.note(Progress(simulated_ts_ns=ts_ns, equity=f"{ts_ns}.50", currency="USD"))
    return trace.build()


@pytest.mark.parametrize("count", [1, 2, TRACE_POINTS - 1, TRACE_POINTS, TRACE_POINTS + 1, 300, 10_007])
def test_trace_is_bounded_even_and_ends_with_the_latest(count: int) -> None:
    points, currency = build_trace(count).points, build_trace(count).currency

    assert currency == "USD"
    assert len(points) <= TRACE_POINTS
    assert len(points) >= min(count, TRACE_POINTS // 2)
    times = [ts_ns for ts_ns, _ in points]
    assert (times[0], times[-1]) == (1, count)
    assert all(equity == f"{ts_ns}.50" for ts_ns, equity in points)
    gaps = {after - before for before, after in itertools.pairwise(times[:-1])}
    assert len(gaps) <= 1, "every second one goes, so the others stay evenly apart"
    assert times[-1] - times[-2] <= max(gaps, default=1) if len(times) > 1 else True


def test_trace_takes_what_has_an_equity_and_is_later() -> None:
    trace = Trace()
    assert trace.build() == EquityTrace()

    trace.note(Progress(simulated_ts_ns=5, equity="1", currency="EUR"))
    trace.note(Progress(simulated_ts_ns=5, equity="2", currency="EUR"))
    trace.note(Progress(simulated_ts_ns=4, equity="3", currency="EUR"))
    trace.note(Progress(simulated_ts_ns=6))
    trace.note(Progress(equity="4"))

    assert trace.build() == EquityTrace(points=[(5, "1")], currency="EUR")
