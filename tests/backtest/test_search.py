from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.search import Search, build_plan, read_search
from workbench.errors import ConfigError

FAST = "engine.strategies.0.config.fast_ema_period"
SLOW = "engine.strategies.0.config.slow_ema_period"


def grid(**values: list[Any]) -> dict[str, Any]:
    return {"space": {"kind": "grid", "grid": values}}


def study(space: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"space": {"kind": "optuna", "space": space, "trials": 8, **more}}


def ask_all(search: Search, value: float = 1.0) -> list[dict[str, Any]]:
    plan, points = build_plan(search), []
    while (asked := plan.ask()) is not None:
        plan.tell(asked[0], value)
        points.append(asked[1])
    return points


def test_grid_plan_tries_every_combination_once_in_order() -> None:
    search = read_search(grid(a=[1, 2], b=["x", "y"]))

    assert ask_all(search) == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert search.space.size == 4


@given(
    st.dictionaries(
        st.text(min_size=1), st.lists(st.integers(), min_size=1, max_size=4), min_size=1, max_size=3
    )
)
def test_grid_corners_hold_every_value(values: dict[str, list[int]]) -> None:
    corners = read_search({"space": {"kind": "grid", "grid": values}}).space.find_corners()

    assert {name: {c[name] for c in corners} for name in values} == {n: set(v) for n, v in values.items()}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100), st.integers(0, 50), st.sampled_from(["tpe", "random"]), st.integers(0, 9))
def test_study_plan_stays_inside_the_bounds_and_repeats_with_its_seed(
    low: int, span: int, sampler: str, seed: int
) -> None:
    space = {
        "i": {"type": "int", "low": low, "high": low + span},
        "f": {"type": "float", "low": 0.5, "high": 2.0},
        "c": {"type": "categorical", "choices": ["a", True, 3]},
    }
    search = read_search(study(space, sampler=sampler, seed=seed))

    points = ask_all(search)

    assert len(points) == 8
    assert all(low <= p["i"] <= low + span and isinstance(p["i"], int) for p in points)
    assert all(0.5 <= p["f"] <= 2.0 and p["c"] in ("a", True, 3) for p in points)
    assert ask_all(search) == points


def test_study_plan_learns_from_what_it_is_told() -> None:
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    plan = build_plan(read_search(study(space, trials=60, seed=1)))
    late = []
    while (asked := plan.ask()) is not None:
        number, point = asked
        plan.tell(number, None if number % 10 == 9 else -abs(point["x"] - 0.8))
        late = [*late, point["x"]][-15:]

    assert sum(abs(x - 0.8) for x in late) / len(late) < 0.15


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "search"),
        ({"space": {"kind": "grid", "grid": {}}}, "search.space"),
        (grid(a=[]), "search.space.grid.a"),
        ({"space": {"kind": "dice"}}, "search.space.kind"),
        ({**grid(a=[1]), "direction": "up"}, "search.direction"),
        ({**grid(a=[1]), "aim": "sharpe"}, "search"),
        (grid(a=list(range(1_000)), b=list(range(1_000))), "search.space"),
        (study({"a": {"type": "int", "low": 5, "high": 1}}), "search.space.space.a.low"),
        (study({"a": {"type": "int", "low": 0.5, "high": 1}}), "search.space.space.a.low"),
        (study({"a": {"type": "float", "low": 0, "high": 1, "log": True}}), "search.space.space.a.log"),
        (study({"a": {"type": "float", "low": 0, "high": 1, "step": 0}}), "search.space.space.a.step"),
        (study({"a": {"type": "categorical"}}), "search.space.space.a.choices"),
        (study({"a": {"type": "int", "low": 1, "high": 2}}, trials=0), "search.space"),
        ({**grid(a=[1]), "walk_forward": {"folds": 0}}, "search.walk_forward.folds"),
        (
            {**grid(a=[1]), "walk_forward": {"folds": 2, "train_share": 1.0}},
            "search.walk_forward.train_share",
        ),
    ],
)
def test_read_search_wrong_wish_names_the_field(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_search(wish)

    assert caught.value.field == field
    assert caught.value.expected
