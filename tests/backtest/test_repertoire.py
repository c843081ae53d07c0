"""Which strategies there are to choose from, read without being run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backtest.tiny import MARKER, build_catalog, tiny_config
from workbench.backtest.capture import SourceModule
from workbench.backtest.preparation import describe_strategy
from workbench.backtest.repertoire import find_workspace_file, list_strategies
from workbench.backtest.sources import build_strategy_config
from workbench.errors import NotFoundError
from workbench.jobs.control import Control

CONTROL = Control(lambda _: None)
TRAP = '''
raise SystemExit("this must not be run")
from nautilus_trader.trading import strategy


class TrapConfig: ...


class Base(strategy.Strategy):
    pass


class Trap(Base):
    """
    Says what
    it does.

    And more.
    """


class Lonely(Base):
    """Has no configuration."""


class Other:
    pass


class OtherConfig: ...
'''


def found(strategies: Path, runs: Path) -> list[dict[str, str]]:
    items: list[dict[str, str]] = list_strategies(
        {"strategies": str(strategies), "runs": str(runs)}, CONTROL
    )["items"]
    return items


def test_examples_of_nautilus_are_offered_with_their_configurations(tmp_path: Path) -> None:
    items = {item["path"]: item for item in found(tmp_path / "no", tmp_path / "none")}
    item = items["nautilus_trader.examples.strategies.ema_cross:EMACross"]
    assert item["config_path"] == "nautilus_trader.examples.strategies.ema_cross:EMACrossConfig"
    assert (item["name"], item["origin"], item["used_by"]) == ("EMACross", "nautilus", "")
    assert item["doc"] == "A simple moving average cross example strategy."
    assert "nautilus_trader.examples.strategies.market_maker:MarketMaker" not in items
    assert len(items) > 10


@pytest.mark.parametrize("path", [i["path"] for i in found(Path("no"), Path("none"))])
def test_every_offered_example_can_be_described(path: str, runs: Path) -> None:
    described = describe_strategy({"path": path, "runs": str(runs)}, CONTROL)
    assert described["strategy_path"] == path
    assert described["sources"] == {}


def test_file_of_the_workspace_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "trap.py").write_text(TRAP)
    (tmp_path / "broken.py").write_text("class Half(Strategy")
    mine = [item for item in found(tmp_path, tmp_path / "none") if item["origin"] == "workspace"]
    assert mine == [
        {
            "path": "trap.py:Trap",
            "name": "Trap",
            "config_path": "trap.py:TrapConfig",
            "doc": "Says what it does.",
            "origin": "workspace",
            "used_by": "",
        }
    ]


def test_captured_strategy_is_offered_once_with_its_latest_run(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    catalog = build_catalog(tmp_path / "catalog")
    file = tmp_path / "marker.py"
    file.write_text(MARKER)
    strategy = build_strategy_config(f"{file}:Marker", {"every": 3}, runs=runs)
    (module,) = (runs / "_strategies").glob("*.py")
    for name in ("20240101-000000-aaaaaa", "20240102-000000-bbbbbb"):
        (runs / name / "strategies").mkdir(parents=True)
        (runs / name / "strategies" / module.name).write_text(MARKER)
        (runs / name / "config.json").write_bytes(tiny_config(catalog, strategy).json())
    (runs / "20240103-000000-cccccc" / "strategies").mkdir(parents=True)
    module.unlink()

    (item,) = [item for item in found(tmp_path / "no", runs) if item["origin"] == "captured"]

    assert (item["path"], item["name"]) == (strategy.strategy_path, "Marker")
    assert item["used_by"] == "20240102-000000-bbbbbb"
    described = describe_strategy({"path": item["path"], "runs": str(runs)}, CONTROL)
    assert described["config_path"] == item["config_path"] == strategy.config_path
    assert described["sources"] == {module.stem: MARKER}
    assert module.read_text() == MARKER


def test_workspace_file_is_described_by_its_name_alone(tmp_path: Path, runs: Path) -> None:
    (tmp_path / "mine.py").write_text(MARKER)
    wish = {"path": "mine.py:Marker", "runs": str(runs), "strategies": str(tmp_path)}
    name = SourceModule.from_text(MARKER).name
    described = describe_strategy(wish, CONTROL)
    assert described["strategy_path"] == f"{name}:Marker"
    assert described["sources"] == {name: MARKER}
    for path in ("other.py", "../mine.py", str(tmp_path / "mine.py")):
        with pytest.raises(NotFoundError, match=r"mine\.py"):
            find_workspace_file(tmp_path, path)


def test_strategy_whose_source_is_sent_is_described(runs: Path) -> None:
    module = SourceModule.from_text(MARKER)
    wish = {"path": f"{module.name}:Marker", "sources": {module.name: MARKER}, "runs": str(runs)}
    described = describe_strategy(wish, CONTROL)
    assert described["schema"]["$defs"]["MarkerConfig"]["properties"]["every"]["default"] == 50
    with pytest.raises(NotFoundError) as caught:
        describe_strategy({"path": "workbench_strategy_0000000000000000:A", "runs": str(runs)}, CONTROL)
    assert caught.value.field == "path"
