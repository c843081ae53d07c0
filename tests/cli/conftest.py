"""A workspace with imported data and a configuration, and the command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import end_server, make_settings

Cli = Callable[..., subprocess.CompletedProcess[str]]


def build_environment(workspace: Path) -> dict[str, str]:
    """Return an environment in which the workspace is the given one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WORKBENCH_") or k == "WORKBENCH_REQUIRE"}
    return {**kept, "WORKBENCH_HOME": str(workspace)}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an empty workspace; the server that commands have started is ended with its tests."""
    workspace = tmp_path_factory.mktemp("workspace")
    yield workspace
    end_server(make_settings(workspace))


@pytest.fixture(scope="module")
def cli(workspace: Path) -> Cli:
    """Run ``workbench`` with arguments; the result holds exit code, stdout and stderr."""

    def run(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workbench.cli.main", *map(str, arguments)],
            cwd=workspace,
            env=build_environment(workspace),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def config(workspace: Path) -> dict[str, Any]:
    """Return a configuration that runs, on real daily prices in the workspace's catalog."""
    from workbench.backtest.configuration import build_run_config
    from workbench.backtest.sources import build_strategy_config
    from workbench.catalog.importer import import_file
    from workbench.catalog.imports import ImportConfig
    from workbench.catalog.instruments import build_instrument
    from workbench.cli.sample import build_stock_csv

    catalog = workspace / "catalogs" / "default"
    source, _ = build_stock_csv("AAPL", workspace / "source")
    import_file(
        source,
        catalog,
        ImportConfig(
            data_type="bars",
            instrument_id="AAPL.XNAS",
            bar_type="1-DAY-LAST",
            stamp="close",
            tz="America/New_York",
        ),
        instrument=build_instrument("equity", "AAPL.XNAS", price_precision=2, quote_currency="USD"),
    )
    bar_type = "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
    strategy = build_strategy_config(
        "nautilus_trader.examples.strategies.ema_cross_long_only:EMACrossLongOnly",
        {
            "instrument_id": "AAPL.XNAS",
            "bar_type": bar_type,
            "trade_size": "1000",
            "request_historical_bars": False,
        },
        runs=workspace / "runs",
    )
    built = build_run_config([strategy], catalog=catalog, bar_types=[bar_type], account_type="CASH")
    plain: dict[str, Any] = json.loads(built.json())
    return plain
