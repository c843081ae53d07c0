"""Walk-forward splits never train on what they test, and test everything behind the first training window."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.splits import Split, build_walk_forward
from workbench.errors import ConfigError

DAY = 86_400_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01 UTC

days = st.integers(0, 20 * DAY)


def _in_days(splits: list[Split]) -> list[tuple[float, ...]]:
    edges = ("train_start_ns", "train_end_ns", "test_start_ns", "test_end_ns")
    return [tuple((getattr(s, edge) - START) / DAY for edge in edges) for s in splits]


def test_walk_forward_rolling_worked_example() -> None:
    splits = build_walk_forward(
        START, START + 100 * DAY, folds=3, train_ns=37 * DAY, purge_ns=2 * DAY, embargo_ns=DAY
    )
    assert _in_days(splits) == [(0, 37, 40, 60), (20, 57, 60, 80), (40, 77, 80, 100)]


def test_walk_forward_anchored_worked_example() -> None:
    splits = build_walk_forward(
        START, START + 100 * DAY, folds=2, train_share=0.5, embargo_ns=10 * DAY, is_anchored=True
    )
    assert _in_days(splits) == [(0, 50, 60, 80), (0, 70, 80, 100)]


@given(
    start=st.integers(-(2**60), 2**60),
    train=st.one_of(st.floats(0.001, 0.999), st.integers(1, 100 * DAY)),
    room=st.integers(0, 100 * DAY),
    folds=st.integers(1, 60),
    purge=days,
    embargo=days,
    is_anchored=st.booleans(),
)
def test_walk_forward_holds_its_promises(
    start: int, train: float, room: int, folds: int, purge: int, embargo: int, is_anchored: bool
) -> None:
    gap = purge + embargo
    if isinstance(train, int):
        end = start + train + gap + folds + room
        length: dict[str, Any] = {"train_ns": train}
    else:
        # Long enough for the share, the gap and a nanosecond per fold.
        # With a margin for the share of nanoseconds of years, which a float does not hold exactly.
        needed = (gap + folds + 2) / (1 - train) * (1 + 1e-9)
        end = start + math.ceil(needed) + math.ceil(1 / train) + 1000 + room
        length = {"train_share": train}
    splits = build_walk_forward(
        start, end, folds=folds, purge_ns=purge, embargo_ns=embargo, is_anchored=is_anchored, **length
    )
    assert len(splits) == folds
    assert splits[0].train_start_ns == start
    assert splits[-1].test_end_ns == end
    first = splits[0].train_end_ns - start
    if isinstance(train, int):
        assert first == train
    else:
        assert first == pytest.approx((end - start) * train, rel=1e-9, abs=1)
    for split in splits:
        assert (
            start
            <= split.train_start_ns
            < split.train_end_ns
            <= split.test_start_ns
            < split.test_end_ns
            <= end
        )
        assert split.test_start_ns - split.train_end_ns == gap
        if is_anchored:
            assert split.train_start_ns == start
        else:
            assert split.train_end_ns - split.train_start_ns == first
    for before, after in itertools.pairwise(splits):
        assert before.test_end_ns == after.test_start_ns
    lengths = {s.test_end_ns - s.test_start_ns for s in splits}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("changes", "words", "field"),
    [
        ({"end_ns": START}, "not after its start", "end_ns"),
        ({"folds": 0}, "folds is 0; expected 1 to 1,000", "folds"),
        ({"folds": 1001}, "folds is 1001", "folds"),
        ({"purge_ns": -1}, "purge_ns is -1", "purge_ns"),
        ({"embargo_ns": -1}, "embargo_ns is -1", "embargo_ns"),
        ({"train_share": None}, "neither was given", "train_share"),
        ({"train_ns": DAY}, "both were given", "train_share"),
        ({"train_share": 0.0}, "train_share is 0.0", "train_share"),
        ({"train_share": 1.0}, "train_share is 1.0", "train_share"),
        ({"train_share": math.nan}, "train_share is nan", "train_share"),
        ({"train_share": 1e-18}, "0 ns long", "train_ns"),
        ({"train_share": None, "train_ns": 0}, "0 ns long", "train_ns"),
        ({"train_share": None, "train_ns": 10 * DAY}, "leave 0 ns of", "train_ns"),
        ({"purge_ns": 6 * DAY}, "leave 0 ns of", "train_share"),
        ({"purge_ns": 5 * DAY - 3}, "leave 3 ns of 864000000000000 ns for 4 test windows", "train_share"),
    ],
)
def test_walk_forward_without_sense_is_refused(changes: dict[str, Any], words: str, field: str) -> None:
    given = {"start_ns": START, "end_ns": START + 10 * DAY, "folds": 4, "train_share": 0.5, **changes}
    with pytest.raises(ConfigError, match=words) as caught:
        build_walk_forward(given.pop("start_ns"), given.pop("end_ns"), **given)
    assert caught.value.field == field
