"""The edits of a form, without a server: what is read, refused, undone and put onto a later version."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine_records import CheckOutcome, ConfigCheck, ConfigVersion
from workbench.errors import ConfigError
from workbench.ui.engine_configuration_parts import add_client, add_strategy, remove_part, set_database
from workbench.ui.engine_configuration_state import EngineConfigurationState

CLIENT = {
    "path": "p:C",
    "config_path": "p:C",
    "schema": {
        "type": "object",
        "properties": {
            "speed": {"type": "number", "exclusiveMinimum": 0, "default": 1.0},
            "api_secret": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "note": {"type": "string", "default": ""},
        },
        "required": [],
    },
    "help": {},
    "doc": "",
}
SPEED, SECRET, NOTE = (f"node.data_clients.R.config.{name}" for name in ("speed", "api_secret", "note"))
CONFIG: dict[str, Any] = {
    "environment": "SANDBOX",
    "currency": "USD",
    "risk": {},
    "node": {"data_clients": {"R": {"path": "p:C", "factory": {"path": "p:F"}, "config": {}}}},
}


def build_version(number: int = 1, **changes: Any) -> ConfigVersion:
    config = {**copy.deepcopy(CONFIG), **changes}
    return ConfigVersion(version=number, at="2026-11-23T00:00:00Z", by="ann", comment="", config=config)


@pytest.fixture
def state() -> EngineConfigurationState:
    state = EngineConfigurationState("e", parts={"p:C": CLIENT})
    state.versions = [build_version()]
    state.begin(state.versions[0])
    return state


def test_edit_is_kept_apart_from_what_was_saved(state: EngineConfigurationState) -> None:
    assert not state.is_edited
    assert state.set_text(SPEED, "2.5")
    assert [e.field for e in state.edits] == [SPEED]
    assert "speed" not in str(state.saved)
    state.undo()
    assert not state.is_edited


def test_every_wrong_field_is_told_and_stays_as_typed(state: EngineConfigurationState) -> None:
    state.set_text(SPEED, "fast")
    state.set_text("currency", "us dollars")
    state.set_text("risk.max_exposure", "much")

    assert set(state.find_errors()) == {SPEED, "currency", "risk.max_exposure"}
    assert state.config is not None
    assert state.config["currency"] == "us dollars"


@pytest.mark.parametrize("text", ["hush-hush", "env:9x", "env: NAME", "keyring:x"])
def test_pasted_secret_is_neither_kept_nor_told(state: EngineConfigurationState, text: str) -> None:
    state.set_text(SECRET, "env:GOOD")
    state.set_text(SECRET, text)

    assert text not in state.write_json()
    assert text not in str(state.find_errors())
    assert "not kept" in state.find_errors()[SECRET]
    state.set_text(SECRET, "env:BETTER")
    assert state.find_errors() == {}
    assert "env:BETTER" in state.write_json()


def test_secret_in_a_plain_field_is_refused_too(state: EngineConfigurationState) -> None:
    state.set_text(NOTE, "redis://me:hush@host")

    assert "hush" not in state.write_json()
    assert NOTE in state.find_errors()


def test_secret_in_loaded_json_is_taken_out_and_told_at_its_field(state: EngineConfigurationState) -> None:
    config = copy.deepcopy(CONFIG)
    config["node"]["data_clients"]["R"]["config"]["api_secret"] = "hush"
    state.load(config)

    assert "hush" not in state.write_json()
    assert list(state.find_errors()) == [SECRET]


def test_secret_of_a_part_that_is_taken_out_is_told_no_longer(state: EngineConfigurationState) -> None:
    state.set_text(SECRET, "hush-hush")
    state.change(lambda config: remove_part(config, "node.data_clients.R"))

    assert state.find_errors() == {}


def test_secret_where_no_field_is_known_is_told_with_its_place(state: EngineConfigurationState) -> None:
    state.load({"node": {"exec_clients": {"B": {"config": {"api_key": "hush"}}}}})

    assert "node.exec_clients.B.config.api_key" in state.find_errors()[""]
    assert "hush" not in str(state.find_errors())


def test_limit_of_an_instrument_is_set_and_taken_out(state: EngineConfigurationState) -> None:
    state.load({**CONFIG, "risk": {"max_position": {"GBP/USD.SIM": "5"}}})
    state.set_text("risk.max_position.GBP/USD.SIM", "7,000")
    assert state.config is not None
    assert state.config["risk"] == {"max_position": {"GBP/USD.SIM": "7000"}}
    state.set_text("risk.max_position.GBP/USD.SIM", "")
    assert state.config["risk"] == {}


def test_refusal_stands_at_its_field_until_that_changes(state: EngineConfigurationState) -> None:
    first = ConfigError("too fast", field=SPEED)
    others = [
        ConfigError("no factory", field="node.data_clients.R.factory"),
        ConfigError("odd", field="node.x"),
    ]
    state.take_refusal(ConfigError("too fast", errors=[first, *others]))

    assert state.find_errors() == {
        SPEED: "too fast",
        "node.data_clients.R": "no factory",
        "": "node.x: odd",
    }
    state.set_text(SPEED, "3")
    assert SPEED not in state.find_errors()


def test_check_of_something_else_is_old(state: EngineConfigurationState) -> None:
    wrong = ConfigCheck(subject="adapter", outcome=CheckOutcome.WRONG, message="no", field=SPEED)
    state.take_checks([wrong], copy.deepcopy(CONFIG))
    assert state.is_checked
    assert SPEED in state.find_errors()
    state.set_text(SPEED, "4")
    assert not state.is_checked


def test_edits_are_put_onto_what_somebody_else_saved(state: EngineConfigurationState) -> None:
    state.set_text(SPEED, "2")
    state.set_text("currency", "GBP")
    clashes = state.take_theirs(build_version(2, currency="EUR", risk={"max_exposure": "5"}))

    assert clashes == ["currency"]
    assert state.base_version == 2
    assert {e.field for e in state.edits} == {SPEED, "currency"}
    assert state.config is not None
    assert state.config["risk"] == {"max_exposure": "5"}
    state.undo()
    assert {e.field for e in state.edits} >= {SPEED}


def test_parts_are_added_and_taken_out(state: EngineConfigurationState) -> None:
    state.change(lambda config: add_client(config, "data_clients", "R", "p:C", "p:F"))
    part = {"path": "s:S", "config_path": "s:C"}
    state.change(lambda config: add_strategy(config, part))
    state.change(lambda config: add_strategy(config, part))
    state.change(lambda config: remove_part(config, "node.strategies.0"))
    state.change(lambda config: add_strategy(config, part))
    state.change(lambda config: set_database(config, is_kept=True))

    node = (state.config or {})["node"]
    assert list(node["data_clients"]) == ["R", "R_2"]
    assert [s["config"]["order_id_tag"] for s in node["strategies"]] == ["002", "003"]
    assert state.has_database
    for _ in range(6):
        state.undo()
    assert not state.is_edited


@given(
    st.lists(st.tuples(st.sampled_from([SPEED, NOTE, "currency", "risk.max_exposure"]), st.text(max_size=8)))
)
def test_any_edits_are_undone_to_what_was_saved(edits: list[tuple[str, str]]) -> None:
    state = EngineConfigurationState("e", parts={"p:C": CLIENT})
    state.begin(build_version())
    for path, text in edits:
        state.set_text(path, text)
        state.find_errors()
    while state.can_undo:
        state.undo()

    assert state.config == CONFIG
