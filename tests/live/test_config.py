from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine_records import EmergencyAction, EmergencyPolicy, EmergencyScope
from workbench.errors import ConfigError
from workbench.live.config import (
    EngineConfig,
    Environment,
    RestartPolicy,
    StopPolicy,
    find_changes,
    parse_engine_config,
)

_KEYS = st.text("ab.01\"'- é", max_size=4)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab.", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_SECS = st.floats(0.01, 86_400)
_CONFIGS = st.builds(
    EngineConfig,
    environment=st.sampled_from(Environment),
    node=st.dictionaries(_KEYS, _JSON, max_size=3),
    risk=st.dictionaries(_KEYS, _JSON, max_size=3),
    currency=st.sampled_from(["USD", "EUR"]),
    emergency=st.builds(
        EmergencyPolicy, action=st.sampled_from(EmergencyAction), scope=st.sampled_from(EmergencyScope)
    ),
    restart=st.builds(
        RestartPolicy,
        most=st.integers(0, 1_000),
        window_secs=_SECS,
        backoff_secs=_SECS,
        max_backoff_secs=_SECS,
    ),
    stop=st.builds(StopPolicy, timeout_secs=_SECS, kill_secs=_SECS),
)


@given(_CONFIGS)
def test_parse_engine_config_reads_what_was_written(config: EngineConfig) -> None:
    assert parse_engine_config(msgspec.to_builtins(config)) == config
    assert parse_engine_config(msgspec.json.decode(msgspec.json.encode(config))) == config
    assert find_changes(config, config) == []


@given(_CONFIGS, _CONFIGS)
def test_find_changes_is_empty_only_where_nothing_differs(before: EngineConfig, after: EngineConfig) -> None:
    is_same = msgspec.json.encode(before, order="sorted") == msgspec.json.encode(after, order="sorted")
    changes = find_changes(before, after)
    assert (changes == []) == is_same
    back = find_changes(after, before)
    assert sorted((c.field, repr(c.before), repr(c.after)) for c in changes) == sorted(
        (c.field, repr(c.after), repr(c.before)) for c in back
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("node.a.b", 1, 2)]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("node.a.1", 2, 3), ("node.a.2", None, 4)]),
        ({"a": {"b": 1}}, {"a.b": 1}, [("node.a.b", 1, None), ('node."a.b"', None, 1)]),
        ({"a": [7]}, {"a": {"0": 7}}, [("node.a.0", 7, None), ('node.a."0"', None, 7)]),
        ({"a": True}, {"a": 1}, [("node.a", True, 1)]),
        ({"a": None}, {}, [("node.a", None, None)]),
        ({"a": {"b": 1}}, {"a": {}}, [("node.a.b", 1, None)]),
        ({"a": {}}, {"c": 2}, [("node.a", {}, None), ("node.c", None, 2)]),
        ({"a": {}}, {"a": []}, [("node.a", {}, [])]),
    ],
)
def test_find_changes_names_each_place(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    changes = find_changes(EngineConfig(node=before), EngineConfig(node=after))
    assert [(c.field, c.before, c.after) for c in changes] == expected
    assert all(type(c.after) is type(after) for c, (_, _, after) in zip(changes, expected, strict=True))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([], ""),
        ({"enviroment": "LIVE"}, ""),
        ({"environment": "PAPER"}, "environment"),
        ({"restart": {"most": -1}}, "restart.most"),
        ({"restart": {"window_secs": 0}}, "restart.window_secs"),
        ({"restart": {"window_secs": math.inf}}, "restart.window_secs"),
        ({"restart": {"backoff_secs": math.nan}}, "restart.backoff_secs"),
        ({"stop": {"kill_secs": "10"}}, "stop.kill_secs"),
        ({"stop": {"kil_secs": 10}}, "stop"),
        ({"node": []}, "node"),
        ({"emergency": {"action": "SELL"}}, "emergency.action"),
    ],
)
def test_parse_engine_config_that_is_none_names_the_place(values: object, field: str) -> None:
    with pytest.raises(ConfigError, match="no configuration of an engine") as caught:
        parse_engine_config(values)
    assert caught.value.field == field


@given(_JSON)
def test_parse_engine_config_of_anything_is_a_config_or_a_clear_error(values: Any) -> None:
    try:
        found = parse_engine_config(values)
    except ConfigError as e:
        assert e.message
    else:
        assert found == EngineConfig()
