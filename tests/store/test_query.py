from __future__ import annotations

from typing import Any

import msgspec
import pytest

from workbench.analysis.definitions import DEFINITIONS
from workbench.errors import InputError
from workbench.store import JobQuery
from workbench.store.query import HEADLINES, SORTS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sort": "spec"}, "sort"),
        ({"sort": "--id"}, "sort"),
        ({"sort": ""}, "sort"),
        ({"sort": "sharpe'; --"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 2**70}, "offset"),
        ({"text": "x" * 201}, "text"),
    ],
)
def test_query_that_makes_no_sense_is_refused_with_its_field(fields: dict[str, Any], field: str) -> None:
    for build in (lambda: JobQuery(**fields), lambda: msgspec.convert(fields, JobQuery)):
        with pytest.raises(InputError) as caught:
            build()
        assert caught.value.field == field
        assert caught.value.expected


def test_query_sorted_by_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"created_at.*sharpe"):
        JobQuery(sort="-color")


def test_headline_names_are_those_of_the_analysis_and_no_columns() -> None:
    assert set(HEADLINES) <= set(DEFINITIONS)
    assert len(set(SORTS)) == len(SORTS)
