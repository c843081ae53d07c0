"""What an engine was worth over time: a file of its own, fine for a day and coarser before, that outlives its hosts."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from workbench.engine_records import EquityPage, EquitySample, StrategyPnl
from workbench.errors import StoreError

__all__ = ["EquityHistory", "build_sample", "load_last", "read_equity", "thin_samples"]

SECOND_NS = 1_000_000_000
FINE_NS = 24 * 3_600 * SECOND_NS  # For so long every sample is kept
COARSE_NS = 60 * SECOND_NS  # And of older ones, the last in each of these
KEPT_NS = 31 * 24 * 3_600 * SECOND_NS
_THIN_NS = 600 * SECOND_NS
_BUSY_SECS = 2.0
_PER_BUCKET = 2  # The lowest and the highest
_MAX_NS = 2**63 - 1
_TABLE = """
CREATE TABLE IF NOT EXISTS samples (
    ts_ns INTEGER PRIMARY KEY,
    currency TEXT NOT NULL,
    equity TEXT,
    day_pnl TEXT,
    gross TEXT,
    net TEXT,
    missing TEXT NOT NULL,
    strategies BLOB NOT NULL
)
"""
_COLUMNS = "ts_ns, currency, equity, day_pnl, gross, net, missing, strategies"
_THIN = """
DELETE FROM samples WHERE ts_ns >= :low AND ts_ns < :high AND ts_ns NOT IN (
    SELECT max(ts_ns) FROM samples WHERE ts_ns >= :low AND ts_ns < :high GROUP BY ts_ns / :step
)
"""
_decode = msgspec.json.Decoder(dict[str, StrategyPnl]).decode


class EquityHistory:
    """
    The history of one engine, as its host writes it; any thread may use it.

    A sample that is lost with a machine is no harm: nothing waits for the disk.

    Parameters
    ----------
    path : Path
        The file; it is made with the first sample. One that is damaged is moved aside.

    Attributes
    ----------
    last_ns : int
        When the last sample was taken; 0 before the first of this host.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._thinned_ns = 0
        self._is_closed = False
        self.last_ns = 0

    def add(self, sample: EquitySample) -> None:
        """
        Keep a sample.

        Raises
        ------
        StoreError
            If it cannot be written.

        """
        self.last_ns = sample.ts_ns  # One that cannot be written is not tried again at once
        row = (
            sample.ts_ns,
            sample.currency,
            sample.equity,
            sample.day_pnl,
            sample.gross,
            sample.net,
            sample.missing,
            msgspec.json.encode(sample.strategies),
        )
        with self._lock:
            if self._is_closed:  # The last one of a host that ends may come late
                return
            try:
                connection = self._open()
                with connection:
                    connection.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                    if sample.ts_ns - self._thinned_ns >= _THIN_NS:
                        _thin(connection, sample.ts_ns, self._thinned_ns)
                        self._thinned_ns = sample.ts_ns
            except (sqlite3.Error, OSError) as e:
                self._drop()
                raise StoreError(f"the history of the equity {self._path} cannot be written: {e}") from e

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._is_closed = True
            self._drop()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or not self._path.exists():
            self._drop()
            try:
                self._connection = _connect(self._path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # It is none: what it was stays beside
                for suffix in ("-wal", "-shm", ""):
                    old = self._path.with_name(self._path.name + suffix)
                    with contextlib.suppress(FileNotFoundError):
                        old.rename(self._path.with_name(f"{self._path.name}.damaged{suffix}"))
                self._connection = _connect(self._path)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def build_sample(facts: Mapping[str, Any]) -> EquitySample | None:
    """Return the sample that the facts of a host make; ``None`` where its main loop has told nothing yet."""
    valuation = facts.get("valuation")
    if not valuation:
        return None
    amounts = {name: valuation[name] for name in ("equity", "day_pnl", "gross", "net")}
    return EquitySample(
        ts_ns=facts["told_ns"],
        currency=valuation["currency"],
        missing=valuation["missing"],
        strategies=facts.get("strategy_pnl", {}),
        **amounts,
    )


def read_equity(
    path: Path, *, start_ns: int | None = None, end_ns: int | None = None, limit: int = 2_000
) -> EquityPage:
    """
    Return the samples of a range; beside its writer, and without one.

    Parameters
    ----------
    path : Path
        The file; without one there are no samples.
    start_ns, end_ns : int, optional
        The range, UNIX nanoseconds UTC; both are within.
    limit : int
        How many samples at most: of more the lowest and the highest of each part of the range are given.

    Raises
    ------
    StoreError
        If the file cannot be read.

    """
    if not path.exists():
        return EquityPage([], 0)
    # What is beyond the numbers of the file holds nothing
    low = max(0, min(start_ns or 0, _MAX_NS))
    high = _MAX_NS if end_ns is None else max(-1, min(end_ns, _MAX_NS))
    try:
        with contextlib.closing(_connect_reader(path)) as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM samples WHERE ts_ns BETWEEN ? AND ? ORDER BY ts_ns",  # noqa: S608 - constants
                (low, high),
            ).fetchall()
    except sqlite3.Error as e:
        raise StoreError(f"the history of the equity {path} cannot be read: {e}") from e
    picked = thin_samples([(row[0], row[2]) for row in rows], limit)
    return EquityPage([_build(*rows[i]) for i in picked], len(rows))


def load_last(path: Path, currency: str) -> EquitySample | None:
    """
    Return the last sample in a currency.

    Raises
    ------
    StoreError
        If the file cannot be read.

    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(_connect_reader(path)) as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM samples WHERE currency = ? ORDER BY ts_ns DESC LIMIT 1",  # noqa: S608 - constants
                (currency,),
            ).fetchone()
    except sqlite3.Error as e:
        raise StoreError(f"the history of the equity {path} cannot be read: {e}") from e
    return None if row is None else _build(*row)


def thin_samples(samples: Sequence[tuple[int, str | None]], limit: int) -> list[int]:
    """
    Return which samples to show where only so many may be shown: in each part of the time the lowest and the highest.

    Parameters
    ----------
    samples : Sequence[tuple[int, str | None]]
        Time and equity, by time. Of a part without any equity its first sample is given: it is a hole in the line.
    limit : int
        How many at most; 3 or more. The last sample is always one of them.

    """
    if len(samples) <= limit:
        return list(range(len(samples)))
    first, last = samples[0][0], samples[-1][0]
    count = max((limit - 1) // _PER_BUCKET, 1)
    lowest: dict[int, tuple[Decimal, int]] = {}
    highest: dict[int, tuple[Decimal, int]] = {}
    holes: dict[int, int] = {}
    for i, (ts_ns, text) in enumerate(samples):
        bucket = min((ts_ns - first) * count // max(last - first, 1), count - 1)
        if text is None:
            holes.setdefault(bucket, i)
            continue
        equity = Decimal(text)
        if bucket not in lowest or equity < lowest[bucket][0]:
            lowest[bucket] = equity, i
        if bucket not in highest or equity > highest[bucket][0]:
            highest[bucket] = equity, i
    found = {i for part in (lowest, highest) for _, i in part.values()}
    found |= {i for bucket, i in holes.items() if bucket not in lowest}
    return sorted(found | {len(samples) - 1})


def _build(ts_ns: int, currency: str, *rest: Any) -> EquitySample:
    equity, day_pnl, gross, net, missing, strategies = rest
    return EquitySample(
        ts_ns=ts_ns,
        currency=currency,
        equity=equity,
        day_pnl=day_pnl,
        gross=gross,
        net=net,
        missing=missing,
        strategies=_decode(strategies),
    )


def _thin(connection: sqlite3.Connection, now_ns: int, thinned_ns: int) -> None:
    connection.execute("DELETE FROM samples WHERE ts_ns < ?", (now_ns - KEPT_NS,))
    high = (now_ns - FINE_NS) // COARSE_NS * COARSE_NS  # Only what is over
    low = max(thinned_ns - FINE_NS, 0) // COARSE_NS * COARSE_NS
    connection.execute(_THIN, {"low": low, "high": high, "step": COARSE_NS})


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECS, isolation_level=None
    )
