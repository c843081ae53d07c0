from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.importance import measure_importance


def _grid(noise: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = [
        {"slow": slow, "fast": fast, "score": fast + 0.2 * slow + noise * rng.normal()}
        for fast in range(6)
        for slow in range(6)
    ]
    return pd.DataFrame(rows)


def test_importance_of_the_parameter_that_matters_most_is_first() -> None:
    first, second = measure_importance(_grid(noise=0.1), ["slow", "fast"], "score")
    assert (first.name, second.name) == ("fast", "slow")
    assert first.share is not None
    assert first.share > 0.85
    assert second.share is not None
    assert second.share < 0.1
    assert first.correlation == pytest.approx(0.97, abs=0.03)
    assert (first.groups, first.trials) == (6, 36)


def test_importance_equals_kruskal_wallis_effect_size() -> None:
    from scipy.stats import kruskal

    frame = _grid(noise=2.0)
    (found,) = measure_importance(frame, ["fast"], "score")
    h = float(kruskal(*[group for _, group in frame.groupby("fast")["score"]]).statistic)
    assert found.share == pytest.approx((h - 6 + 1) / (36 - 6))


def test_importance_of_what_has_no_effect_is_near_zero_with_few_and_many_values() -> None:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(40):
        frame = pd.DataFrame({
            "few": rng.integers(0, 3, 40), "many": rng.normal(size=40), "word": rng.choice(["a", "b"], 40),
            "score": rng.normal(size=40),
        })  # fmt: skip
        shares += [one.share for one in measure_importance(frame, ["few", "many", "word"], "score")]
    assert all(share is not None for share in shares)
    assert float(np.mean([share for share in shares if share is not None])) < 0.05


def test_importance_of_continuous_values_is_seen_and_one_absurd_trial_does_not_decide() -> None:
    x = np.linspace(0, 1, 60)
    frame = pd.DataFrame({"x": x, "score": (x - 0.5) ** 2, "other": np.tile([1, 2, 3], 20)})
    frame.loc[7, "score"] = 1e9
    first, second = measure_importance(frame, ["other", "x"], "score")
    assert first.name == "x"
    assert first.share is not None
    assert first.share > 0.6
    assert abs(first.correlation or 0.0) < 0.2
    assert second.share == pytest.approx(0.0, abs=0.05)


def test_importance_that_cannot_be_said_is_none() -> None:
    frame = pd.DataFrame({
        "one": [3, 3, 3], "word": ["a", "b", "c"], "flag": [True, False, True], "score": [1.0, np.nan, 2.0],
    })  # fmt: skip
    found = {one.name: one for one in measure_importance(frame, ["one", "word", "flag"], "score")}
    assert [found[name].share for name in ("one", "word", "flag")] == [None, None, None]
    assert found["word"].correlation is None
    assert found["flag"].correlation is None
    assert found["one"].trials == 2
    (empty,) = measure_importance(frame.iloc[:0], ["one"], "score")
    assert (empty.share, empty.trials) == (None, 0)
