"""A real host on a replay whose strategy sends orders, for the benchmarks that load an engine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from workbench.errors import ServerError
from workbench.live.config import parse_engine_config
from workbench.live.engine_directory import EngineDirectory

__all__ = ["Sender", "SenderConfig", "build_config", "find_import_paths", "prepare", "run_host"]

QUOTES = 20_000
START_SECS = 60.0


class SenderConfig(StrategyConfig, frozen=True):
    """What to trade."""

    instrument_id: InstrumentId


class Sender(Strategy):
    """Sends an order at every quote."""

    def __init__(self, config: SenderConfig) -> None:
        super().__init__(config)
        self._count = 0

    def on_start(self) -> None:
        """Ask for quotes."""
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Buy and sell in turn."""
        self._count += 1
        side = OrderSide.BUY if self._count % 2 else OrderSide.SELL
        self.submit_order(self.order_factory.market(tick.instrument_id, side, Quantity.from_int(1_000)))

    def on_stop(self) -> None:
        """Do nothing."""


def find_import_paths() -> str:
    """Return what a process needs in ``PYTHONPATH`` to find the strategy."""
    here = Path(__file__).resolve().parent
    return os.pathsep.join([str(here), str(here.parent)])


def prepare(path: Path, *, speed: float = 20.0, sends: bool = True) -> EngineDirectory:
    """
    Make the directory of an engine, with its configuration and a catalog beside it.

    Parameters
    ----------
    path : Path
        The engine's directory.
    speed : float
        Seconds of the catalog in one second; it has ten quotes a second.
    sends : bool
        Whether there is a strategy, which sends an order at each quote.

    """
    directory = EngineDirectory(path)
    directory.create()
    config = build_config(path.parent / f"{path.name}-catalog", speed=speed, sends=sends)
    directory.save_config(parse_engine_config(config), by="benchmark")
    return directory


@contextlib.contextmanager
def run_host(directory: EngineDirectory) -> Iterator[str]:
    """Run a host without a guardian; give its socket when it trades."""
    with directory.hold_lock("guardian"):
        host = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.live.host", str(directory.path)],
            env={**os.environ, "PYTHONPATH": find_import_paths()},
        )
        try:
            deadline = time.monotonic() + START_SECS
            while (heartbeat := directory.load_heartbeat()) is None or heartbeat.state != "RUNNING":
                if time.monotonic() > deadline or host.poll() is not None:
                    raise ServerError("the host did not start")
                time.sleep(0.05)
            record = directory.load_host()
            assert record is not None
            yield record.socket
        finally:
            host.terminate()
            host.wait(30)


def build_config(path: Path, *, speed: float, sends: bool) -> dict[str, Any]:
    """Write a catalog to `path` and return the configuration of an engine that replays it."""
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD")
    catalog, start = ParquetDataCatalog(str(path)), 1_700_000_000_000_000_000
    catalog.write_data([instrument])
    catalog.write_data(
        [
            QuoteTick(
                instrument_id=instrument.id,
                bid_price=Price(1.25 + i % 20 / 10_000, 5),
                ask_price=Price(1.2501 + i % 20 / 10_000, 5),
                bid_size=Quantity.from_int(1_000_000),
                ask_size=Quantity.from_int(1_000_000),
                ts_event=start + i * 100_000_000,
                ts_init=start + i * 100_000_000,
            )
            for i in range(QUOTES)
        ]
    )
    sender = {
        "strategy_path": "busy_engine:Sender",
        "config_path": "busy_engine:SenderConfig",
        "config": {"instrument_id": str(instrument.id), "order_id_tag": "001"},
    }
    return {
        "node": {
            "strategies": [sender] if sends else [],
            "data_clients": {
                "REPLAY": {
                    "path": "workbench.live.replay_config:ReplayDataClientConfig",
                    "config": {"catalog_path": str(path), "venues": ["SIM"], "speed": speed},
                    "factory": {"path": "workbench.live.replay:ReplayDataClientFactory"},
                }
            },
            "exec_clients": {
                "SIM": {
                    "path": "workbench.live.sandbox_config:SandboxClientConfig",
                    "config": {"venue": "SIM", "starting_balances": ["1000000 USD"], "base_currency": "USD"},
                    "factory": {"path": "workbench.live.sandbox:SandboxLiveExecClientFactory"},
                }
            },
        }
    }
