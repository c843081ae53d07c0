"""The configuration of an engine over HTTP: versions, what differs, and what it takes to write one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.engine_hosts import LIVE, SANDBOX, Host, build_engine, hosting
from tests.api.serving import Serving
from tests.api.test_engines import clean, read_confirmation, runtime
from tests.api.test_problems import check
from workbench.live.presets import PRESETS

__all__ = ["clean", "runtime"]


def put(
    shared: Serving, config: Any, *, name: str = "default", user: str = "trader", **more: Any
) -> httpx.Response:
    return shared.request("PUT", f"/engines/{name}/config", user=user, json={"config": config, **more})


@pytest.fixture
def host(shared: Serving, runtime: Path) -> Iterator[Host]:
    with hosting(shared.settings.engines, runtime, config=LIVE) as host:
        yield host


def test_first_configuration_makes_the_engine(shared: Serving) -> None:
    response = put(shared, SANDBOX, name="mine", comment="to begin with")

    assert response.status_code == 201
    found = shared.get("/engines/mine/config", user="viewer").json()
    assert (found["version"], found["by"], found["comment"]) == (1, "trader", "to begin with")
    assert found["config"]["risk"] == {"max_exposure": "100000"}
    assert [one["name"] for one in shared.get("/engines").json()["items"]] == ["mine"]


def test_versions_are_kept_and_compared(shared: Serving) -> None:
    put(shared, SANDBOX)
    put(shared, {**SANDBOX, "currency": "EUR"})
    put(shared, {**SANDBOX, "currency": "EUR", "risk": {"max_exposure": "50000"}})

    versions = shared.get("/engine/config/versions").json()["items"]
    assert [one["version"] for one in versions] == [3, 2, 1]
    assert shared.get("/engine/config?version=1").json()["config"]["currency"] == "USD"
    check(shared.get("/engine/config?version=4"), 404, "not_found")
    last = shared.get("/engine/config/diff").json()
    assert (last["before"], last["after"], last["raised"]) == (2, 3, [])
    assert last["changes"] == [{"field": "risk.max_exposure", "before": "100000", "after": "50000"}]
    back = shared.get("/engine/config/diff?before=3&after=1").json()
    assert [c["field"] for c in back["changes"]] == ["risk.max_exposure", "currency"]
    assert [c["field"] for c in back["raised"]] == ["risk.max_exposure"]


def test_raised_limit_takes_two_calls_in_the_sandbox_too(shared: Serving) -> None:
    put(shared, SANDBOX)
    wish = {**SANDBOX, "risk": {"max_exposure": "200000"}}

    error = read_confirmation(put(shared, wish))
    assert error.risks["word"] == "y"
    assert error.risks["changes"] == [{"field": "risk.max_exposure", "before": "100000", "after": "200000"}]
    more = {**SANDBOX, "risk": {"max_exposure": "300000"}}
    read_confirmation(put(shared, more, confirm_token=error.confirm_token))
    assert put(shared, wish, confirm_token=error.confirm_token).status_code == 201


def test_live_configuration_takes_two_calls_and_lower_limits_one(shared: Serving, host: Host) -> None:
    error = read_confirmation(put(shared, {**LIVE, "currency": "EUR"}))
    assert error.risks["word"] == "LIVE"
    assert [one["client_order_id"] for one in error.risks["orders"]] == ["O-1"]
    assert put(shared, {**LIVE, "risk": {"max_exposure": "1"}}).status_code == 201
    # The version that it was made from is part of what is confirmed.
    read_confirmation(put(shared, {**LIVE, "currency": "EUR"}, confirm_token=error.confirm_token))


def test_first_live_configuration_takes_two_calls(shared: Serving) -> None:
    error = read_confirmation(put(shared, LIVE))

    assert any("becomes LIVE" in line for line in error.risks["lines"])
    assert shared.get("/engines").json()["items"] == []
    assert put(shared, LIVE, confirm_token=error.confirm_token).status_code == 201


def test_configuration_made_from_an_old_version_is_refused(shared: Serving) -> None:
    assert put(shared, SANDBOX, base_version=0).status_code == 201
    put(shared, {**SANDBOX, "currency": "EUR"}, base_version=1)

    problem = check(put(shared, {**SANDBOX, "currency": "GBP"}, base_version=1), 409, "conflict")
    assert problem["field"] == "base_version"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "PAPER"}, "environment"),
        ({"colour": "red"}, ""),
        ({"risk": {"max_luck": "1"}}, "risk.max_luck"),
        ({"risk": {"max_exposure": "much"}}, "risk.max_exposure"),
        ({"risk": {"max_position": 7}}, "risk.max_position"),
        ({"currency": "us dollars"}, "currency"),
        ({"restart": {"most": -1}}, "restart.most"),
        (
            {"node": {"exec_clients": {"B": {"config": {"api_secret": "hush"}}}}},
            "node.exec_clients.B.config.api_secret",
        ),
        ({"node": {"strategies": [{"strategy_path": "no path: here"}]}}, "node.strategies.0.strategy_path"),
    ],
    ids=str,
)
def test_wrong_configuration_is_refused_at_its_field(
    shared: Serving, change: dict[str, Any], field: str
) -> None:
    response = put(shared, {**SANDBOX, **change})

    problem = check(response, 422, "config_invalid")
    assert problem.get("field", "") == field
    assert "hush" not in response.text
    assert shared.get("/engines").json()["items"] == []


def test_every_fault_is_told(shared: Serving) -> None:
    wrong = {"currency": "?", "risk": {"max_luck": "1", "max_exposure": "much"}}

    problem = check(put(shared, wrong), 422, "config_invalid")

    assert [e["field"] for e in problem["errors"]] == ["risk.max_luck", "risk.max_exposure", "currency"]


@pytest.mark.parametrize("user", ["viewer", "researcher", "approver"])
def test_configuration_is_written_by_traders_only(shared: Serving, user: str) -> None:
    check(put(shared, SANDBOX, user=user), 403, "forbidden")
    build_engine(shared.settings.engines)
    assert shared.get("/engine/config", user=user).status_code == 200


WRONG: dict[str, Any] = {
    **SANDBOX,
    "node": {
        "data_clients": {
            "REPLAY": {
                "path": "workbench.live.replay_config:ReplayDataClientConfig",
                "factory": {"path": "workbench.live.replay:ReplayDataClientFactory"},
                "config": {"catalog_path": "/nowhere", "venues": ["SIM"], "speed": -1, "colour": "red"},
            }
        },
        "strategies": [{"strategy_path": "no.such:Thing", "config_path": "no.such:Config"}],
    },
}


def test_configuration_is_tried_before_it_is_kept(shared: Serving) -> None:
    replay = "node.data_clients.REPLAY.config"
    problem = check(put(shared, WRONG), 422, "config_invalid")

    fields = [f"{replay}.speed", f"{replay}.colour", "node.strategies.0.strategy_path"]
    assert [e["field"] for e in problem["errors"]] == fields
    found = shared.post("/engine/config/check", user="trader", json={"config": WRONG}).json()["items"]
    assert [one["field"] for one in found if one["outcome"] == "WRONG"] == fields
    assert shared.get("/engines").json()["items"] == []
    check(shared.post("/engine/config/check", user="viewer", json={"config": SANDBOX}), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "words"),
    [("import os\nos.abort()\n", "ends the process"), ("while True:\n    pass\n", "holds it up")],
    ids=["abort", "hang"],
)
def test_code_that_ends_or_blocks_its_process_costs_only_the_check(
    shared: Serving, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    # The child has nautilus by now: what it takes then is the code's own time.
    assert shared.post("/engine/config/check", user="trader", json={"config": WRONG}).status_code == 200
    monkeypatch.setattr("workbench.api.engine_trials._TRIAL_SECS", 3.0)
    folder = shared.settings.runs / "_strategies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "deadly.py").write_text(body)
    strategies = [{"strategy_path": "deadly:Thing", "config_path": "deadly:Config"}]
    try:
        problem = check(put(shared, {**SANDBOX, "node": {"strategies": strategies}}), 422, "config_invalid")
    finally:
        (folder / "deadly.py").unlink()
    assert words in problem["detail"], problem
    assert problem["field"] == "node.strategies.0"
    assert put(shared, SANDBOX).status_code == 201


def test_adapters_are_listed_and_described(shared: Serving) -> None:
    found = shared.get("/engine-adapters", user="viewer").json()["items"]
    replay = next(one for one in found if one["name"] == "REPLAY")
    assert replay["trial"] == "tested"

    part = shared.get(f"/engine-parts/{replay['path']}/schema", user="trader").json()
    assert part["schema"]["required"] == ["catalog_path", "venues"]
    assert "catalog" in part["help"]["catalog_path"]
    strategy = "nautilus_trader.examples.strategies.ema_cross:EMACross"
    part = shared.get(f"/engine-parts/{strategy}/schema?kind=strategy", user="trader").json()
    assert part["config_path"] == f"{strategy}Config"
    check(shared.get("/engine-parts/no.such:Thing/schema", user="trader"), 404, "not_found")
    check(shared.get(f"/engine-parts/{replay['path']}/schema", user="viewer"), 403, "forbidden")


def test_presets_are_listed_and_made(shared: Serving) -> None:
    found = shared.get("/engine-presets", user="viewer").json()["items"]
    assert [one["name"] for one in found] == [preset.name for preset in PRESETS]

    parameters = {"catalog_path": "/data/catalog", "venue": "SIM"}
    made = shared.post("/engine-presets/sandbox-replay", user="trader", json={"parameters": parameters})
    assert put(shared, made.json()["config"]).status_code == 201
    problem = check(shared.post("/engine-presets/sandbox-replay", user="trader"), 422, "config_invalid")
    assert [e["field"] for e in problem["errors"]] == ["catalog_path", "venue"]
    check(shared.post("/engine-presets/nothing", user="trader"), 404, "not_found")
