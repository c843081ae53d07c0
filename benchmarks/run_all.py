"""Run every benchmark, print a line for each ratio and write results.json beside this file."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rounds import parse_arguments, print_row

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS = (
    "run_gbpusd",
    "pandas2",
    "cost_per_order",
    "progress",
    "sweep",
    "import_quotes",
    "list_runs",
    "job_overhead",
    "job_events",
    "pool_sweep",
    "voila_first_view",
    "runner_updates",
    "chart_zoom",
    "chart_updates",
    "gate_orders",
    "journal",
    "engine_bridge",
    "engine_emergency",
    "engine_clients",
    "engine_start",
)
PACKAGES = ("nautilus-workbench", "nautilus_trader", "numpy", "pandas", "pyarrow")


def main() -> int:
    """Return 0 if every benchmark could be measured, whether or not it reached its target."""
    arguments = parse_arguments(__doc__, _add)
    facts = _describe_machine()
    if facts["load"] is not None and facts["load"] > 0.5:
        print(f"the machine is busy (load {facts['load']:.1f}): the ratios will be noisy", file=sys.stderr)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in arguments.only or BENCHMARKS:
        try:
            found = _measure(name, arguments.rounds, quick=arguments.quick)
        except Exception:  # noqa: BLE001 - the others are still worth measuring
            traceback.print_exc()
            failed.append(name)
            print(f"{name:<44}  FAILED", flush=True)
            continue
        for row in found:
            print_row(row, quick=arguments.quick)
        rows += [{"benchmark": name, **row} for row in found]
    results = {**facts, "quick": arguments.quick, "failed": failed, "rows": rows}
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if failed else 0


def _measure(name: str, rounds: int, *, quick: bool) -> list[dict[str, Any]]:
    measure = importlib.import_module(name).measure
    options = {"quick": quick} if "quick" in inspect.signature(measure).parameters else {}
    rows: list[dict[str, Any]] = measure(rounds=rounds, **options)
    return rows


def _describe_machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _add(parser: argparse.ArgumentParser) -> None:
    default = Path(__file__).resolve().parent / "results.json"
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="which to run (default: all)")
    parser.add_argument("--output", type=Path, default=default, help="where the results go")


if __name__ == "__main__":
    sys.exit(main())
