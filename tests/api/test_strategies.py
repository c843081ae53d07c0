"""Strategies over HTTP: which there are, and what a form for one is built from."""

from __future__ import annotations

from tests.api.serving import Serving
from tests.backtest.tiny import MARKER
from workbench.backtest.capture import SourceModule

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"


def test_strategies_are_listed_and_each_can_be_described(shared: Serving) -> None:
    directory = shared.settings.workspace / "strategies"
    directory.mkdir()
    (directory / "mine.py").write_text(MARKER)

    items = shared.get("/strategies", user="viewer").json()["items"]

    assert items[0] == {
        "path": "mine.py:Marker",
        "name": "Marker",
        "config_path": "mine.py:MarkerConfig",
        "doc": "",
        "origin": "workspace",
        "used_by": "",
    }
    assert EMA in [item["path"] for item in items]
    described = shared.get("/strategies/mine.py:Marker/schema").json()
    name = SourceModule.from_text(MARKER).name
    assert described["config_path"] == f"{name}:MarkerConfig"
    assert described["sources"] == {name: MARKER}


def test_source_that_is_sent_is_described(shared: Serving) -> None:
    text = MARKER.replace("every: int = 50", "every: int = 51")
    module = SourceModule.from_text(text)
    body = {"path": f"{module.name}:Marker", "sources": {module.name: text}}

    response = shared.post("/strategies/schema", user="researcher", json=body)

    assert response.status_code == 200, response.text
    properties = response.json()["schema"]["$defs"]["MarkerConfig"]["properties"]
    assert properties["every"]["default"] == 51
    by_name = shared.post("/strategies/schema", json={**body, "config_path": "MarkerConfig"}).json()
    assert by_name == response.json()


def test_source_under_another_name_is_refused(shared: Serving) -> None:
    body = {"path": "workbench_strategy_x:Marker", "sources": {"workbench_strategy_x": MARKER}}

    response = shared.post("/strategies/schema", json=body)

    assert (response.status_code, response.json()["field"]) == (422, "sources.workbench_strategy_x")


def test_file_outside_of_the_workspace_is_not_found(shared: Serving) -> None:
    assert shared.get("/strategies/other.py:Marker/schema").status_code == 404
    assert shared.post("/strategies/schema", json={"path": "other.py:Marker"}).status_code == 404


def test_preview_names_every_wrong_parameter(shared: Serving) -> None:
    strategy = {
        "strategy_path": EMA,
        "config_path": f"{EMA}Config",
        "config": {"instrument_id": "A.B", "bar_type": "x", "trade_size": "y", "fast_ema_period": 0},
    }
    config = {"venues": [], "data": [], "engine": {"strategies": [strategy]}}

    problem = shared.post("/backtests/preview", json={"config": config})

    assert problem.status_code == 422
    errors = {e["field"]: e for e in problem.json()["errors"]}
    assert {f"engine.strategies.0.config.{n}" for n in ("bar_type", "trade_size", "fast_ema_period")} < set(
        errors
    )
    assert errors["engine.strategies.0.config.fast_ema_period"]["expected"] == "a whole number of more than 0"
    assert problem.json()["field"] == problem.json()["errors"][0]["field"] == "data"
