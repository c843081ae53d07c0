"""A trading node in a process of its own: ``python replay_engine.py CONFIG JOURNAL``; each line of input is a drill."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode

from workbench.live.replays import find_replays
from workbench.live.sandbox import restore_sandbox


def read_events(path: Path) -> list[tuple[str, bytes]]:
    """Return the events of nautilus in a journal; a line that was cut off is none."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    records = [json.loads(line) for line in lines]
    return [(r["name"], json.dumps(r["body"]).encode()) for r in records if r["topic"].startswith("events.")]


def main() -> None:
    config, journal = Path(sys.argv[1]), Path(sys.argv[2])
    events = read_events(journal)
    if journal.exists():  # What a kill has cut off is not to stand before a whole line
        text = journal.read_bytes()
        journal.write_bytes(text[: text.rfind(b"\n") + 1])
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    node = TradingNode(TradingNodeConfig.parse(config.read_text()))

    def write(topic: str, name: str, body: Any) -> None:
        os.write(file, json.dumps({"topic": topic, "name": name, "body": body}).encode() + b"\n")

    def tap(topic: str) -> None:
        node.kernel.msgbus.subscribe(
            f"{topic}.*", lambda m: write(f"{topic}.", type(m).__name__, type(m).to_dict(m))
        )

    for topic in ("events.order", "events.fills", "events.position", "events.account"):
        tap(topic)
    node.kernel.msgbus.subscribe("test.*", lambda m: write("test.", "seen", m))
    node.build()
    state = restore_sandbox(node.kernel, events)
    if events:
        name, body = state.build_event()
        write("events.state", name, json.loads(body))

    def describe() -> dict[str, Any]:
        cache = node.cache
        return {
            "positions": {
                p.id.value: [
                    str(p.signed_decimal_qty()),
                    p.avg_px_open,
                    str(p.realized_pnl),
                    [str(c) for c in p.commissions()],
                ]
                for p in cache.positions_open()
            },
            "balances": {str(c): str(m) for a in cache.accounts() for c, m in a.balances_total().items()},
            "open": [o.client_order_id.value for o in cache.orders_open() + cache.orders_inflight()],
            "running": node.trader.is_running,
            "replay": {name: replay.describe() for name, replay in find_replays(node.kernel).items()},
        }

    def note() -> None:
        write("test.", "node", describe())

    def listen() -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order == "describe":
                node.kernel.loop.call_soon_threadsafe(note)
            elif order == "stop":
                node.kernel.loop.call_soon_threadsafe(node.stop)
            else:
                next(iter(find_replays(node.kernel).values())).set_drill(**order)

    node.kernel.msgbus.subscribe("started", lambda _: write("test.", "running", describe()))
    threading.Thread(target=listen, daemon=True).start()
    try:
        node.run()
    finally:
        node.dispose()


if __name__ == "__main__":
    main()
