from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.ui.formats import (
    find_places,
    format_bytes,
    format_decimal,
    format_duration,
    format_percent,
    format_time,
    shorten,
    tint,
)


@pytest.mark.parametrize(
    ("value", "places", "is_signed", "text"),
    [
        (Decimal("-1234.565"), 2, False, "−1,234.56"),
        (Decimal(69), 2, True, "+69.00"),
        (Decimal("-0.001"), 2, True, "0.00"),
        (Decimal("123456789012345678901234.5"), 1, False, "123,456,789,012,345,678,901,234.5"),
        (0.1, 1, False, "0.1"),
        (np.int64(7), 0, False, "7"),
        (None, 2, True, "—"),
        (float("nan"), 2, True, "—"),
        (Decimal("NaN"), 2, True, "—"),
    ],
)
def test_format_decimal_value_gives_text(value: object, places: int, is_signed: bool, text: str) -> None:
    assert format_decimal(value, places, is_signed=is_signed) == text  # type: ignore[arg-type]


def test_format_percent_fraction_gives_signed_percentage() -> None:
    assert format_percent(0.0413, is_signed=True) == "+4.13 %"
    assert format_percent(None) == "—"


def test_format_time_other_zone_is_shown_in_utc() -> None:
    assert format_time(pd.Timestamp("2012-02-01 01:00", tz="Europe/Berlin")) == "2012-02-01 00:00"
    assert format_time(1_328_054_400_000_000_000, has_seconds=True) == "2012-02-01 00:00:00"
    assert format_time(pd.NaT) == "—"


@pytest.mark.parametrize(
    ("secs", "text"),
    [
        (0.25, "0.2 s"),
        (60, "60 s"),
        (852, "14 min"),
        (7_200, "2.0 h"),
        (100_000, "1 d 4 h"),
        (1e7, "116 d"),
        (None, "—"),
    ],
)
def test_format_duration_secs_gives_one_or_two_units(secs: float | None, text: str) -> None:
    assert format_duration(secs) == text


def test_format_bytes_sizes_in_decimal_units() -> None:
    assert [format_bytes(n) for n in (900_000, 428_000_000, 12_300_000_000)] == [
        "900 kB",
        "428 MB",
        "12.3 GB",
    ]


def test_find_places_averages_do_not_widen_the_column() -> None:
    assert find_places([Decimal("1.5783200000000000"), Decimal("1.5783333333333333"), None]) == 5
    assert find_places([], default=0) == 0
    assert find_places([Decimal("100000.0000")]) == 0


def test_shorten_long_id_keeps_whole_one_on_hover_and_escapes() -> None:
    html = shorten("<b>" + "x" * 30)
    assert "<b>" not in html
    assert "title='&lt;b&gt;xxx" in html
    assert "…" in html


def test_tint_follows_the_sign() -> None:
    assert [tint(v) for v in (Decimal(1), -1.0, 0, None, float("nan"))] == ["up", "down", "", "", ""]


def test_duration_of_whole_days_has_no_hours() -> None:
    assert format_duration(6 * 86_400) == "6 d"
    assert format_duration(6 * 86_400 + 3_600) == "6 d 1 h"
