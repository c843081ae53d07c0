"""Splits of a time range: train on what came before, test on what follows, with a gap between them."""

from __future__ import annotations

import itertools

import msgspec

from workbench.errors import ConfigError

__all__ = ["Split", "build_walk_forward"]

_MAX_FOLDS = 1_000


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """
    One training window and the test window that follows it, UTC nanoseconds.

    Both are half-open: the start belongs to the window, the end does not, so that the end of one test window
    is the start of the next.
    """

    train_start_ns: int
    train_end_ns: int
    test_start_ns: int
    test_end_ns: int


def build_walk_forward(
    start_ns: int,
    end_ns: int,
    *,
    folds: int,
    train_share: float | None = None,
    train_ns: int | None = None,
    purge_ns: int = 0,
    embargo_ns: int = 0,
    is_anchored: bool = False,
) -> list[Split]:
    """
    Return the splits of a purged walk-forward test.

    The first training window starts with the range. The test windows follow each other without a gap, from
    the end of the first training window, purge and embargo to the end of the range; their lengths differ by
    a nanosecond at most. Every training window ends `purge_ns` + `embargo_ns` before its test window starts.

    Purging removes what reaches from training into testing, such as a position that is held across the
    border; the embargo is a further margin for what is correlated in time: López de Prado 2018, Advances in
    Financial Machine Learning, sections 7.4.1 and 7.4.2. There the embargo follows a test set that lies
    amidst the training data; in a walk-forward nothing is trained on data behind its own test window, so here
    both lie before the test. The terms are those of ``skfolio.model_selection.WalkForward`` (``train_size``,
    ``purged_size``, ``expand_train``), in time instead of rows.

    Parameters
    ----------
    start_ns, end_ns : int
        The range, UTC nanoseconds; the end is outside.
    folds : int
        The number of splits, 1 to 1,000.
    train_share : float, optional
        The length of the first training window as a share of the range, above 0 and below 1.
    train_ns : int, optional
        The length of the first training window in nanoseconds. Give this or the share.
    purge_ns : int, default 0
        What to purge: at least as long as a position is held, or a label looks ahead.
    embargo_ns : int, default 0
        The embargo.
    is_anchored : bool, default False
        Whether every training window starts with the range and grows (anchored), or keeps its length and
        moves (rolling).

    Returns
    -------
    list[Split]
        In the order of time.

    Raises
    ------
    ConfigError
        If the numbers leave no room for training or testing, or contradict each other; the error names the
        field.

    """
    total = end_ns - start_ns
    if total <= 0:
        raise ConfigError(
            f"the range ends at {end_ns}, not after its start {start_ns}",
            expected="end after start",
            field="end_ns",
        )
    if not 1 <= folds <= _MAX_FOLDS:
        raise ConfigError(f"folds is {folds}", expected=f"1 to {_MAX_FOLDS:,}", field="folds")
    for field, value in (("purge_ns", purge_ns), ("embargo_ns", embargo_ns)):
        if value < 0:
            raise ConfigError(f"{field} is {value}", expected="0 or more", field=field)
    train = _measure_train(total, train_share, train_ns)
    gap = purge_ns + embargo_ns
    first = start_ns + train + gap
    room = end_ns - first
    if room < folds:
        raise ConfigError(
            f"training {train} ns, purge {purge_ns} ns and embargo {embargo_ns} ns leave {max(room, 0)} ns of "
            f"{total} ns for {folds} test windows",
            advice="train on less, or take a longer range",
            field="train_ns" if train_share is None else "train_share",
        )
    borders = [first + room * number // folds for number in range(folds + 1)]
    return [
        Split(
            train_start_ns=start_ns if is_anchored else test_start - gap - train,
            train_end_ns=test_start - gap,
            test_start_ns=test_start,
            test_end_ns=test_end,
        )
        for test_start, test_end in itertools.pairwise(borders)
    ]


def _measure_train(total: int, share: float | None, length: int | None) -> int:
    if share is not None and length is None:
        if not 0.0 < share < 1.0:
            raise ConfigError(
                f"train_share is {share}", expected="a share above 0 and below 1", field="train_share"
            )
        length = int(total * share)
    elif length is None or share is not None:
        given = "neither was" if length is None else "both were"
        raise ConfigError(f"{given} given", expected="train_share or train_ns", field="train_share")
    if length < 1:
        raise ConfigError(
            f"the training window is {length} ns long", expected="at least 1 ns", field="train_ns"
        )
    return length
