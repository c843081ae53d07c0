"""
Import 2 million quotes from CSV: the workbench against nautilus's wrangler and ``write_data``.

Each side runs in a child process of its own, one after the other in turns, on the same file. Wall time
excludes imports of libraries on both sides; memory is the peak resident size of the whole process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 2_000_000
INSTRUMENT = "GBP/USD.BENCH"
SPEED_TARGET = 10.0
MEMORY_TARGET = 1 / 3

_PREAMBLE = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
source, catalog = sys.argv[1:]
from workbench.catalog.instruments import build_instrument
instrument = build_instrument("fx_pair", "GBP/USD.BENCH")
"""

_EPILOGUE = """
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"secs": elapsed, "bytes": peak, "rows": rows}))
"""

_OURS = """
from workbench.catalog.importer import ImportConfig, import_file
started = time.perf_counter()
config = ImportConfig(data_type="quotes", instrument_id=instrument.id.value)
rows = import_file(source, catalog, config, instrument=instrument).rows_written
elapsed = time.perf_counter() - started
"""

_THEIRS = """
import pandas as pd
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler
started = time.perf_counter()
frame = pd.read_csv(source, index_col="timestamp", parse_dates=True)
quotes = QuoteTickDataWrangler(instrument).process(frame)
store = ParquetDataCatalog(catalog)
store.write_data([instrument])
store.write_data(quotes)
rows = len(quotes)
elapsed = time.perf_counter() - started
"""


def write_quotes(path: Path, rows: int = ROWS) -> None:
    """Write a CSV of quotes, four a second, that a fixed recurrence makes: the same everywhere."""
    number = np.arange(rows, dtype=np.int64)
    bid = 150_000 + np.cumsum((number * 2_654_435_761) % 7 - 3)
    ask = bid + 1 + number % 3
    stamps = np.datetime64("2024-01-01", "ms") + (number * 250).astype("timedelta64[ms]")
    texts = np.datetime_as_string(stamps, unit="ms")
    with path.open("w") as file:
        file.write("timestamp,bid,ask,bid_size,ask_size\n")
        for i in range(rows):
            b, a = int(bid[i]), int(ask[i])
            file.write(
                f"{texts[i]}Z,{b // 100_000}.{b % 100_000:05d},{a // 100_000}.{a % 100_000:05d},"
                f"{1_000_000 + i % 7 * 100_000},{2_000_000 + i % 5 * 100_000}\n"
            )


def measure(rounds: int = 3) -> list[dict[str, Any]]:
    """
    Measure both sides in turns.

    Parameters
    ----------
    rounds : int, default 3
        How often each side runs.

    Returns
    -------
    list of dict
        ``name``, ``ratio``, ``target``, ``ok`` and ``detail`` of the speed (more is better) and of the
        memory (less is better).

    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "quotes.csv"
        write_quotes(source)
        ours, theirs = [], []
        for turn in range(rounds):
            ours.append(_run(_OURS, source, Path(folder) / f"ours-{turn}"))
            theirs.append(_run(_THEIRS, source, Path(folder) / f"theirs-{turn}"))
    speeds = [other["secs"] / own["secs"] for own, other in zip(ours, theirs, strict=True)]
    memories = [own["bytes"] / other["bytes"] for own, other in zip(ours, theirs, strict=True)]
    return [
        _row("import 2 M quotes, times faster", speeds, SPEED_TARGET, ours, theirs, "secs", 1, "s"),
        _row("import 2 M quotes, share of memory", memories, MEMORY_TARGET, ours, theirs, "bytes", 1e6, "MB"),
    ]


def _run(code: str, source: Path, catalog: Path) -> dict[str, float]:
    catalog.mkdir()
    child = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + code + _EPILOGUE, str(source), str(catalog)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    if result["rows"] != ROWS:
        raise RuntimeError(f"{result['rows']} rows instead of {ROWS}")
    return result


def _row(
    name: str,
    ratios: list[float],
    target: float,
    ours: list[dict[str, float]],
    theirs: list[dict[str, float]],
    key: str,
    scale: float,
    unit: str,
) -> dict[str, Any]:
    ratio = statistics.median(ratios)
    is_ok = ratio >= target if key == "secs" else ratio <= target
    sides = [f"{statistics.median(side[key] for side in runs) / scale:.3g} {unit}" for runs in (ours, theirs)]
    return {
        "name": name,
        "ratio": round(ratio, 3),
        "target": round(target, 3),
        "ok": is_ok,
        "detail": f"{sides[0]} against {sides[1]}, ratios {min(ratios):.3g} to {max(ratios):.3g} in {len(ratios)} rounds",
    }


def main() -> None:
    """Print a line for each ratio."""
    for row in measure():
        print(
            f"{row['name']}  {row['ratio']}  {row['target']}  {'ok' if row['ok'] else 'SHORT'}  ({row['detail']})"
        )


if __name__ == "__main__":
    main()
