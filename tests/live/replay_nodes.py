"""Nodes for tests: their configuration, and the process they run in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.live.replay_catalogs import ASK, BID

HERE = Path(__file__).parent
DEADLINE_SECS = 90


def build_config(
    catalog: Path, *strategies: tuple[str, dict[str, Any]], feed: dict[str, Any] | None = None, **venue: Any
) -> dict[str, Any]:
    """Return a node's configuration as plain JSON values: the replay of a catalog and a sandbox."""
    sandbox = {
        "venue": "SIM",
        "starting_balances": ["1000000.00 USD"],
        "base_currency": "USD",
        "account_type": "MARGIN",
        "oms_type": "NETTING",
        "default_leverage": "10",
        "bar_types": [BID, ASK],
    }
    return {
        "trader_id": "TESTER-001",
        "environment": "live",
        "logging": {"log_level": "WARNING"},
        "timeout_post_stop": 0.2,
        "timeout_disconnection": 5.0,
        "exec_engine": {"reconciliation_startup_delay_secs": 0.1},
        "data_clients": {
            "REPLAY": {
                "path": "workbench.live.replay_config:ReplayDataClientConfig",
                "factory": {"path": "workbench.live.replay:ReplayDataClientFactory"},
                "config": {"catalog_path": str(catalog), "venues": ["SIM"], "speed": 6_000.0, **(feed or {})},
            }
        },
        "exec_clients": {
            "SIM": {
                "path": "workbench.live.sandbox_config:SandboxClientConfig",
                "factory": {"path": "workbench.live.sandbox:SandboxLiveExecClientFactory"},
                "config": {**sandbox, **venue},
            }
        },
        "strategies": [
            {
                "strategy_path": f"replay_strategies:{name}",
                "config_path": f"replay_strategies:{name}Config",
                "config": {"order_id_tag": f"{number:03d}", **config},
            }
            for number, (name, config) in enumerate(strategies)
        ],
    }


class NodeProcess:
    """A node in a process of its own, and the journal that it writes."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.journal = directory / "journal.jsonl"
        path = directory / "config.json"
        path.write_text(json.dumps(config))
        self._lines: list[dict[str, Any]] = []
        self._offset = 0
        self._skipped = len(self.read())
        self._log = directory / "log.txt"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    str(HERE / "replay_engine.py"),
                    str(path),
                    str(self.journal),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent.parent}"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def read(self) -> list[dict[str, Any]]:
        """Return the whole lines of the journal, of all processes."""
        if self.journal.exists():
            with self.journal.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._offset += len(whole)
            self._lines += [json.loads(line) for line in whole.splitlines()]
        return self._lines

    def read_own(self) -> list[dict[str, Any]]:
        """Return the lines of this process."""
        return self.read()[self._skipped :]

    def find(self, name: str) -> list[Any]:
        """Return the bodies of what this process wrote under a name."""
        return [line["body"] for line in self.read_own() if line["name"] == name]

    def send(self, order: Any) -> None:
        """Send a drill, or ``"describe"`` or ``"stop"``."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def describe(self) -> dict[str, Any]:
        """Return how the node is now."""
        count = len(self.find("node"))
        self.send("describe")
        described: dict[str, Any] = self.wait(lambda: self.find("node")[count:])[0]
        return described

    def wait[T](self, condition: Callable[[], T]) -> T:
        """Wait until a condition holds."""
        deadline = time.monotonic() + DEADLINE_SECS
        while not (met := condition()):
            log = self._log.read_text()[-3_000:]
            assert self.process.poll() is None, f"the node has ended: {log}"
            assert time.monotonic() < deadline, f"in vain: {log}"
            time.sleep(0.01)
        return met
