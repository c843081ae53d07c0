from __future__ import annotations

import numpy as np
import pytest

from workbench.ui.samples import Samples


def _samples(rows: int, *, most: int = 10_000_000) -> Samples:
    x = np.arange(rows, dtype=np.float64)
    return Samples(x, {"y": np.sin(x / 7)}, most=most)


def test_pick_visible_part_is_whole_and_the_rest_coarse() -> None:
    samples = _samples(100_000)
    rows = samples.pick(200, 40_000, 40_100)
    inside = rows[(rows >= 40_000) & (rows <= 40_100)]
    assert inside.tolist() == list(range(40_000, 40_101))
    assert (np.diff(rows) > 0).all()
    assert (rows[0], rows[-1]) == (0, 99_999)
    assert len(rows) <= 2 * 200 + 10


def test_pick_whole_keeps_the_extremes() -> None:
    samples = _samples(50_000)
    y = samples.columns["y"]
    assert {int(y.argmin()), int(y.argmax())} <= set(samples.pick(100).tolist())


@pytest.mark.parametrize("span", [(-10.0, -5.0), (1e9, 2e9), (5.25, 5.5)])
def test_pick_range_without_samples_gives_the_rest(span: tuple[float, float]) -> None:
    assert len(_samples(1_000).pick(50, *span)) > 0


def test_pick_of_nothing_is_nothing() -> None:
    assert len(_samples(0).pick(10)) == 0


def test_append_leaves_what_was_given_alone() -> None:
    x = np.arange(3.0)
    x.flags.writeable = False
    samples = Samples(x, {"y": x})
    for k in range(3, 5_000):
        samples.append(np.array([float(k)]), {"y": np.array([k * 2.0])})
    assert samples.millis.tolist() == list(map(float, range(5_000)))
    assert samples.columns["y"][-1] == 9_998.0
    assert x.tolist() == [0, 1, 2]


def test_append_beyond_the_most_keeps_new_ones_and_old_extremes() -> None:
    samples = _samples(0, most=1_000)
    values = np.zeros(50_000)
    values[100], values[200] = 9.0, -9.0
    for k in range(0, 50_000, 100):
        part = np.arange(k, k + 100, dtype=np.float64)
        samples.append(part, {"y": values[k : k + 100]})
    assert len(samples) <= 1_100
    assert samples.total == 50_000
    assert (samples.columns["y"].max(), samples.columns["y"].min()) == (9.0, -9.0)
    assert samples.millis[0] == 0
    assert samples.millis[-100:].tolist() == list(map(float, range(49_900, 50_000)))
    assert (np.diff(samples.millis) > 0).all()
