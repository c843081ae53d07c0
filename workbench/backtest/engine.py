"""The one place that touches nautilus's backtest engine; it runs on the main thread of a child process."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from decimal import localcontext
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.backtest.results import BacktestResult
from nautilus_trader.common.component import is_backtest_force_stop, set_backtest_force_stop
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.enums import AssetClass, account_type_to_str
from nautilus_trader.model.objects import Currency, Money

from workbench.analysis.costs import build_costs
from workbench.analysis.definitions import build_definitions
from workbench.analysis.metrics import build_headline
from workbench.backtest import tables
from workbench.backtest.bookkeeping import AppendOnlyAnalyzer, installed_cache
from workbench.backtest.configuration import parse_run_config
from workbench.backtest.datasets import Dataset, check_run_data, choose_chunk_size
from workbench.backtest.feed import MergingNode
from workbench.backtest.identity import build_identity, collect_versions
from workbench.backtest.lineage import describe_dataset, describe_lineage
from workbench.backtest.logs import ProcessLog
from workbench.backtest.marks import Books, Marks, VenueTap
from workbench.backtest.monitor import Monitor
from workbench.backtest.objects import localised
from workbench.backtest.registrations import counted_registrations
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.sources import importable
from workbench.errors import RunError
from workbench.gate.actor import RiskGate
from workbench.gate.gate import Gate
from workbench.gate.worth import EXACT
from workbench.jobs.control import Control
from workbench.jobs.failures import build_failure
from workbench.records import Failure, Progress, RunRecord
from workbench.stamps import utc_now
from workbench.states import JobState

__all__ = ["TASK", "execute"]

TASK = f"{__name__}:execute"


def execute(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Run one backtest and write its run directory.

    Parameters
    ----------
    spec : dict
        ``config``: the `BacktestRunConfig` as JSON; ``path``: the run directory, which exists;
        ``name``: a name for people; ``search_path``: where else modules are found.
    control : Control
        Progress out, pause and cancel in.

    Returns
    -------
    dict
        The manifest as plain values, and the final ``state``.

    """
    directory = RunDirectory(Path(spec["path"]))
    strategies = directory.path / "strategies"
    with (
        counted_registrations(f"the run {directory.run_id}"),
        importable(strategies, spec.get("search_path", [])),
    ):
        config = parse_run_config(spec["config"])
        log = ProcessLog(config.engine.logging if config.engine is not None else None)
        run = _Run(config, directory, control, spec)
        try:
            record = run.run()
        except BaseException as e:  # noqa: BLE001 - whatever a strategy raises must end as a reason
            record = run.fail(build_failure(e))
        content = log.read()
        record = _explain(record, content)
        with suppress(RunError):  # A full disk: the manifest tells, or cannot be written either
            directory.write_bytes("log.jsonl", content)
        log.clear()
    record = directory.write_manifest(msgspec.structs.replace(record, finished_at=utc_now()))
    return {**msgspec.to_builtins(record), "state": str(record.state)}


def _explain(record: RunRecord, log: bytes) -> RunRecord:
    """Add what nautilus logged when it stopped the run by itself."""
    if record.failure is None or record.failure.kind != "account":
        return record
    lines = [line for line in log.splitlines() if b"Stopping backtest from" in line]
    if not lines:
        return record
    reason = str(json.loads(lines[-1])["message"]).removeprefix("Stopping backtest from ")
    failure = msgspec.structs.replace(record.failure, message=f"nautilus stopped the run: {reason}")
    return msgspec.structs.replace(record, failure=failure)


def _to_iso(ts_ns: int | None) -> str | None:
    return None if ts_ns is None else str(unix_nanos_to_iso8601(ts_ns))


class _Run:
    """One run, from the configuration to the tables."""

    def __init__(
        self, config: BacktestRunConfig, directory: RunDirectory, control: Control, spec: dict[str, Any]
    ) -> None:
        self._config = config
        self._directory = directory
        self._control = control
        self._record = RunRecord(
            run_id=directory.run_id,
            name=spec.get("name", ""),
            state=JobState.FAILED,
            versions=collect_versions(),
            started_at=utc_now(),
            finished_at="",
            lineage=describe_lineage(config),
        )

    def run(self) -> RunRecord:
        self._report_load()
        with localised(self._config, on_file=self._report_load) as self._config:
            return self._run()

    def _report_load(self) -> None:
        self._control.report(Progress(stage="load"))

    def _run(self) -> RunRecord:
        dataset = check_run_data(self._config)
        self._record = msgspec.structs.replace(
            self._record, rows=dataset.rows, dataset=describe_dataset(self._config)
        )
        identity = build_identity(self._config, dataset, self._record.versions)
        self._record = msgspec.structs.replace(self._record, identity=identity)
        node = MergingNode([self._prepare(dataset)])
        try:
            return self._run_node(node, dataset)
        finally:
            # A run that raised leaves the flag that a cancel sets; the next run here must not see it.
            set_backtest_force_stop(False)
            with suppress(Exception):  # Of an engine that was stopped in the middle: it may not like it
                node.dispose()

    def fail(self, failure: Failure) -> RunRecord:
        return msgspec.structs.replace(self._record, state=JobState.FAILED, failure=failure)

    def _prepare(self, dataset: Dataset) -> BacktestRunConfig:
        """Return the configuration as the node gets it: same run, our chunk size, results kept."""
        chunk_size = self._config.chunk_size or choose_chunk_size(dataset.rows)
        if any(d.filter_expr for d in self._config.data):
            chunk_size = None  # Nautilus's streamed read does not filter
        tap = VenueTap.build_config()
        return msgspec.structs.replace(
            self._config,
            venues=[
                msgspec.structs.replace(v, modules=[*(v.modules or []), tap]) for v in self._config.venues
            ],
            # As a class: where `data_cls` is a name, nautilus's one-shot loader forgets `bar_types` and loads
            # every bar of the catalog (`BacktestDataConfig.query` compares with `is Bar`).
            data=[msgspec.structs.replace(d, data_cls=d.data_type) for d in self._config.data],
            chunk_size=chunk_size,
            dispose_on_completion=False,
            raise_exception=True,
        )

    def _run_node(self, node: BacktestNode, dataset: Dataset) -> RunRecord:
        VenueTap.take_registered()  # Of a run that failed while it was built
        with installed_cache():
            node.build()
        (engine,) = node.get_engines()
        AppendOnlyAnalyzer.take_over(engine.portfolio.analyzer)
        currency = self._find_currency()
        books = Books(VenueTap.take_registered())
        marks = Marks(books, engine.cache)
        monitor = Monitor(
            control=self._control,
            books=books,
            marks=marks,
            currency=currency,
            count_events=lambda: engine.iteration,
            total_events=dataset.rows,
            start_ns=dataset.start_ns,
            end_ns=dataset.end_ns,
            has_timer=not any(v.latency_model or v.modules for v in self._config.venues),
        )
        engine.add_actor(monitor)
        gate = _attach_gate(engine, monitor)
        began = time.monotonic()
        error: BaseException | None = None
        try:
            (result,) = node.run()
        except BaseException as e:  # noqa: BLE001 - what was done until then is kept, whatever it is
            error, result = e, engine.get_result()
        elapsed = time.monotonic() - began
        state, failure = self._find_end(monitor, error)
        record = msgspec.structs.replace(
            self._record,
            state=state,
            failure=failure,
            elapsed_secs=round(elapsed, 6),
            backtest_start=_to_iso(result.backtest_start),
            backtest_end=_to_iso(result.backtest_end),
            currency=currency.code,
            account_type=",".join(sorted({account_type_to_str(a.type) for a in engine.cache.accounts()})),
            events=engine.iteration,
            orders=result.total_orders,
            fills=len(monitor.fills),
            positions=result.total_positions,
        )
        if error is None or monitor.samples:
            self._record = record  # Stands if what follows fails
            monitor.take_sample(engine.kernel.clock.timestamp_ns())
            monitor.report_stage("save")
            with localcontext(EXACT):
                self._save(engine, monitor, marks, currency, result)
            warnings = monitor.build_warnings()
            if gate is not None:
                self._directory.write_json("gate.json", gate.describe())
                warnings += gate.build_warnings()
            record = msgspec.structs.replace(record, warnings=warnings)
            for warning in record.warnings:
                ProcessLog.note(warning)
        return record

    def _find_end(self, monitor: Monitor, error: BaseException | None) -> tuple[JobState, Failure | None]:
        if error is not None:
            return JobState.FAILED, build_failure(error)
        if monitor.was_cancelled:
            if self._control.is_interrupted:
                message = "the run was interrupted: the process that ran it was stopped or killed"
                return JobState.INTERRUPTED, Failure(kind="interrupted", message=message)
            return JobState.CANCELLED, None
        if is_backtest_force_stop():
            # Nautilus stops a run by itself when an account breaks; it only says so in the log.
            message = "nautilus stopped the run early, after an account error or on a strategy's request"
            return JobState.FAILED, Failure(kind="account", message=message)
        return JobState.COMPLETED, None

    def _find_currency(self) -> Currency:
        """Return the reporting currency: the first venue's base currency, or its first starting balance's."""
        venue = self._config.venues[0]
        if venue.base_currency is not None:
            return Currency.from_str(str(venue.base_currency))
        first = venue.starting_balances[0]
        return (Money.from_str(first) if isinstance(first, str) else first).currency

    def _save(
        self,
        engine: BacktestEngine,
        monitor: Monitor,
        marks: Marks,
        currency: Currency,
        result: BacktestResult,
    ) -> None:
        cache = engine.cache
        found = {
            "equity": tables.build_equity(monitor.samples, currency),
            "orders": tables.build_orders(cache),
            "fills": tables.build_fills(monitor.fills, cache),
            "positions": tables.build_positions(cache, marks, monitor.fills, currency),
            "accounts": tables.build_accounts(cache),
        }
        for name, table in found.items():
            self._directory.write_table(name, table)
        metrics = _measure(found, currency.code, _choose_periods(engine))
        metrics["nautilus"] = _clean(
            {
                "pnls": result.stats_pnls,
                "returns": result.stats_returns,
                "general": engine.portfolio.analyzer.get_performance_stats_general(),
                "summary": result.summary,
            }
        )
        metrics["rates"] = marks.sources
        self._directory.write_json("metrics.json", metrics)


def _attach_gate(engine: BacktestEngine, monitor: Monitor) -> Gate | None:
    """Put the risk gate in its place, if the configuration has one."""
    carriers = [a for a in engine.trader.actors() if isinstance(a, RiskGate)]
    if not carriers:
        return None
    gate = carriers[0].attach(engine.kernel, monitor)
    for other in carriers[1:]:
        other.attach(engine.kernel, monitor)  # Says that there is one
    monitor.on_sample = gate.observe
    return gate


def _choose_periods(engine: BacktestEngine) -> int:
    """Return the days of a year: 365 where a crypto instrument trades, which never closes, or else 252."""
    classes = {i.asset_class for i in engine.cache.instruments()}
    return 365 if AssetClass.CRYPTOCURRENCY in classes else 252


def _measure(found: dict[str, pa.Table], currency: str, periods_per_year: int) -> dict[str, Any]:
    frames = {name: table.to_pandas() for name, table in found.items() if name != "accounts"}
    headline = build_headline(
        frames["equity"],
        frames["positions"],
        frames["fills"],
        currency=currency,
        periods_per_year=periods_per_year,
        orders=frames["orders"],
    )
    return {
        "headline": headline,
        "costs": build_costs(frames["fills"], frames["equity"], currency=currency),
        "definitions": build_definitions(),
        "periods_per_year": periods_per_year,
    }


def _clean(value: Any) -> Any:
    """Return `value` with what JSON cannot hold (NaN, infinity) as ``None``."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
