"""
Run configurations as a user of nautilus would, with nothing of the workbench, and print what came of them.

Reads a JSON list of configurations from the file that is the first argument; writes a JSON list to the second.
A third argument, ``quick``, turns off pandas's Arrow strings: nautilus's bookkeeping of trades then takes a fraction
of the time, and the numbers are the same.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode


def run_raw(text: str) -> dict[str, Any]:
    config = BacktestRunConfig.parse(text)
    config = msgspec.structs.replace(
        config,
        # `data_cls` as a class, as one writes it in Python
        data=[msgspec.structs.replace(d, data_cls=d.data_type) for d in config.data],
        dispose_on_completion=False,
        raise_exception=True,
    )
    node = BacktestNode([config])
    node.build()
    (engine,) = node.get_engines()
    fills: list[Any] = []
    engine.kernel.msgbus.subscribe(topic="events.fills.*", handler=fills.append)
    began = time.monotonic()
    (result,) = node.run()
    cache = engine.cache
    positions = [*cache.position_snapshots(), *cache.positions()]
    found = {
        "fills": [type(f).to_dict(f) for f in fills],
        "orders": sorted(
            [str(o.client_order_id), str(o.status_string()), str(o.quantity), o.ts_last]
            for o in cache.orders()
        ),
        "positions": sorted(
            [
                str(p.ts_opened),
                str(p.ts_closed),
                str(p.realized_pnl),
                repr(p.avg_px_open),
                repr(p.realized_return),
            ]
            for p in positions
        ),
        "balances": [str(b) for a in cache.accounts() for b in a.balances_total().values()],
        "account_events": sum(len(a.events) for a in cache.accounts()),
        "pnls": result.stats_pnls,
        "returns": result.stats_returns,
        "general": engine.portfolio.analyzer.get_performance_stats_general(),
        "summary": result.summary,
        "total_positions": result.total_positions,
        "total_orders": result.total_orders,
        "secs": time.monotonic() - began,
        "iterations": result.iterations,
        "backtest_end": result.backtest_end,
    }
    node.dispose()
    return found


if __name__ == "__main__":
    if "quick" in sys.argv[3:]:
        pd.set_option("future.infer_string", False)
    found = [run_raw(text) for text in json.loads(Path(sys.argv[1]).read_text())]
    whole = Path(sys.argv[2])
    part = whole.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.replace(whole)
