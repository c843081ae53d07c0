"""A run as the components take it: plain frames and mappings, from a run directory or from the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from workbench.errors import NotFoundError, WorkbenchError
from workbench.states import JobState

if TYPE_CHECKING:
    import pandas as pd

    from workbench.client.job import Job
    from workbench.records import JobRecord

__all__ = [
    "RunView",
    "StoredRun",
    "Trials",
    "build_run_view",
    "find_instruments",
    "load_prices",
    "load_run_view",
]

# Fine enough for the excursions of a month of minutes to be exact; a chart draws fewer.
_PRICE_POINTS = 50_000
_TIMES = frozenset({"ts", "ts_event", "ts_opened", "ts_closed", "ts_init", "ts_last"})
# What an absent table looks like: a run that failed early, or has not ended, kept none.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "equity": ("ts", "equity", "open_positions"),
    "fills": (
        *(
            "ts_event",
            "instrument_id",
            "strategy_id",
            "position_id",
            "client_order_id",
            "order_side",
            "last_qty",
        ),
        *("last_px", "multiplier", "is_inverse", "currency", "commission", "commission_currency"),
        *("liquidity_side", "best_bid", "best_ask", "rate", "commission_rate"),
    ),
    "positions": (
        *("position_id", "instrument_id", "strategy_id", "entry", "peak_qty", "avg_px_open", "avg_px_close"),
        *("ts_opened", "ts_closed", "realized_pnl", "currency", "realized_return", "commissions"),
        *("commissions_currency", "rate"),
    ),
    "orders": (
        "client_order_id",
        "instrument_id",
        "order_side",
        "order_type",
        "quantity",
        "status",
        "ts_init",
    ),
    "accounts": ("ts_event", "account_id", "currency", "total", "free", "locked"),
}


@dataclass(frozen=True)
class Trials:
    """
    What else was tried: the backtests of the same strategy on the same data.

    Parameters
    ----------
    count : int
        All of them, this one included, whatever became of them.
    sharpes : tuple of float
        The annualised Sharpe ratios that are known.

    """

    count: int
    sharpes: tuple[float, ...] = ()


@dataclass(frozen=True)
class RunView:
    """
    A run as a report needs it: plain frames and mappings, as they are in a run directory.

    Parameters
    ----------
    manifest, config, metrics : Mapping
        ``manifest.json``, ``config.json`` and ``metrics.json``.
    equity, fills, positions : pandas.DataFrame
        The frames of those names.
    trades : pandas.DataFrame, optional
        Default: built from the positions.
    prices : Mapping of str to pandas.DataFrame, optional
        Instrument id -> bars with ``ts``, ``open``, ``high``, ``low``, ``close``; without it no price chart.
    orders, accounts : pandas.DataFrame, optional
        The frames of those names.
    trials : Trials, optional
        What else was tried, for the deflated Sharpe ratio.
    missing_prices : Mapping of str to str
        Instrument id -> why there are no prices of it.

    """

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    equity: pd.DataFrame
    fills: pd.DataFrame
    positions: pd.DataFrame
    trades: pd.DataFrame | None = None
    prices: Mapping[str, pd.DataFrame] | None = None
    orders: pd.DataFrame | None = None
    accounts: pd.DataFrame | None = None
    trials: Trials | None = None
    missing_prices: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id of the run; empty where the manifest has none."""
        return str(self.manifest.get("run_id") or "")

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it changes any more."""
        return JobState(str(self.manifest.get("state") or JobState.COMPLETED)).is_finished

    @property
    def name(self) -> str:
        """The name of the run; its strategies and instruments where it has none."""
        from workbench.ui.run_facts import describe_title

        return str(self.manifest.get("name") or "") or describe_title(self.config)


class StoredRun(Protocol):
    """A run in a directory of this machine, as `workbench.load_run` returns it."""

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    def load_table(self, name: str) -> pd.DataFrame:
        """Return a table."""
        ...


def build_run_view(run: StoredRun, *, prices: Mapping[str, pd.DataFrame] | None = None) -> RunView:
    """
    Return a run of a directory as the components take it.

    Parameters
    ----------
    run : StoredRun
        What `workbench.load_run` returned.
    prices : Mapping of str to pandas.DataFrame, optional
        What `workbench.load_prices` returned for it.

    """
    tables = {name: _load_or_empty(run, name) for name in _COLUMNS}
    return _build_view(run.manifest, run.config, run.metrics, tables, prices=prices)


def load_run_view(job: Job) -> RunView:
    """
    Return a backtest of the server as far as there is something of it; without prices, see `load_prices`.

    Of a run at work there is the equity so far, of one that failed early perhaps nothing.

    Raises
    ------
    ServerError
        If the server does not answer.

    """
    record = job.refresh()
    manifest = job.load_manifest() if record.state.is_finished else None
    if manifest is None:
        return _build_unfinished(job, record)
    try:
        metrics = job.metrics
    except NotFoundError:
        metrics = {}
    tables = {name: _load_or_empty(job, name) for name in _COLUMNS}
    found, count = job.load_trials()
    sharpes = tuple(other.headline["sharpe"] for other in found if "sharpe" in other.headline)
    config = record.spec.get("config") or {}
    trials = Trials(count, sharpes) if count else None
    return _build_view(msgspec.to_builtins(manifest), config, metrics, tables, trials=trials)


def load_prices(job: Job, run: RunView) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """
    Return the prices of a run's instruments, and why there are none of the others.

    Raises
    ------
    ServerError
        If the server does not answer.

    """
    prices, missing = {}, {}
    for instrument_id in find_instruments(run):
        try:
            prices[instrument_id] = job.load_prices(instrument_id, points=_PRICE_POINTS)
        except WorkbenchError as error:
            missing[instrument_id] = str(error)
    return prices, missing


def find_instruments(run: RunView) -> list[str]:
    """Return what the run traded, the most fills first; what it read where it traded nothing."""
    counts: dict[str, int] = {}
    if "instrument_id" in run.fills.columns:
        counts = {str(name): int(n) for name, n in run.fills["instrument_id"].value_counts().items()}
    if not counts:
        for data in run.config.get("data") or []:
            names = [data.get("instrument_id"), *(data.get("instrument_ids") or [])]
            names += [str(bar).rsplit("-", 4)[0] for bar in data.get("bar_types") or []]
            counts.update({str(name): 0 for name in names if name})
    return sorted(counts, key=lambda name: (-counts[name], name))


def _build_view(
    manifest: Mapping[str, Any],
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    *,
    prices: Mapping[str, pd.DataFrame] | None = None,
    trials: Trials | None = None,
) -> RunView:
    return RunView(
        manifest,
        config,
        metrics,
        equity=tables["equity"],
        fills=tables["fills"],
        positions=tables["positions"],
        orders=tables["orders"],
        accounts=tables["accounts"],
        prices=prices,
        trials=trials,
    )


def _load_or_empty(source: StoredRun | Job, name: str) -> pd.DataFrame:
    try:
        return source.load_table(name)
    except (NotFoundError, FileNotFoundError):
        return _build_empty(name)


def _build_empty(name: str) -> pd.DataFrame:
    import pandas as pd

    kinds = {column: "datetime64[ns, UTC]" if column in _TIMES else object for column in _COLUMNS[name]}
    frame = pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})
    return frame.astype({"realized_return": "float64"}) if name == "positions" else frame


def _build_unfinished(job: Job, record: JobRecord) -> RunView:
    import pandas as pd

    trace = job.load_trace()
    currency = trace.currency or (record.progress.currency if record.progress is not None else "")
    tables = {name: _build_empty(name) for name in _COLUMNS}
    if trace.points:
        from decimal import Decimal

        tables["equity"] = pd.DataFrame(
            {
                "ts": pd.to_datetime([ts for ts, _ in trace.points], unit="ns", utc=True),
                "equity": pd.Series([Decimal(value) for _, value in trace.points], dtype=object),
            }
        )
    manifest = {
        "run_id": record.id,
        "name": record.name,
        "state": str(record.state),
        "failure": None if record.failure is None else msgspec.to_builtins(record.failure),
        "currency": currency,
        "started_at": record.started_at,
    }
    return _build_view(manifest, record.spec.get("config") or {}, {}, tables)
