"""What the server has done in a child: runs are checked, strategies described, prices read."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig

from tests.backtest.tiny import (
    ASK,
    BID,
    LAST,
    MARKER,
    NAME,
    ROWS,
    START,
    add_bars,
    add_ticks,
    build_catalog,
    entry,
    prices,
    tiny_config,
)
from workbench.backtest.capture import SourceModule
from workbench.backtest.configuration import build_fill_model
from workbench.backtest.preparation import describe_strategy, load_prices, prepare
from workbench.backtest.sources import build_strategy_config, sources_path
from workbench.errors import ConfigError, InputError, NotFoundError
from workbench.jobs.control import Control
from workbench.jobs.failures import build_error
from workbench.jobs.worker import Worker

CONTROL = Control(lambda _: None)
EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_catalog(tmp_path_factory.mktemp("preparation") / "catalog")
    times = pd.date_range(START, periods=20, freq="s", name="timestamp")
    bids = [Decimal("1.50000") + Decimal(i % 7) / 100_000 for i in range(20)]
    asks = [bid + Decimal("0.00003") for bid in bids]
    add_ticks(path, "quotes", pd.DataFrame({"bid": bids, "ask": asks}, index=times, dtype=object))
    return path


@pytest.fixture
def wish(catalog: Path, runs: Path) -> dict[str, Any]:
    """Return the wish for a run of a captured strategy, with its source beside it."""
    module = SourceModule.from_text(MARKER)
    strategy = {
        "strategy_path": f"{module.name}:Marker",
        "config_path": f"{module.name}:MarkerConfig",
        "config": {"every": 7},
    }
    config = json.loads(tiny_config(catalog).json())
    config["engine"]["strategies"] = [strategy]
    return {"config": config, "sources": {module.name: module.text}, "runs": str(runs)}


def test_prepared_run_is_what_its_job_is_made_of(wish: dict[str, Any], runs: Path) -> None:
    wish |= {"name": "mine", "limits": {"stall_secs": 5.0}, "search_path": ["/no/where"]}
    found = prepare(wish, CONTROL)
    (name,) = wish["sources"]
    assert found["files"][f"strategies/{name}.py"] == MARKER
    assert json.loads(found["files"]["config.json"]) == found["spec"].pop("config")
    assert found["spec"] == {"name": "mine", "search_path": ["/no/where"], "limits": {"stall_secs": 5.0}}
    assert (found["rows"], found["lineage"], found["dataset"]) == (2 * ROWS, "Marker", f"{ASK},{BID}")
    preview = found["preview"]
    assert preview["start"] == "2012-02-01T00:01:00.000000000Z"
    assert preview["end"] == "2012-02-01T04:00:00.000000000Z"
    assert (preview["rows"], preview["chunk_size"], preview["instruments"]) == (2 * ROWS, None, [NAME])
    assert preview["warnings"] == [
        "the venue SIM has no fill model: every limit order that is touched is filled, and nothing slips"
    ]
    assert [p.name for p in runs.iterdir()] == ["_strategies"]
    msgspec.msgpack.encode(found)


def test_prepared_run_as_text_with_overrides_is_the_one_with_these_values(wish: dict[str, Any]) -> None:
    path = "engine.strategies.0.config.every"
    wish["config"] = json.dumps(wish["config"])
    found = prepare({**wish, "overrides": {path: 9, "chunk_size": 50}}, CONTROL)
    assert found["spec"]["config"]["engine"]["strategies"][0]["config"] == {"every": 9}
    assert found["preview"]["chunk_size"] == 50


def test_prepared_run_of_a_strategy_file_has_it_captured(wish: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MARKER)
    strategy = wish["config"]["engine"]["strategies"][0]
    strategy |= {"strategy_path": f"{file}:Marker", "config_path": f"{file}:MarkerConfig"}
    found = prepare({**wish, "sources": {}}, CONTROL)
    (name,) = wish["sources"]
    assert f"strategies/{name}.py" in found["files"]
    assert found["spec"]["config"]["engine"]["strategies"][0]["strategy_path"] == f"{name}:Marker"


def test_wish_with_storage_options_is_refused_for_they_may_be_secret(wish: dict[str, Any]) -> None:
    overrides = {"data.0.catalog_fs_storage_options": {"key": "secret"}}

    with pytest.raises(ConfigError) as caught:
        prepare({**wish, "overrides": overrides}, CONTROL)

    assert caught.value.field == "data.0.catalog_fs_storage_options"
    assert "fsspec" in caught.value.advice


def test_prepared_run_that_is_odd_says_so(wish: dict[str, Any], catalog: Path) -> None:
    venue = wish["config"]["venues"][0]
    venue["fill_model"] = json.loads(build_fill_model().json())
    config = {"instrument_id": "EUR/USD.SIM", "bar_type": BID.replace("1-MIN", "5-MIN"), "trade_size": "1"}
    strategies = [{"strategy_path": EMA, "config_path": f"{EMA}Config", "config": config}]
    wish["config"]["engine"]["strategies"] = strategies
    found = prepare(wish, CONTROL)["preview"]["warnings"]
    assert found == [
        f"{EMA} trades EUR/USD.SIM, of which the run has no data",
        f"{EMA} listens to {config['bar_type']}, which the run does not have",
    ]
    wish["config"]["engine"]["strategies"] = []
    assert "names no strategy" in prepare(wish, CONTROL)["preview"]["warnings"][0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"config": "{"}, "config"),
        ({"config": "[]"}, "config"),
        ({"config": 7}, "config"),
        ({"name": 7}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"nothing": 1}, "nothing"),
        ({"overrides": {"engine.nothing.x": 1}}, "engine.nothing.x"),
        *(
            ({"overrides": {path: value}}, path)
            for path, value in {
                "venues.0.oms_type": "NOPE",
                "venues.0.starting_balances.0": "-1 USD",
                "venues.0.default_leverage": 0.5,
                "data.0.catalog_path": "",
                "data.0.filter_expr": "field('nothing') > 1",
                "data.0.data_cls": "decimal:Decimal",
                "engine.strategies.0.config.every": "often",
                "chunk_size": -1,
                "start": "1960-01-01",
                "end": "2011-01-01",
            }.items()
        ),
        (
            {"sources": {"workbench_strategy_0000000000000000": "x"}},
            "sources.workbench_strategy_0000000000000000",
        ),
        ({"search_path": "here"}, "search_path"),
        ({"limits": {"patience": 1}}, "limits.patience"),
        ({"limits": {"stall_secs": "long"}}, "limits.stall_secs"),
        ({"limits": {"memory_bytes": 0}}, "limits.memory_bytes"),
        ({"limits": {"cancel_secs": float("nan")}}, "limits.cancel_secs"),
    ],
)
def test_wish_that_is_wrong_is_refused_with_its_field(
    wish: dict[str, Any], runs: Path, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        prepare({**wish, **change}, CONTROL)
    assert caught.value.field == field
    assert not runs.exists() or [p.name for p in runs.iterdir()] == ["_strategies"]


CUSTOM = (
    MARKER
    + """
import pyarrow as pa
from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass


@customdataclass
class Mood(Data):
    value: float = 0.0
"""
)


def test_strategy_that_registers_data_types_is_prepared_again_and_again(
    wish: dict[str, Any], worker: Worker
) -> None:
    module = SourceModule.from_text(CUSTOM)
    text = json.dumps(wish["config"])
    for name in wish["sources"]:
        text = text.replace(name, module.name)
    pids = set()
    for _ in range(3):
        outcome = worker.run(
            "workbench.backtest.preparation:prepare",
            {**wish, "config": text, "sources": {module.name: module.text}},
        )
        assert outcome.failure is None
        pids.add(worker.pid)
    assert len(pids) == 3  # Nautilus takes a type once a process


def test_strategy_is_described_with_its_schema_and_the_words_of_its_docstrings(runs: Path) -> None:
    found = describe_strategy({"path": EMA, "runs": str(runs)}, CONTROL)
    assert (found["strategy_path"], found["config_path"]) == (EMA, f"{EMA}Config")
    fields = found["schema"]["$defs"]["EMACrossConfig"]["properties"]
    assert fields["fast_ema_period"]["default"] == 10
    assert found["help"]["fast_ema_period"] == "The fast EMA period."
    assert found["help"]["order_id_tag"].startswith("The unique order ID tag")  # Of the base class
    assert set(found["help"]) <= set(fields)
    assert found["doc"].startswith("A simple moving average cross example strategy.")
    msgspec.json.encode(found)


def test_strategy_of_a_file_is_described(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MARKER)
    found = describe_strategy({"path": f"{file}:Marker", "runs": str(runs)}, CONTROL)
    assert found["strategy_path"].startswith("workbench_strategy_")
    assert found["help"].keys().isdisjoint({"mark", "every"})
    assert found["doc"] == ""
    again = describe_strategy({"path": found["strategy_path"], "runs": str(runs)}, CONTROL)
    assert again == found


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "nonsense"}, "path"),
        ({"path": "no.where:A"}, "strategy_path"),
        ({"path": "decimal:Decimal", "config_path": f"{EMA}Config"}, "strategy_path"),
        ({"path": EMA, "config_path": "decimal:Decimal"}, "config_path"),
        ({"path": "/no/file.py:A"}, "path"),
        ({}, "path"),
    ],
)
def test_strategy_that_is_none_is_refused_with_its_field(
    runs: Path, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        describe_strategy({"runs": str(runs), **change}, CONTROL)
    assert caught.value.field == field


@pytest.fixture
def run_path(catalog: Path, tmp_path: Path) -> Callable[..., str]:
    def write(*data: BacktestDataConfig) -> str:
        (tmp_path / "config.json").write_bytes(tiny_config(catalog, data=list(data)).json())
        return str(tmp_path)

    return write


def test_prices_are_exact_text_with_every_extreme(catalog: Path, run_path: Callable[..., str]) -> None:
    path = run_path(entry(catalog))
    whole = load_prices({"path": path, "instrument_id": NAME}, CONTROL)
    frame = prices()
    assert (whole["identifier"], whole["total"]) == (BID, ROWS)
    assert whole["columns"]["close"] == [f"{v:.5f}" for v in frame["close"]]
    assert whole["columns"]["ts"][0] == "2012-02-01T00:01:00.000000000Z"
    thin = load_prices({"path": path, "instrument_id": NAME, "points": 10}, CONTROL)
    columns = thin["columns"]
    assert len(columns["ts"]) <= 10
    assert thin["total"] == ROWS
    assert whole["columns"]["volume"] == ["1000000"] * ROWS
    assert sum(int(v) for v in columns["volume"]) == ROWS * 1_000_000
    assert whole["volume_is_traded"] is False
    assert (columns["open"][0], columns["close"][-1]) == (
        whole["columns"]["open"][0],
        whole["columns"]["close"][-1],
    )
    assert columns["ts"][-1] == whole["columns"]["ts"][-1]
    assert max(columns["high"]) == max(whole["columns"]["high"])
    assert min(columns["low"]) == min(whole["columns"]["low"])


def test_prices_of_a_part_of_another_bar_type(catalog: Path, run_path: Callable[..., str]) -> None:
    part = {"start": "2012-02-01T00:10:00Z", "end": "2012-02-01T00:12:00Z", "bar_type": ASK}
    found = load_prices({"path": run_path(entry(catalog)), "instrument_id": NAME, **part}, CONTROL)
    assert (found["identifier"], found["total"]) == (ASK, 3)
    assert found["columns"]["open"] == [f"{v:.5f}" for v in prices(shift="0.00010")["open"].iloc[9:12]]
    nothing = load_prices(
        {"path": run_path(entry(catalog)), "instrument_id": NAME, "start": "2013-01-01"}, CONTROL
    )
    assert (nothing["total"], nothing["columns"]["ts"]) == (0, [])


def test_prices_of_quotes_are_their_middle_with_one_decimal_more(
    catalog: Path, run_path: Callable[..., str]
) -> None:
    quotes = BacktestDataConfig(
        catalog_path=str(catalog), data_cls="nautilus_trader.model.data:QuoteTick", instrument_ids=[NAME]
    )
    found = load_prices({"path": run_path(quotes), "instrument_id": NAME}, CONTROL)
    assert found["identifier"] == NAME
    assert found["columns"]["close"][:3] == ["1.500015", "1.500025", "1.500035"]
    assert "volume" not in found["columns"]
    assert found["volume_is_traded"] is False


def test_volume_of_last_bars_is_exact_text(tmp_path: Path, run_path: Callable[..., str]) -> None:
    frame = prices()
    frame["volume"] = [34_028_236_691_000 + i for i in range(ROWS)]
    add_bars(tmp_path / "last", frame, "LAST")
    wish = {"path": run_path(entry(tmp_path / "last", LAST)), "instrument_id": NAME, "points": 1}
    found = load_prices(wish, CONTROL)
    assert found["columns"]["volume"] == [str(sum(frame["volume"]))]
    assert found["volume_is_traded"] is True
    json.dumps(found)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"instrument_id": "EUR/USD.SIM"}, "instrument_id"),
        ({"bar_type": BID.replace("1-MIN", "5-MIN")}, "bar_type"),
        ({"points": 0}, "points"),
        ({"start": "soon"}, "start"),
    ],
)
def test_prices_that_the_run_does_not_have_are_refused(
    catalog: Path, run_path: Callable[..., str], change: dict[str, Any], field: str
) -> None:
    wish = {"path": run_path(entry(catalog)), "instrument_id": NAME, **change}
    with pytest.raises(InputError) as caught:
        load_prices(wish, CONTROL)
    assert caught.value.field == field


def test_refusal_comes_out_of_the_child_as_the_error_that_it_was(
    wish: dict[str, Any], worker: Worker
) -> None:
    wish["config"]["data"][0]["catalog_path"] = "/no/where"
    outcome = worker.run("workbench.backtest.preparation:prepare", wish)
    assert outcome.failure is not None
    error = build_error(outcome.failure)
    assert isinstance(error, NotFoundError)
    assert (error.field, error.advice) == ("data.0.catalog_path", "import data with `workbench data import`")


def test_source_that_was_changed_on_disk_is_put_right(wish: dict[str, Any], runs: Path) -> None:
    ((name, text),) = wish["sources"].items()
    file = sources_path(runs) / f"{name}.py"
    file.parent.mkdir(parents=True)
    file.write_text("broken")
    assert prepare(wish, CONTROL)["files"][f"strategies/{name}.py"] == text
    file.write_text(text + "\n# changed")
    with pytest.raises(ConfigError, match="changed after it was captured"):
        prepare({**wish, "sources": {}}, CONTROL)


def test_strategy_is_found_on_the_search_path(wish: dict[str, Any], tmp_path: Path, worker: Worker) -> None:
    place = tmp_path / "modules"
    place.mkdir()
    (place / "found_by_search.py").write_text(MARKER)
    strategy = wish["config"]["engine"]["strategies"][0]
    strategy |= {"strategy_path": "found_by_search:Marker", "config_path": "found_by_search:MarkerConfig"}
    task = "workbench.backtest.preparation:prepare"
    outcome = worker.run(task, {**wish, "search_path": [str(place)]})
    assert outcome.failure is None
    assert outcome.result["lineage"] == "found_by_search:Marker"
    refused = worker.run(task, wish).failure
    assert refused is not None
    assert build_error(refused).field == "engine.strategies.0.strategy_path"


def test_built_strategy_config_is_refused_with_its_field(runs: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build_strategy_config(EMA, {"instrument_id": NAME, "bar_type": BID, "trade_size": []}, runs=runs)
    assert caught.value.field == "config.trade_size"
