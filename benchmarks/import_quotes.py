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
    """Write a CSV of quotes, four a second, as irregular as a market and the same everywhere."""
    bid = 150_000 + np.cumsum(_scatter(rows, 1) % 11 - 5)
    ask = bid + 1 + _scatter(rows, 2) % 5
    sizes = [(1 + _scatter(rows, salt) % 50) * 100_000 for salt in (3, 4)]
    stamps = np.datetime64("2024-01-01", "ms") + (np.arange(rows) * 250 + _scatter(rows, 5) % 250).astype(
        "timedelta64[ms]"
    )
    texts = np.datetime_as_string(stamps, unit="ms")
    with path.open("w") as file:
        file.write("timestamp,bid,ask,bid_size,ask_size\n")
        for text, b, a, bid_size, ask_size in zip(texts, bid.tolist(), ask.tolist(), *sizes, strict=True):
            file.write(
                f"{text}Z,{b // 100_000}.{b % 100_000:05d},{a // 100_000}.{a % 100_000:05d},{bid_size},{ask_size}\n"
            )


def _scatter(count: int, salt: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return numbers without a pattern: the index, mixed as hash functions mix."""
    with np.errstate(over="ignore"):
        mixed = (np.arange(count, dtype=np.uint64) + np.uint64(salt << 32)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
    return (mixed >> np.uint64(2)).astype(np.int64)


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
        # In a child as well: the peak of a child counts from that of the parent that starts it.
        subprocess.run([sys.executable, __file__, str(source)], check=True)
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
        "detail": f"{' against '.join(sides)}, ratios {min(ratios):.3g} to {max(ratios):.3g} of {len(ratios)}",
    }


def main() -> None:
    """Print a line for each ratio."""
    for row in measure():
        print(
            f"{row['name']}  {row['ratio']}  {row['target']}  {'ok' if row['ok'] else 'SHORT'}  ({row['detail']})"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_quotes(Path(sys.argv[1]))
    else:
        main()
