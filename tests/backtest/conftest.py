"""Catalogs, configurations and a warm worker for runs that really run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.jobs.worker import Worker

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _strategy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, and so the children of its workers, find `bt_strategies`."""
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture(scope="session")
def gbpusd(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog with the GBP/USD month: bid and ask bars of a minute, February 2012."""
    path = tmp_path_factory.mktemp("gbpusd")
    catalog = ParquetDataCatalog(path)
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD", Venue("SIM"))
    catalog.write_data([instrument])
    for side in ("bid", "ask"):
        frame = pd.read_csv(test_data / "fxcm" / f"gbpusd-m1-{side}-2012.csv", index_col=0, parse_dates=True)
        # An array of its own: the wrangler wants one that it may write to.
        frame = pd.DataFrame(np.array(frame), index=frame.index, columns=frame.columns)
        frame["volume"] = np.full(len(frame), 1_000_000)
        bar_type = BarType.from_str(f"GBP/USD.SIM-1-MINUTE-{side.upper()}-EXTERNAL")
        bars = BarDataWrangler(bar_type, instrument).process(frame, ts_init_delta=60_000_000_000)
        catalog.write_data(bars)
    return path


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """Return a warm worker that all runs share: each must leave it as good as new."""
    with Worker() as shared:
        yield shared


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"
