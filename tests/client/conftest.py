"""Workspaces with a real server, detached as users have it; none outlives its test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.client.client import Client
from workbench.client.connection import connect, stop_server
from workbench.config import Settings

SLOW = """
import time

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.trading.strategy import Strategy


class SlowConfig(StrategyConfig, frozen=True):
    pause_secs: float = 0.05


class Slow(Strategy):
    def on_start(self):
        self.subscribe_bars(BarType.from_str("GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"))

    def on_bar(self, bar):
        time.sleep(self.config.pause_secs)
"""


def make_settings(workspace: Path, **changes: Any) -> Settings:
    state = workspace / ".workbench"
    values = {
        "workspace": workspace,
        "catalog": workspace / "catalogs" / "default",
        "runs": workspace / "runs",
        "engines": workspace / "engines",
        "state": state,
        "database": f"sqlite:///{state / 'records.sqlite'}",
        "token_file": state / "token",
    }
    return Settings(**{**values, **changes})


def find_processes(workspace: Path) -> list[psutil.Process]:
    """Return the processes that work for a workspace: its server, and what that has started."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("WORKBENCH_HOME") == str(workspace)
        except psutil.Error:
            continue
        if is_ours and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def end_server(settings: Settings) -> None:
    """Stop the server, and see that nothing of it is left."""
    try:
        stop_server(settings, timeout_secs=20)
        deadline = time.monotonic() + 20
        while (left := find_processes(settings.workspace)) and time.monotonic() < deadline:
            psutil.wait_procs(left, timeout=0.2)
        assert [" ".join(process.cmdline()) for process in left] == []
    finally:
        for process in find_processes(settings.workspace):
            process.kill()


def wait_until(path: Path, secs: float = 120) -> None:
    """Wait for a file."""
    deadline = time.monotonic() + secs
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Return the settings of an empty workspace."""
    settings = make_settings(tmp_path)
    yield settings
    end_server(settings)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Return the settings of a workspace with 240 minutes of prices; tests share it and its server."""
    from tests.backtest.tiny import build_catalog

    settings = make_settings(tmp_path_factory.mktemp("stocked"))
    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    yield settings
    end_server(settings)


@pytest.fixture
def client(stocked: Settings) -> Iterator[Client]:
    with connect(settings=stocked) as client:
        yield client


def build_config(settings: Settings, source: str = SLOW, **config: Any) -> Any:
    """Return the configuration of a run of a captured strategy."""
    from nautilus_trader.config import ImportableStrategyConfig

    from tests.backtest.tiny import tiny_config
    from workbench.backtest.capture import SourceModule
    from workbench.backtest.sources import sources_path

    module = SourceModule.from_text(source)
    module.write(sources_path(settings.runs))
    strategy = ImportableStrategyConfig(
        strategy_path=f"{module.name}:Slow", config_path=f"{module.name}:SlowConfig", config=config
    )
    return tiny_config(settings.catalog, strategy)
