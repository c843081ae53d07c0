"""What is done in a child for the server: check a run before it is queued, describe a strategy, read prices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.core.datetime import unix_nanos_to_iso8601

from workbench.backtest.capture import MODULE_PREFIX, SourceModule
from workbench.backtest.checks import check_run
from workbench.backtest.configuration import override_run_config, parse_run_config, redact_run_config
from workbench.backtest.datasets import Dataset, choose_chunk_size, find_identifiers, parse_time
from workbench.backtest.decoding import find_field
from workbench.backtest.diagnosis import diagnose, gather
from workbench.backtest.documentation import build_help, build_summary
from workbench.backtest.lineage import describe_dataset, describe_lineage
from workbench.backtest.logs import ProcessLog
from workbench.backtest.prices import find_sources, load_series
from workbench.backtest.registrations import counted_registrations
from workbench.backtest.repertoire import find_workspace_file
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.sources import (
    capture_config_files,
    importable,
    load_captured,
    load_strategy,
    naming,
    resolve_names,
    sources_path,
)
from workbench.errors import ConfigError, InputError, NotFoundError
from workbench.jobs.control import Control
from workbench.jobs.watch import Limits

__all__ = ["describe_strategy", "load_prices", "prepare"]

_Name = Annotated[str, msgspec.Meta(max_length=200)]


class _Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that somebody wants."""

    config: dict[str, Any] | str
    runs: str
    name: _Name = ""
    overrides: dict[str, Any] = {}
    sources: dict[str, str] = {}
    search_path: list[str] = []
    limits: dict[str, Any] = {}
    use_holdout: bool = False


class _StrategyName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    runs: str
    config_path: str | None = None
    search_path: list[str] = []
    sources: dict[str, str] = {}
    strategies: str | None = None


class _PricesWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    instrument_id: str
    bar_type: str | None = None
    start: str | int | None = None
    end: str | int | None = None
    points: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_000


def prepare(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Check a run that somebody wants, and return what its job is made of.

    Parameters
    ----------
    spec : dict
        ``config``: a `BacktestRunConfig` as plain values or JSON; ``name``; ``overrides``: new values by path;
        ``sources``: captured modules by name; ``search_path``: where else modules are found; ``limits``: the
        fields of `Limits`; ``use_holdout``: decided on by the server, not here; ``runs``: where the run
        directories are.
    control : Control
        Not used: this takes less than a second.

    Returns
    -------
    dict
        The fields of `workbench.jobs.kinds.Prepared`.

    Raises
    ------
    InputError
        If the run cannot be made; `field` is the place in the configuration, or in `spec`, and `errors` are
        all that are wrong.

    """
    wish = _read(spec, _Wish)
    limits, runs = _read_limits(wish.limits), Path(wish.runs)
    with _prepared("a checked run"), importable(sources_path(runs), wish.search_path):
        _write_sources(wish.sources, runs)
        text = wish.config if isinstance(wish.config, str) else msgspec.json.encode(wish.config)
        try:
            config = override_run_config(parse_run_config(text), wish.overrides)
            _refuse_storage_options(config)
            config = capture_config_files(config, runs)
            dataset = check_run(config, runs)
        except InputError as e:
            gather(e, diagnose(text, wish.overrides, runs))
            raise
        plain = redact_run_config(config)
        return {
            "spec": {
                "config": plain,
                "name": wish.name,
                "search_path": wish.search_path,
                "limits": limits,
            },
            "files": {
                "config.json": json.dumps(plain, indent=2, allow_nan=False) + "\n",
                **{f"strategies/{m.name}.py": m.text for m in load_captured(config, runs)},
            },
            "rows": dataset.rows,
            "lineage": describe_lineage(config),
            "dataset": describe_dataset(config),
            "preview": _preview(config, dataset),
        }


def describe_strategy(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return what a form for a strategy's configuration is built from.

    Parameters
    ----------
    spec : dict
        ``path``: ``package.module:Class`` or ``path/to/file.py:Class``; ``config_path``: the same for the
        configuration, where its name is not ``<Class>Config``; ``runs``; ``search_path``; ``sources``: captured
        modules by name; ``strategies``: the one directory in which files are looked for, by name; default: paths
        as this process knows them.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``strategy_path``, ``config_path``, ``schema``: a JSON schema; ``help``: a text for each field, as far
        as the docstrings have one; ``doc``: the first paragraph about the strategy; ``sources``: the text of the
        captured modules that the two names are in.

    Raises
    ------
    InputError
        If there is no such strategy.

    """
    wish = _read(spec, _StrategyName)
    runs = Path(wish.runs)
    with _prepared(f"the strategy {wish.path}"), importable(sources_path(runs), wish.search_path):
        _write_sources(wish.sources, runs)
        with naming("path"):
            path = _find_file(wish)
            strategy_path, config_path = resolve_names(path, None, wish.config_path, runs=runs)
        modules = [_find_captured(name, runs) for name in _name_captured(strategy_path, config_path)]
        strategy, config_class = load_strategy(strategy_path, config_path)
        try:
            schema = msgspec.to_builtins(config_class.json_schema())
        except Exception as e:  # A field of a type that no form could show
            raise ConfigError(
                f"{config_path} has no JSON schema: {type(e).__name__}: {e}",
                expected="fields of types that JSON can hold",
                field="config_path",
            ) from e
        return {
            "strategy_path": strategy_path,
            "config_path": config_path,
            "schema": schema,
            "help": build_help(config_class),
            "doc": build_summary(strategy),
            "sources": {module.name: module.text for module in modules},
        }


def load_prices(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return prices of a run for a chart.

    Neighbouring rows are merged into bars that keep the extremes, the first price and the last.

    Parameters
    ----------
    spec : dict
        ``path``: the run directory; ``instrument_id``; ``bar_type``: where the run has several, default the
        first; ``start``, ``end``: a part of its range; ``points``: the most bars.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``instrument_id``; ``identifier``: the bar type, or the instrument for ticks; ``columns``: ``ts`` (the
        last stamp in the bar, ISO 8601 UTC), ``open``, ``high``, ``low``, ``close`` and, of bars and trades, ``volume``
        (the sum of the rows) as decimal numbers in text; ``total``: the rows that were merged;
        ``volume_is_traded``: whether the volume is what was traded, see `workbench.backtest.prices.Series`.

    Raises
    ------
    InputError
        If the run has no such prices, or its data are not there any more.
    CatalogError
        If a file is damaged.

    """
    wish = _read(spec, _PricesWish)
    plain = RunDirectory(Path(wish.path)).read_json("config.json")
    config = parse_run_config(msgspec.json.encode(plain), origin="config.json")
    sources = [s for s in find_sources(config) if s.instrument_id == wish.instrument_id]
    if not sources:
        known = sorted({s.instrument_id for s in find_sources(config)})
        raise NotFoundError(
            f"the run has no prices of {wish.instrument_id}",
            expected=f"one of {', '.join(known)}",
            field="instrument_id",
        )
    chosen = sources if wish.bar_type is None else [s for s in sources if s.identifier == wish.bar_type]
    if not chosen:
        raise NotFoundError(
            f"the run has no bars of type {wish.bar_type}",
            expected=f"one of {', '.join(s.identifier for s in sources)}",
            field="bar_type",
        )
    series = load_series(
        config,
        chosen[0],
        start_ns=parse_time(wish.start, "start"),
        end_ns=parse_time(wish.end, "end"),
        max_bars=wish.points,
    )
    columns = {"ts": [unix_nanos_to_iso8601(int(ts)) for ts in series.stamps]}
    columns |= {n: [_to_text(int(t), series.precision) for t in ticks] for n, ticks in series.columns.items()}
    if series.volumes is not None:
        columns["volume"] = [_to_text(volume, series.volume_precision) for volume in series.volumes]
    return {
        "instrument_id": wish.instrument_id,
        "identifier": chosen[0].identifier,
        "columns": columns,
        "total": series.total,
        "volume_is_traded": series.volume_is_traded,
    }


def _find_file(wish: _StrategyName) -> str:
    """Return the path of the strategy, of a file of the workspace's with its directory."""
    module, _, name = wish.path.rpartition(":")
    if wish.strategies is None or not module.endswith(".py"):
        return wish.path
    return f"{find_workspace_file(Path(wish.strategies), module)}:{name}"


def _name_captured(*paths: str) -> list[str]:
    return sorted({p.partition(":")[0] for p in paths if p.startswith(MODULE_PREFIX)})


def _find_captured(name: str, runs: Path) -> SourceModule:
    """Return a captured module; one of an earlier run is put beside the run directories again."""
    path = sources_path(runs) / f"{name}.py"
    if not path.is_file():
        kept = next(runs.glob(f"*/strategies/{name}.py"), path)
        with naming("path"):
            module = SourceModule.from_captured(kept)
        module.write(sources_path(runs))
        return module
    with naming("path"):
        return SourceModule.from_captured(path)


@contextmanager
def _prepared(what: str) -> Iterator[None]:
    """Leave a process behind in which a run can be prepared, or made, as in a new one."""
    log = ProcessLog(None)  # Nautilus's logger would write to the standard output
    try:
        with counted_registrations(what):
            yield
    finally:
        log.clear()


def _read[T](spec: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(spec, kind)
    except msgspec.ValidationError as e:
        raise InputError(str(e), expected="the documented fields", field=find_field(e) or "config") from e


def _read_limits(plain: dict[str, Any]) -> dict[str, Any]:
    known = Limits.__struct_fields__
    for name in plain:
        if name not in known:
            raise ConfigError(
                f"there is no limit {name!r}", expected=f"one of {', '.join(known)}", field=f"limits.{name}"
            )
    try:
        msgspec.convert(plain, Limits)
    except msgspec.ValidationError as e:
        raise ConfigError(f"limits: {e}", expected="numbers", field=find_field(e, "limits")) from e
    for name, value in plain.items():
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{name} is {value}", expected="more than nothing", field=f"limits.{name}")
    return plain


def _refuse_storage_options(config: BacktestRunConfig) -> None:
    """Refuse what may hold secrets: they would have to be stored with the job, or it could not run."""
    for number, data in enumerate(config.data):
        for name in ("catalog_fs_storage_options", "catalog_fs_rust_storage_options"):
            if getattr(data, name):
                raise ConfigError(
                    f"an entry in `data` holds {name}, which may be secret and would be kept with the job",
                    expected="none",
                    advice="set them in fsspec's own configuration where the runs are made",
                    field=f"data.{number}.{name}",
                )


def _write_sources(sources: dict[str, str], runs: Path) -> None:
    modules = []
    for name, text in sources.items():
        module = SourceModule.from_text(text)
        if module.name != name:
            raise ConfigError(
                f"the source {name} is not what its name says",
                expected=f"the name {module.name} for this text",
                advice="capture the strategy again",
                field=f"sources.{name}",
            )
        modules.append(module)
    for module in modules:
        module.write(sources_path(runs))


def _preview(config: BacktestRunConfig, dataset: Dataset) -> dict[str, Any]:
    strategies = config.engine.strategies if config.engine is not None else []
    return {
        "start": unix_nanos_to_iso8601(dataset.start_ns),
        "end": unix_nanos_to_iso8601(dataset.end_ns),
        "instruments": dataset.instruments,
        "rows": dataset.rows,
        "chunk_size": config.chunk_size or choose_chunk_size(dataset.rows),
        "strategies": [s.strategy_path for s in strategies],
        "warnings": _find_oddities(config, dataset),
    }


def _find_oddities(config: BacktestRunConfig, dataset: Dataset) -> list[str]:
    """Return what can run, but is hardly what somebody wants, one line each."""
    strategies = config.engine.strategies if config.engine is not None else []
    oddities = [] if strategies else ["the configuration names no strategy: nothing will be traded"]
    bar_types = {i for data in config.data for i in find_identifiers(data)}
    for strategy in strategies:
        instrument_id, bar_type = (strategy.config.get(name) for name in ("instrument_id", "bar_type"))
        if instrument_id is not None and str(instrument_id) not in dataset.instruments:
            oddities.append(f"{strategy.strategy_path} trades {instrument_id}, of which the run has no data")
        # Others are built from what the run has
        if str(bar_type).endswith("-EXTERNAL") and str(bar_type) not in bar_types:
            oddities.append(f"{strategy.strategy_path} listens to {bar_type}, which the run does not have")
    oddities += [
        f"the venue {v.name} has no fill model: every limit order that is touched is filled, and nothing slips"
        for v in config.venues
        if v.fill_model is None
    ]
    return oddities


def _to_text(ticks: int, precision: int) -> str:
    if precision == 0:
        return str(ticks)
    digits = f"{abs(ticks):0{precision + 1}d}"
    return f"{'-' if ticks < 0 else ''}{digits[:-precision]}.{digits[-precision:]}"
