from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalog.flaws import FlawKind, RowFlaws
from workbench.catalog.times import TimeFormat, TimeUnit, detect_format, next_midnight, parse_times
from workbench.errors import InputError

FEB = 1_328_054_400 * 10**9  # 2012-02-01 00:00 UTC
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2250, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))


def detect(
    values: object, tz: str | None = None, unit: TimeUnit | None = None, kind: object = None
) -> TimeFormat:
    return detect_format(pa.array(values, kind), tz=tz, unit=unit, given="column 'time'")


def parse(
    values: object, tz: str | None = None, unit: TimeUnit | None = None, kind: object = None
) -> tuple[list, list]:
    column = pa.array(values, kind)
    flaws = RowFlaws(len(column))
    stamps = parse_times(column, detect_format(column, tz=tz, unit=unit, given="column 'time'"), flaws)
    return stamps.tolist(), flaws.codes.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "2012-02-01 00:00:00+00:00",
        "2012-02-01T00:00:00Z",
        "2012-02-01T01:00:00.000+01:00",
        "2012-02-01 05:30:00+0530",
        "2012-01-31T19:00-05",
        "20120201 00:00:00Z",
        "2012.02.01 00:00Z",
    ],
)
def test_text_with_an_offset_needs_nothing_stated(text: str) -> None:
    assert detect([text]).form == "zoned"
    assert parse([text]) == ([FEB], [0])


@pytest.mark.parametrize(
    "text",
    [
        "2012-02-01 00:00:00",
        "2012-02-01T00:00",
        "20120201 000000",
        "20120201 00:00:00.000",
        "2012.02.01 00:00",
        "2012-02-01",
        "20120201",
    ],
)
def test_text_without_an_offset_needs_a_zone(text: str) -> None:
    with pytest.raises(InputError, match="no time zone is stated"):
        detect([text])
    assert parse([text], tz="UTC") == ([FEB], [0])
    assert parse([text], tz="America/New_York") == ([FEB + 5 * 3600 * 10**9], [0])


@pytest.mark.parametrize(
    ("number", "unit", "nanos"),
    [
        ("1328054400", "s", FEB),
        ("1328054400.123456789", "s", FEB + 123456789),
        ("1328054400123", "ms", FEB + 123 * 10**6),
        ("1328054400123456", "us", FEB + 123456 * 10**3),
        ("1328054400123456789", "ns", FEB + 123456789),
    ],
)
def test_numbers_need_a_unit_and_the_plausible_one_is_suggested(
    number: str, unit: TimeUnit, nanos: int
) -> None:
    with pytest.raises(InputError, match=f"--unit {unit}"):
        detect([number])
    assert parse([number], unit=unit) == ([nanos], [0])
    if "." not in number:
        assert parse([int(number)], unit=unit) == ([nanos], [0])


def test_numbers_out_of_range_or_finer_than_a_nanosecond_are_marked() -> None:
    stamps = ["1328054400", "99999999999999999999999", "-5", "1328054400.0000000001", "x", ""]
    assert parse(stamps, unit="s")[1] == [0, *[FlawKind.TIME_UNREADABLE] * 5]


@settings(max_examples=100, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=10), st.sampled_from(["s", "ms", "us", "ns"]))
def test_timestamps_of_parquet_equal_pandas(moments: list[datetime], unit: TimeUnit) -> None:
    expected = pd.DatetimeIndex(moments).as_unit(unit).as_unit("ns").asi8.tolist()
    column = pa.array(pd.DatetimeIndex(moments).as_unit(unit), pa.timestamp(unit, "UTC"))
    flaws = RowFlaws(len(column))
    assert parse_times(column, TimeFormat(form="zoned"), flaws).tolist() == expected
    assert not flaws.codes.any()


@settings(max_examples=100, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=10))
def test_text_in_iso_form_equals_pandas(moments: list[datetime]) -> None:
    texts = [moment.isoformat() for moment in moments]
    assert parse(texts)[0] == pd.to_datetime(texts, format="ISO8601", utc=True).as_unit("ns").asi8.tolist()


def test_dates_of_parquet_need_a_zone() -> None:
    with pytest.raises(InputError, match="no time zone"):
        detect([date(2012, 2, 1)])
    assert parse([date(2012, 2, 1)], tz="UTC") == ([FEB], [0])


def test_text_in_a_form_that_is_ambiguous_is_refused() -> None:
    with pytest.raises(InputError, match="01/02/2012"):
        detect(["01/02/2012 00:00"], tz="UTC")


def test_single_unreadable_stamps_are_marked() -> None:
    texts = [
        "2012-02-01 00:00:00Z",
        "2012-02-30 00:00:00Z",
        "",
        "soon",
        "2012-02-01 00:00:00",
        "2012-02-01 00:00:00Z",
    ]
    bad = FlawKind.TIME_UNREADABLE
    assert parse(texts)[1] == [0, bad, bad, bad, bad, 0]


def test_local_times_twice_or_never_there_are_marked() -> None:
    texts = ["2012-03-11 01:59:00", "2012-03-11 02:30:00", "2012-11-04 01:30:00", "2012-11-04 03:00:00"]
    _, codes = parse(texts, tz="America/New_York")
    assert codes == [0, FlawKind.TIME_MISSING, FlawKind.TIME_AMBIGUOUS, 0]


def test_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        detect(["2012-02-01"], tz="EST5EDT4")


def test_unit_stated_for_text_is_refused() -> None:
    with pytest.raises(InputError, match="unit 'ms' is stated"):
        detect(["2012-02-01 00:00:00Z"], unit="ms")


def test_time_of_day_in_a_column_of_its_own_completes_the_date() -> None:
    flaws = RowFlaws(1)
    stamps = parse_times(
        pa.array(["2012.02.01"]),
        TimeFormat(form="local", tz="UTC"),
        flaws,
        time_of_day=pa.array(["00:01"]),
    )
    assert stamps.tolist() == [FEB + 60 * 10**9]


def test_next_midnight_over_a_change_of_the_clocks_is_23_or_25_hours_later() -> None:
    days = pd.DatetimeIndex(["2012-03-10", "2012-03-11", "2012-11-04"], tz="America/New_York").as_unit("ns")
    later = next_midnight(np.array(days.asi8), "America/New_York", 1)
    assert ((later - days.asi8) // (3600 * 10**9)).tolist() == [24, 23, 25]
