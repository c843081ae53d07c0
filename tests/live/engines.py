"""Engines for tests: a small catalog, a configuration, and hosts as processes of their own."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.engine_records import EngineEvent
from workbench.live.config import EngineConfig, parse_engine_config
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal_reader import JournalReader

ROOT = Path(__file__).resolve().parent.parent.parent
INSTRUMENT = "GBP/USD.SIM"
DEADLINE_SECS = 20.0


def build_catalog(path: Path, *, count: int = 6_000) -> Path:
    """Write quotes of one instrument, a tenth of a second apart, that go up and down a little."""
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD")
    start = 1_700_000_000_000_000_000
    quotes = [
        QuoteTick(
            instrument_id=instrument.id,
            bid_price=Price(1.25 + i % 20 / 10_000, 5),
            ask_price=Price(1.2501 + i % 20 / 10_000, 5),
            bid_size=Quantity.from_int(1_000_000),
            ask_size=Quantity.from_int(1_000_000),
            ts_event=start + i * 100_000_000,
            ts_init=start + i * 100_000_000,
        )
        for i in range(count)
    ]
    catalog = ParquetDataCatalog(str(path))
    catalog.write_data([instrument])
    catalog.write_data(quotes)
    return path


def build_bar_catalog(path: Path, *, count: int = 600) -> Path:
    """Write the same as bars of a second, without a quote."""
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD")
    bar_type = BarType.from_str(f"{INSTRUMENT}-1-SECOND-LAST-EXTERNAL")
    start = 1_700_000_000_000_000_000
    prices = [Price(1.25 + i % 20 / 10_000, 5) for i in range(count)]
    bars = [
        Bar(bar_type, p, p, p, p, Quantity.from_int(1_000_000), stamp, stamp)
        for p, stamp in zip(prices, range(start, start + count * 10**9, 10**9), strict=True)
    ]
    catalog = ParquetDataCatalog(str(path))
    catalog.write_data([instrument])
    catalog.write_data(bars)
    return path


def build_strategy(name: str = "QuoteTrader", **config: Any) -> dict[str, Any]:
    """Return a strategy of `host_strategies` as an engine's configuration names it."""
    return {
        "strategy_path": f"tests.live.host_strategies:{name}",
        "config_path": "tests.live.host_strategies:TraderConfig",
        "config": {"instrument_id": INSTRUMENT, "order_id_tag": "001", **config},
    }


def build_config(
    catalog: Path, *strategies: dict[str, Any], speed: float = 5.0, **fields: Any
) -> EngineConfig:
    """Return the configuration of a SANDBOX engine on a replay."""
    return parse_engine_config(
        {
            "node": {
                "strategies": list(strategies),
                "data_clients": {
                    "REPLAY": {
                        "path": "workbench.live.replay_config:ReplayDataClientConfig",
                        "config": {"catalog_path": str(catalog), "venues": ["SIM"], "speed": speed},
                        "factory": {"path": "workbench.live.replay:ReplayDataClientFactory"},
                    }
                },
                "exec_clients": {
                    "SIM": {
                        "path": "workbench.live.sandbox_config:SandboxClientConfig",
                        "config": {
                            "venue": "SIM",
                            "starting_balances": ["1000000 USD"],
                            "base_currency": "USD",
                        },
                        "factory": {"path": "workbench.live.sandbox:SandboxLiveExecClientFactory"},
                    }
                },
                "timeout_post_stop": 0.1,
            },
            **fields,
        }
    )


class Host:
    """A host in a process of its own."""

    def __init__(self, directory: EngineDirectory, *flags: str) -> None:
        self.directory = directory
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.live.host", str(directory.path), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    def call(self, method: str, target: str, body: Any = None, user: str = "ann") -> tuple[int, Any]:
        record = self.directory.load_host()
        assert record is not None
        connection = http.client.HTTPConnection("engine", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(10)
            connection.sock.connect(record.socket)
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, target, content, {"X-Workbench-User": user})
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())

    def get(self, target: str) -> Any:
        status, values = self.call("GET", target)
        assert status == 200, values
        return values

    @property
    def state(self) -> str:
        record, heartbeat = self.directory.load_host(), self.directory.load_heartbeat()
        if record is None or heartbeat is None or heartbeat.pid != self.process.pid:
            return ""
        return heartbeat.state

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        return wait_for(condition, what, self.process)

    def wait_until_running(self) -> None:
        def is_running() -> bool:
            with contextlib.suppress(OSError, AssertionError):
                return self.get("/status")["heartbeat"]["state"] == "RUNNING"
            return False

        self.wait_for(is_running, "RUNNING")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECS)

    def read_output(self) -> str:
        return self.process.stdout.read().decode()


def wait_for(condition: Callable[[], Any], what: str, process: subprocess.Popen[bytes] | None = None) -> Any:
    deadline = time.monotonic() + DEADLINE_SECS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(
                f"the host ended with {process.returncode}: {process.stdout.read().decode()}"
            )
        time.sleep(0.01)
    raise AssertionError(f"not in time: {what}")


@contextlib.contextmanager
def guarding(directory: EngineDirectory) -> Iterator[None]:
    """Hold the lock of a guardian, and turn as one does, so that no host starts one."""
    ending = threading.Event()

    def beat() -> None:
        while not ending.wait(0.1):
            directory.beat()

    with directory.hold_lock("guardian"):
        directory.beat()
        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def read_events(directory: EngineDirectory) -> list[EngineEvent]:
    with JournalReader(directory.journal) as reader:
        return reader.read(0, 100_000)


def find_events(directory: EngineDirectory, name: str) -> list[Any]:
    return [msgspec.json.decode(e.body) for e in read_events(directory) if e.name == name]


@contextlib.contextmanager
def running(directory: EngineDirectory, *flags: str) -> Iterator[Host]:
    host = Host(directory, *flags)
    try:
        yield host
    finally:
        if host.process.poll() is None:
            host.process.kill()
        host.process.wait()
        host.process.stdout.close()
