"""Differences of configurations, edits of two people put together, and secrets taken out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.engine_configuration_edits import find_edits, merge_edits, take_out_secrets
from workbench.ui.places import MISSING

names = st.sampled_from(["a", "b", "c"])
leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "y"])
configs = st.dictionaries(
    names,
    st.recursive(
        leaves, lambda inner: st.dictionaries(names, inner) | st.lists(inner, max_size=2), max_leaves=6
    ),
)


def test_edit_names_its_place() -> None:
    before = {"risk": {"max": "5"}, "list": [{"a": 1}], "gone": True}
    after = {"risk": {"max": "6"}, "list": [{"a": 2}], "new": {"b": {"c": 1}}}

    found = {e.field: (e.before, e.after) for e in find_edits(before, after)}

    assert found == {
        "risk.max": ("5", "6"),
        "list.0.a": (1, 2),
        "gone": (True, MISSING),
        "new.b.c": (MISSING, 1),
    }


def test_true_is_not_one() -> None:
    assert [e.field for e in find_edits({"a": True}, {"a": 1})] == ["a"]
    assert find_edits({"a": 1}, {"a": 1.0}) == []


@given(configs, configs)
def test_nothing_differs_only_where_both_are_the_same(one: Any, other: Any) -> None:
    is_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (find_edits(one, other) == []) == is_same


@given(configs, configs)
def test_edits_of_one_person_are_taken_as_they_are(base: Any, edited: Any) -> None:
    assert merge_edits(base, edited, base) == (edited, [])
    assert merge_edits(base, base, edited) == (edited, [])
    assert merge_edits(base, edited, edited) == (edited, [])


@given(configs, configs, configs)
def test_no_edit_of_mine_is_lost_in_a_merge(base: Any, mine: Any, theirs: Any) -> None:
    merged, clashes = merge_edits(base, mine, theirs)

    places = {e.field for e in find_edits(base, theirs)}
    for edit in find_edits(base, mine):
        touches = any(
            p == edit.field or p.startswith(f"{edit.field}.") or edit.field.startswith(f"{p}.")
            for p in places
        )
        if not touches:
            assert edit.field not in {e.field for e in find_edits(mine, merged)}, clashes
    # Without a clash mine and theirs may change places.
    if not clashes:
        assert merge_edits(base, theirs, mine)[0] == merged


def test_what_one_person_has_taken_out_is_gone() -> None:
    merged, clashes = merge_edits({"a": None, "b": 1}, {"b": 1}, {"a": None, "b": 2})

    assert (merged, clashes) == ({"b": 2}, [])


def test_both_have_changed_the_same_and_mine_stands() -> None:
    base = {"risk": {"max": "5", "loss": "1"}, "currency": "USD"}
    mine = {"risk": {"max": "7", "loss": "1"}, "currency": "USD"}
    theirs = {"risk": {"max": "6", "loss": "2"}, "currency": "EUR"}

    merged, clashes = merge_edits(base, mine, theirs)

    assert merged == {"risk": {"max": "7", "loss": "2"}, "currency": "EUR"}
    assert clashes == ["risk.max"]


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ({"api_secret": "hush"}, ["api_secret"]),
        ({"a": [{"password": "hush"}, {"password": "env:P"}]}, ["a.0.password"]),
        ({"url": "redis://me:hush@host"}, ["url"]),
        ({"pem": "-----BEGIN EC PRIVATE KEY-----"}, ["pem"]),
        ({"api_key": "keyring:b/me", "url": "https://host/hush", "password": None}, []),
    ],
)
def test_secret_in_the_clear_is_taken_out(values: Any, places: list[str]) -> None:
    kept, found = take_out_secrets(values)

    assert found == places
    assert not places or "hush" not in json.dumps(kept)
    assert places or kept == values
