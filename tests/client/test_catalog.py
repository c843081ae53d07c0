"""Datasets and strategies through the client, and the errors of a form all at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.tiny import BID, MARKER, ROWS
from tests.client.conftest import build_config
from workbench.client.client import Client
from workbench.config import Settings
from workbench.errors import ConfigError, InputError, NotFoundError

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"


def test_datasets_lead_to_their_coverage(client: Client, stocked: Settings) -> None:
    item = next(item for item in client.datasets() if item["identifier"] == BID)
    assert (item["catalog_path"], item["rows"]) == (str(stocked.catalog), ROWS)
    found = client.coverage(item, bins=6)
    assert found == client.coverage(item["id"], bins=6)
    assert (sum(found["bins"]["rows"]), found["typical_step_secs"]) == (ROWS, 60.0)
    with pytest.raises(NotFoundError):
        client.coverage("default/bars/nothing")


def test_strategies_can_be_described_by_path_file_and_class(client: Client, tmp_path: Path) -> None:
    assert EMA in [item["path"] for item in client.strategies()]
    named = client.describe_strategy(EMA)
    assert (named["strategy_path"], named["config_path"], named["sources"]) == (EMA, f"{EMA}Config", {})
    assert named == client.strategy_schema(EMA)
    from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig

    assert client.describe_strategy(EMACross, config_class=EMACrossConfig) == named
    (tmp_path / "mine.py").write_text(MARKER)
    filed = client.describe_strategy(f"{tmp_path}/mine.py:Marker")
    assert list(filed["sources"].values()) == [MARKER]
    assert client.describe_strategy(filed["strategy_path"]) == filed
    with pytest.raises(NotFoundError):
        client.describe_strategy("nothing.py:Nobody")


def test_class_of_a_notebook_is_described_and_runs(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stocked: Settings
) -> None:
    script = tmp_path / "cell.py"
    script.write_text(MARKER)
    main = sys.modules["__main__"]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(MARKER, str(script), "exec"), namespace)
    for name in ("Marker", "MarkerConfig", "StrategyConfig", "Strategy", "Bar", "BarType"):
        monkeypatch.setattr(main, name, namespace[name], raising=False)
    monkeypatch.setattr(main, "__file__", str(script), raising=False)

    described = client.describe_strategy(namespace["Marker"])

    assert described["schema"]["$defs"]["MarkerConfig"]["properties"]["every"]["default"] == 50
    plain = client_config(stocked)
    plain["engine"]["strategies"] = [
        {k: described[k] for k in ("strategy_path", "config_path")} | {"config": {"every": 5}}
    ]
    assert client.preview(plain, sources=described["sources"])["rows"] == 2 * ROWS


def test_every_wrong_field_comes_back(client: Client, stocked: Settings) -> None:
    plain = client_config(stocked)
    plain["engine"]["strategies"][0]["config"]["pause_secs"] = "long"
    plain["venues"][0]["default_leverage"] = 0.5
    plain["start"] = "soon"

    with pytest.raises(InputError) as caught:
        client.preview(plain)

    assert {e.field for e in caught.value.errors} == {
        "start",
        "venues.0.default_leverage",
        "engine.strategies.0.config.pause_secs",
    }
    assert caught.value.field == caught.value.errors[0].field
    assert all(isinstance(e, ConfigError) and e.message and e.expected for e in caught.value.errors)


def client_config(settings: Settings) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(build_config(settings).json())
    return plain
