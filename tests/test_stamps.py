from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.stamps import normalise_stamp

_moments = st.datetimes(
    min_value=datetime(1, 1, 3),
    max_value=datetime(9999, 12, 29),
    timezones=st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m))),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2012-02-06", "2012-02-06T00:00:00.000000000Z"),
        ("2012-02-06 01:02", "2012-02-06T01:02:00.000000000Z"),
        (" 2012-02-06T01:02:03Z ", "2012-02-06T01:02:03.000000000Z"),
        ("2012-02-06T01:02:03.5Z", "2012-02-06T01:02:03.500000000Z"),
        ("2012-02-06T01:02:03.123456789+01:00", "2012-02-06T00:02:03.123456789Z"),
        ("2012-02-06T00:30+0100", "2012-02-05T23:30:00.000000000Z"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00.000000000Z"),
    ],
)
def test_time_in_any_form_of_iso_8601_has_one_text(text: str, expected: str) -> None:
    assert normalise_stamp(text) == expected


@given(_moments, _moments)
def test_texts_sort_as_their_times(one: datetime, other: datetime) -> None:
    texts = [normalise_stamp(m.isoformat()) for m in (one, other)]

    assert (texts[0] < texts[1]) == (one < other)
    assert [len(t) for t in texts] == [30, 30]
    assert datetime.fromisoformat(texts[0]) == one.astimezone(UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2012", "2012-02-30", "2012-02-06T25:00", "2012-02-06T01:02.5", "1328486400"),
        *("2012-02-06T01:02:03.1234567890Z", "2012-02-06T01:02:03+99:00", "0001-01-01T00:00+01:00"),
        *("٢٠١٢-02-06", "2012-02-06Z"),
    ],
)
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        normalise_stamp(text)
