"""Market data of a catalog for a replay: streamed by a thread, in order of time and in bounded memory."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.core.nautilus_pyo3 import DataBackendSession, drop_cvec_pycapsule
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick, capsule_to_list
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.catalog.coverage import check_file, find_files
from workbench.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nautilus_trader.core.data import Data

    from workbench.catalog.columns import DataType
    from workbench.live.replay_clock import ReplayClock

__all__ = ["DatasetName", "ReplayChunk", "ReplayReader", "load_history"]

CHUNK_ROWS = 2_048
"""Rows that are decoded at once: the main loop waits as long, some milliseconds."""

MAX_CHUNKS = 8
"""Chunks that are read ahead."""

_CLASSES = {"bars": Bar, "quotes": QuoteTick, "trades": TradeTick}


class DatasetName(msgspec.Struct, frozen=True, order=True):
    """A kind of data, and the bar type of bars or the instrument of ticks."""

    data_type: DataType
    identifier: str


class ReplayChunk(msgspec.Struct, frozen=True, kw_only=True):
    """
    Some consecutive rows of a replay; all rows with one stamp are in one chunk.

    Attributes
    ----------
    wish : int
        The number of the wish that they answer.
    loop : int
        Which time round they are.
    rows : list of Data
        Market data in order of ``ts_init``, stamped as in the catalog.
    is_end : bool
        Whether nothing follows.
    problem : str
        Why nothing follows, if it should.

    """

    wish: int
    loop: int = 0
    rows: list[Data] = []
    is_end: bool = False
    problem: str = ""


class _Wish(msgspec.Struct, frozen=True):
    number: int
    datasets: frozenset[DatasetName]
    position: int


class ReplayReader:
    """
    Reads ahead of a replay in a thread of its own.

    Nautilus's reader ends the process on damaged files: each file is checked before, footer and pages.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    clock : ReplayClock
        The range of the replay.
    is_looping : bool
        Whether it begins anew at its end.
    notify : Callable
        Called from the thread when there is something to take.

    """

    def __init__(
        self, catalog: Path, clock: ReplayClock, *, is_looping: bool, notify: Callable[[], None]
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._is_looping = is_looping
        self._notify = notify
        self._changed = threading.Condition()
        self._chunks: deque[ReplayChunk] = deque()
        self._wish: _Wish | None = None
        self._is_stopping = False
        self._sound: set[tuple[str, int, int]] = set()
        self._thread = threading.Thread(target=self._run, name="replay-reader", daemon=True)
        self._thread.start()

    def read(self, datasets: frozenset[DatasetName], position: int) -> int:
        """Read these datasets from this position on, and forget all else; return the number of this wish."""
        with self._changed:
            number = 1 if self._wish is None else self._wish.number + 1
            self._wish = _Wish(number, datasets, position)
            self._chunks.clear()
            self._changed.notify_all()
        return number

    def take(self) -> ReplayChunk | None:
        """Return the next chunk, or None if it has not been read yet."""
        with self._changed:
            if not self._chunks:
                return None
            self._changed.notify_all()
            return self._chunks.popleft()

    def close(self) -> None:
        """End the thread; returns when it has ended: nautilus's reader must not outlive it."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        done: _Wish | None = None
        while True:
            with self._changed:
                while not self._is_stopping and self._wish is done:
                    self._changed.wait()
                if self._is_stopping:
                    return
                done = self._wish
            assert done is not None
            try:
                self._stream(done)
            except Exception as e:  # noqa: BLE001 - shown by the client: a thread that dies says nothing
                self._put(ReplayChunk(wish=done.number, is_end=True, problem=f"{type(e).__name__}: {e}"))

    def _stream(self, wish: _Wish) -> None:
        loop, within = divmod(wish.position, self._clock.period_ns)
        while wish.datasets:
            count = 0
            for rows in self._read(wish.datasets, self._clock.first_ns + within):
                count += len(rows)
                if not self._put(ReplayChunk(wish=wish.number, loop=loop, rows=rows)):
                    return
            if not self._is_looping or (count == 0 and within == 0):
                break
            loop, within = loop + 1, 0
        self._put(ReplayChunk(wish=wish.number, is_end=True))

    def _read(self, datasets: frozenset[DatasetName], start_ns: int) -> Iterator[list[Data]]:
        """Yield lists of rows from `start_ns` to the end of the range, no stamp cut in two."""
        files = {
            dataset: [
                self._check_pages(path)
                for path in find_files(
                    self._catalog,
                    dataset.data_type,
                    dataset.identifier,
                    start_ns=start_ns,
                    end_ns=self._clock.last_ns,
                )
            ]
            for dataset in sorted(datasets)
        }
        carried: list[Data] = []
        for chunk in _read_rows(self._catalog, files, start_ns, self._clock.last_ns, CHUNK_ROWS):
            rows = carried + chunk
            cut = bisect_left(rows, rows[-1].ts_init, key=_stamp)
            carried = rows[cut:]
            if cut:
                yield rows[:cut]
        if carried:
            yield carried

    def _check_pages(self, path: Path) -> str:
        """Return the path of a file whose pages have all been read once without an error."""
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if key not in self._sound:
            _check_pages(path)
            self._sound.add(key)
        return key[0]

    def _put(self, chunk: ReplayChunk) -> bool:
        """Hand over a chunk when there is room; return False if nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_stopping or self._is_stale(chunk) or len(self._chunks) < MAX_CHUNKS
            )
            if self._is_stopping or self._is_stale(chunk):
                return False
            self._chunks.append(chunk)
        self._notify()
        return True

    def _is_stale(self, chunk: ReplayChunk) -> bool:
        return self._wish is not None and self._wish.number != chunk.wish


def load_history(
    catalog: Path, dataset: DatasetName, *, start_ns: int | None, before_ns: int, limit: int
) -> list[Data]:
    """
    Return the last rows of a dataset before a stamp, in order of time.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    dataset : DatasetName
        The dataset.
    start_ns : int, optional
        No earlier rows than this, by ``ts_init``, nanoseconds since the epoch.
    before_ns : int
        Rows strictly before this.
    limit : int
        The most rows.

    Raises
    ------
    CatalogError
        If a file of the dataset is damaged.

    """
    end_ns = before_ns - 1
    paths: list[Path] = []
    stamps: list[int] = []
    for path in reversed(
        find_files(catalog, dataset.data_type, dataset.identifier, start_ns=start_ns, end_ns=end_ns)
    ):
        _check_pages(path)
        with pq.ParquetFile(path) as file:
            column = file.read(["ts_init"]).column(0).to_numpy()
        column = column[(column <= end_ns) & (column >= (start_ns or 0))]
        paths.append(path)
        stamps = sorted([int(stamp) for stamp in column[-limit:]] + stamps)[-limit:]
        if len(stamps) >= limit and check_file(path, dataset.data_type).start_ns <= stamps[0]:
            break
    if not stamps:
        return []
    files = {dataset: [str(path) for path in reversed(paths)]}
    rows = [row for chunk in _read_rows(catalog, files, stamps[0], end_ns, CHUNK_ROWS) for row in chunk]
    return rows[-limit:]


def _read_rows(
    catalog: Path, files: dict[DatasetName, list[str]], start_ns: int, end_ns: int, chunk_rows: int
) -> Iterator[list[Data]]:
    """Yield the rows of checked files, merged in order of ``ts_init``."""
    session = DataBackendSession(chunk_rows)
    reader = ParquetDataCatalog(str(catalog))
    for dataset, paths in files.items():
        if paths:
            reader.backend_session(
                data_cls=_CLASSES[dataset.data_type],
                files=paths,
                start=unix_nanos_to_iso8601(start_ns),
                end=unix_nanos_to_iso8601(end_ns),
                session=session,
            )
    if not any(files.values()):
        return
    for chunk in session.to_query_result():
        rows = capsule_to_list(chunk)
        drop_cvec_pycapsule(chunk)  # The capsule does not free what it points to
        if rows:
            yield rows


def _check_pages(path: Path) -> None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(65_536):
                pass
    except (pa.ArrowInvalid, OSError) as e:
        raise CatalogError(
            f"{path} is damaged: {str(e).splitlines()[0]}",
            expected="a complete Parquet file",
            advice="import the data again with --replace",
        ) from e


def _stamp(data: Any) -> int:
    stamp: int = data.ts_init
    return stamp
