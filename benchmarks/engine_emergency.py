"""
An emergency stop under load: from the call to the gate shut, against the 50 ms that a trader was promised.

A real host on a replay, whose strategy sends orders as fast as quotes come. It is stopped and set going again, over and
over. The second row is how long the whole call takes, with the latch on disk.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
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
from rounds import build_row, run_script

from workbench.errors import ServerError
from workbench.live.config import parse_engine_config
from workbench.live.engine_directory import EngineDirectory
from workbench.live.host_call import call_host

__all__ = ["Sender", "SenderConfig", "measure"]

STOPS = 200
QUOTES = 20_000
MOST_MS = 50.0
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


def measure(rounds: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Stop and go on, over and over."""
    shut: list[float] = []
    whole: list[float] = []
    stops = STOPS // 10 if quick else STOPS
    with tempfile.TemporaryDirectory() as place, _start(Path(place)) as socket:
        for _ in range(stops * rounds):
            began_ns, began = time.time_ns(), time.perf_counter()
            outcome = call_host(
                socket, "/emergency-stop", {"reason": "a drill"}, by="benchmark", timeout_secs=10
            )
            whole.append((time.perf_counter() - began) * 1e3)
            shut.append((outcome["shut_ns"] - began_ns) / 1e6)
            call_host(socket, "/emergency-clear", {"reason": "a drill"}, by="benchmark", timeout_secs=10)
            call_host(socket, "/trading-state", {"state": "ACTIVE"}, by="benchmark", timeout_secs=10)
            time.sleep(0.02)  # For the strategy to trade again
    return [_judge("call to gate shut, p99", shut), _judge("the whole call, p99", whole)]


def _judge(name: str, took: list[float]) -> dict[str, Any]:
    p99 = statistics.quantiles(took, n=100)[98]
    detail = f"median {statistics.median(took):.1f} ms, p99 {p99:.1f} ms, worst {max(took):.1f} ms, {len(took)} stops"
    return build_row(name, [p99 / MOST_MS], 1.0, detail, p99_ms=p99, worst_ms=max(took))


@contextlib.contextmanager
def _start(place: Path) -> Any:
    """Start a host without a guardian, and wait until it trades."""
    directory = EngineDirectory(place / "load")
    directory.create()
    directory.save_config(parse_engine_config(_build_config(place / "catalog")), by="benchmark")
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    with directory.hold_lock("guardian"):
        host = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.live.host", str(directory.path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XDG_RUNTIME_DIR": str(place)},
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


def _build_config(path: Path) -> dict[str, Any]:
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
    return {
        "node": {
            "strategies": [
                {
                    "strategy_path": "engine_emergency:Sender",
                    "config_path": "engine_emergency:SenderConfig",
                    "config": {"instrument_id": str(instrument.id), "order_id_tag": "001"},
                }
            ],
            "data_clients": {
                "REPLAY": {
                    "path": "workbench.live.replay_config:ReplayDataClientConfig",
                    "config": {"catalog_path": str(path), "venues": ["SIM"], "speed": 20.0},
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


if __name__ == "__main__":
    run_script(measure, __doc__)
