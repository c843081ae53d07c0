"""A backtest node that streams data in the order in which one shot would process them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from nautilus_trader.accounting.error import AccountError
from nautilus_trader.backtest.config import BacktestDataConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.common.component import is_backtest_force_stop
from nautilus_trader.core.data import Data
from nautilus_trader.core.datetime import max_date, min_date
from nautilus_trader.core.nautilus_pyo3 import DataBackendSession, drop_cvec_pycapsule
from nautilus_trader.model.data import capsule_to_list, pyo3_list_to_data_list
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.persistence.catalog.types import CatalogDataResult

__all__ = ["MergingNode", "merge_chunks"]


class MergingNode(BacktestNode):
    """
    A `BacktestNode` whose streamed run equals its one-shot run, whatever the chunk size.

    Nautilus cuts its stream at any row: timers that are due at the time of the cut then fire before the rest
    of the data of that time. And it merges the entries of `data` in another order than one shot where their
    stamps are equal. Here a chunk ends where a stamp ends, and equal stamps keep the order of the entries.
    An account that breaks ends the run with its results, as it does in one shot.
    """

    def _run_streaming(
        self,
        run_config_id: str,
        engine: BacktestEngine,
        data_configs: list[BacktestDataConfig],
        chunk_size: int,
        start: str | int | None = None,
        end: str | int | None = None,
    ) -> None:
        streams = [self._read_chunks(config, chunk_size, start, end) for config in data_configs]
        for batches in merge_chunks(streams):
            for config, batch in zip(data_configs, batches, strict=True):
                if batch:
                    client_id = ClientId(config.client_id) if config.client_id else None
                    result = CatalogDataResult(data_cls=config.data_type, data=batch, client_id=client_id)
                    self._load_engine_data(engine=engine, result=result, sort=False)
            engine.sort_data()
            try:
                engine.run(start=start, end=end, run_config_id=run_config_id, streaming=True)
            except AccountError:
                break
            engine.clear_data()
            if is_backtest_force_stop():  # Then the engine has ended the run itself
                return
        engine.end()

    def _read_chunks(
        self, config: BacktestDataConfig, chunk_size: int, start: str | int | None, end: str | int | None
    ) -> Iterator[list[Data]]:
        query: dict[str, Any] = config.query
        low, high = max_date(query["start"], start), min_date(query["end"], end)
        session = self.load_catalog(config).backend_session(
            data_cls=query["data_cls"],
            identifiers=query["identifiers"],
            start=None if low is None else low.isoformat(),
            end=None if high is None else high.isoformat(),
            session=DataBackendSession(chunk_size=chunk_size),
            optimize_file_loading=config.optimize_file_loading,
        )
        for chunk in session.to_query_result():
            if isinstance(chunk, list):  # Of custom data
                yield pyo3_list_to_data_list(chunk)
            else:
                data = capsule_to_list(chunk)
                drop_cvec_pycapsule(chunk)  # The capsule does not free what it points to
                yield data


def merge_chunks(streams: list[Iterator[list[Data]]]) -> Iterator[list[list[Data]]]:
    """
    Yield one list for each stream, again and again, so that no time stamp is cut in two.

    Each stream yields lists of data, ascending `ts_init`. What is yielded together comes before all that
    is yielded later, strictly.
    """
    buffers: list[list[Data]] = [[] for _ in streams]
    live = set(range(len(streams)))
    hungry = set(live)
    while True:
        for i in sorted(hungry):
            chunk = next((c for c in streams[i] if c), None)
            if chunk is None:
                live.discard(i)
            else:
                buffers[i] = buffers[i] + chunk if buffers[i] else chunk
        if not live:
            break
        # Data of the earliest of the last stamps may go on in a next chunk.
        limit = min(buffers[i][-1].ts_init for i in live)
        cuts = [bisect_left(buffer, limit, key=_stamp) for buffer in buffers]
        if any(cuts):
            yield [buffer[:cut] for buffer, cut in zip(buffers, cuts, strict=True)]
            buffers = [buffer[cut:] for buffer, cut in zip(buffers, cuts, strict=True)]
        hungry = {i for i in live if buffers[i][-1].ts_init == limit}
    if any(buffers):
        yield buffers


def _stamp(data: Data) -> int:
    stamp: int = data.ts_init
    return stamp
