"""The line of time: data, gaps, poor parts and the range, and what its handles and buttons mean."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from workbench.ui.timeline import build_timeline, choose_preset, find_bin, find_time

DAY_MS = 86_400_000
START_MS = 1_325_376_000_000  # 2012-01-01


def build_coverage(rows: list[int], poor: set[int] = frozenset(), **more: Any) -> dict[str, Any]:  # type: ignore[assignment]
    return {
        "start": "2012-01-01T00:00:00.000000000Z",
        "end": f"2012-01-{len(rows) + 1:02d}T00:00:00.000000000Z",
        "bin_secs": 86_400.0,
        "bins": {
            "start_ms": [START_MS + i * DAY_MS for i in range(len(rows))],
            "rows": rows,
            "expected": [10.0] * len(rows),
            "is_poor": [i in poor for i in range(len(rows))],
        },
        "gaps": [],
        "poor_ranges": [],
        "rule": "less than half of what is usual",
        "problems": [],
        **more,
    }


def parse(html: str) -> ElementTree.Element:
    html = re.sub(r"<input ([^>]*?)>", r"<input \1/>", html).replace(" data-live", " data-live=''")
    return ElementTree.fromstring(f"<div>{html}</div>")


def find_rects(html: str, name: str) -> list[tuple[float, float]]:
    return [
        (float(r.attrib["x"]), float(r.attrib["width"]))
        for r in parse(html).iter("rect")
        if r.attrib.get("class") == f"wb-{name}"
    ]


def test_data_missing_and_poor_are_drawn_in_their_places() -> None:
    html = build_timeline(build_coverage([9, 9, 0, 9, 2, 0, 0, 9, 9, 9], {4}))
    assert find_rects(html, "data") == [(0, 60), (90, 30), (210, 90)]
    assert find_rects(html, "poor") == [(120, 30)]


def test_chosen_range_and_sealed_part_are_drawn() -> None:
    coverage = build_coverage([9] * 10)
    sealed = {"start": "2012-01-09T00:00:00Z", "end": "2012-01-11T00:00:00Z"}
    html = build_timeline(coverage, start="2012-01-03", end="2012-01-06", holdout=sealed)
    [(x, width)] = find_rects(html, "range")
    assert (x, width) == pytest.approx((60.75, 88.5), abs=0.1)
    assert find_rects(html, "sealed") == [(240, 60)]
    handles = {i.attrib["data-key"]: i.attrib for i in parse(html).iter("input")}
    assert (handles["start"]["value"], handles["end"]["value"]) == ("2", "5")
    assert handles["start"]["aria-valuetext"] == "2012-01-03 00:00 UTC"
    [(x, width)] = find_rects(build_timeline(coverage), "range")
    assert (x, width) == (0.8, 298.5) or (x, width) == (0.75, 298.5)


def test_gaps_are_named_but_for_weekends() -> None:
    gaps = [
        {
            "start": "2012-01-07T00:00:00Z",
            "end": "2012-01-09T00:00:00Z",
            "seconds": 172_800.0,
            "spans_weekend": True,
        },
        {
            "start": "2012-01-04T02:00:00Z",
            "end": "2012-01-04T08:00:00Z",
            "seconds": 21_600.0,
            "spans_weekend": False,
        },
        {
            "start": "2012-01-03T02:00:00Z",
            "end": "2012-01-03T03:00:00Z",
            "seconds": 3_600.0,
            "spans_weekend": False,
        },
    ]
    poor = [{"start": "2012-01-05T00:00:00Z", "end": "2012-01-06T00:00:00Z", "rows": 2, "expected": 10.0}]
    coverage = build_coverage([9] * 10, gaps=gaps, poor_ranges=poor, problems=["a <file> is damaged"])
    words = "".join(parse(build_timeline(coverage)).itertext())
    assert "6.0 h missing from 2012-01-04 02:00, 1 more" in words
    assert "1 poor range" in words
    assert "a <file> is damaged" in words
    assert "2012-01-07" not in words


def test_data_without_rows_say_so() -> None:
    empty = {"start": None, "end": None, "bins": {"start_ms": [], "rows": [], "expected": [], "is_poor": []}}
    assert "no rows" in build_timeline(empty)


def test_handles_give_round_times_and_none_at_the_edges() -> None:
    coverage = build_coverage([9] * 10)
    assert find_time(0, coverage) is None
    assert find_time(10, coverage, is_end=True) is None
    assert find_time(3, coverage) == "2012-01-04T00:00:00Z"
    for i in range(11):
        assert find_bin(find_time(i, coverage), coverage) == i % 10 or i == 10
    assert find_bin(None, coverage, is_end=True) == 10
    assert find_bin("nonsense", coverage) == 0
    assert find_bin("2030-01-01", coverage) == 10


def test_presets_count_back_from_the_end_of_the_data() -> None:
    coverage = {"start": "2010-01-01T00:00:00Z", "end": "2012-03-31T00:00:00Z"}
    assert choose_preset("all", coverage) == (None, None)
    assert choose_preset("month", coverage) == ("2012-02-29T00:00:00Z", None)
    assert choose_preset("quarter", coverage) == ("2011-12-31T00:00:00Z", None)
    assert choose_preset("year", coverage) == ("2011-03-31T00:00:00Z", None)
    assert choose_preset("year", {**coverage, "start": "2012-01-01T00:00:00Z"}) == (None, None)
