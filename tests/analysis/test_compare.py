from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.compare import build_config_diff, build_metric_table, flatten_config
from workbench.errors import InputError


def _metric(value, unit="ratio"):
    return {"value": value, "unit": unit, "reason": None if value is not None else "unknown"}


def test_metric_table_row_per_run():
    runs = {
        "a": {"pnl": _metric("12.5", "USD"), "sharpe": _metric(1.5)},
        "b": {"pnl": _metric("-3", "EUR"), "sharpe": _metric(None), "trades": _metric(4, "count")},
        "failed": {},
    }
    table = build_metric_table(runs)
    assert list(table.columns) == ["currency", "pnl", "sharpe", "trades"]
    assert table.loc["a"].tolist() == ["USD", "12.5", 1.5, None]
    assert table.loc["b"].tolist() == ["EUR", "-3", None, 4]
    assert table.loc["failed"].tolist() == [None] * 4
    assert list(build_metric_table(runs, names=["sharpe"]).columns) == ["currency", "sharpe"]


def test_metric_table_of_nothing_is_empty():
    assert build_metric_table({}).shape == (0, 1)


def test_config_flattens_to_dotted_keys():
    config = {"venues": [{"name": "SIM", "modules": []}], "a.b": 1, "a": {"b": None}}
    assert flatten_config(config) == {"venues.0.name": "SIM", "venues.0.modules": [], "a\\.b": 1, "a.b": None}


def test_config_with_something_else_than_json_is_refused():
    with pytest.raises(InputError, match=r"the configuration's a\.0 is a set"):
        flatten_config({"a": [{1, 2}]})


def test_config_diff_shows_only_differences():
    diff = build_config_diff(
        {
            "a": {"fast": 10, "slow": 20, "extra": None, "data": [{"id": "x"}]},
            "b": {"fast": 12, "slow": 20, "data": [{"id": "y"}]},
        }
    )
    assert diff.index.tolist() == ["fast", "extra", "data.0.id"]
    assert diff.loc["fast"].tolist() == [10, 12]
    assert diff.loc["data.0.id"].tolist() == ["x", "y"]
    assert diff.loc["extra", "a"] is None
    assert diff.loc["extra", "b"] is pd.NA


def test_config_diff_tells_types_apart():
    diff = build_config_diff({"a": {"x": 1, "y": 1, "z": "1"}, "b": {"x": True, "y": 1, "z": 1}})
    assert diff.index.tolist() == ["x", "z"]


def test_config_diff_of_one_or_none_is_empty():
    assert build_config_diff({}).shape == (0, 0)
    assert build_config_diff({"a": {"x": 1}}).shape == (0, 1)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab.\\", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
configs = st.dictionaries(st.text("ab.\\", max_size=3), json_values, max_size=4)


@settings(max_examples=100, deadline=None)
@given(config=configs, other=configs)
def test_config_diff_is_empty_only_for_equal_configs(config, other):
    assert len(build_config_diff({"a": config, "b": json.loads(json.dumps(config))})) == 0
    is_equal = json.dumps(config, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (len(build_config_diff({"a": config, "b": other})) == 0) == is_equal
