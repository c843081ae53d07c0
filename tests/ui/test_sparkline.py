"""The line in a cell: thin, even in time, never without its latest point."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from workbench.records import EquityTrace
from workbench.ui.sparkline import Curve, build_sparkline


def read_spots(svg: str) -> list[tuple[float, float]]:
    path = ElementTree.fromstring(svg).find("path")
    assert path is not None
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.attrib["d"])]


def test_line_goes_up_and_right_within_its_box() -> None:
    spots = read_spots(build_sparkline([(0, 10.0), (10, 20.0), (40, 15.0)]))

    assert spots == [(2, 22), (24, 2), (90, 12)]


def test_line_that_never_moves_lies_in_the_middle() -> None:
    assert read_spots(build_sparkline([(0, 5.0), (1, 5.0)])) == [(2, 12), (90, 12)]


def test_one_point_is_no_line() -> None:
    assert build_sparkline([(0, 5.0)]) == ""
    assert build_sparkline([]) == ""


def test_label_is_escaped() -> None:
    svg = build_sparkline([(0, 1.0), (1, 2.0)], label="<a> 'b'")

    assert ElementTree.fromstring(svg).attrib["aria-label"] == "<a> 'b'"


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=2_000))
def test_curve_keeps_few_points_in_order_and_the_latest(steps: list[int]) -> None:
    curve, ts, taken = Curve(), 0, []
    for i, step in enumerate(steps):
        ts += step
        before = curve.latest
        curve.note(ts, str(i), "USD")
        if curve.latest != before:
            taken.append((ts, float(i)))

    points = curve.points
    assert points == sorted(set(points))
    assert set(points) <= set(taken)
    assert (points[0], points[-1]) == (taken[0], taken[-1])
    assert len(points) <= 121
    assert curve.currency == "USD"


def test_long_curve_stays_even_in_time() -> None:
    curve = Curve()
    for ts in range(50_000):
        curve.note(ts, "1", "USD")

    gaps = [b - a for (a, _), (b, _) in zip(curve.points, curve.points[1:-1], strict=False)]
    assert max(gaps) <= 2 * min(gaps)
    assert len(curve.points) >= 60


def test_what_is_no_point_is_left_out() -> None:
    curve = Curve()
    curve.note(None, "1", "USD")
    curve.note(1, None, "USD")

    assert curve.points == []
    assert curve.latest is None


def test_earlier_points_go_in_front_once() -> None:
    curve = Curve()
    curve.note(5, "50.5", "USD")
    trace = EquityTrace(points=[(1, "10"), (4, "40"), (5, "50"), (9, "90")], currency="EUR")
    curve.fill(trace)
    curve.fill(trace)

    assert curve.points == [(1, 10.0), (4, 40.0), (5, 50.5)]
    assert (curve.latest, curve.currency) == ("50.5", "USD")


def test_empty_curve_takes_all_of_a_trace() -> None:
    curve = Curve.of(EquityTrace(points=[(1, "10"), (9, "90.25")], currency="EUR"))

    assert curve.points == [(1, 10.0), (9, 90.25)]
    assert (curve.latest, curve.currency) == ("90.25", "EUR")
    assert Curve.of(None).latest is None
    assert Curve.of(EquityTrace()).points == []
