"""What is wrong with a run that cannot be made: every wrong place at once, and not only the first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common.config import resolve_path

from workbench.backtest.configuration import override_run_config, parse_run_config
from workbench.backtest.datasets import check_run_data, find_run_data, parse_time
from workbench.backtest.decoding import DECODE_ERRORS, decode_value
from workbench.backtest.faults import find_faults
from workbench.backtest.logs import check_logging
from workbench.backtest.sources import capture_config_files, check_strategies
from workbench.backtest.trial import try_engine
from workbench.backtest.venues import find_venue_faults
from workbench.errors import ConfigError, InputError, WorkbenchError

__all__ = ["diagnose", "gather"]

_COMPONENTS = ("strategies", "actors", "exec_algorithms")


def gather(first: InputError, found: list[WorkbenchError]) -> None:
    """
    Give `first` all errors of the input: its own and those `found`, one for each place and reason.

    Parameters
    ----------
    first : InputError
        The one for which the run was refused.
    found : list[WorkbenchError]
        What `diagnose` has returned.

    """
    below = [e for e in found if e.field == first.field or e.field.startswith(f"{first.field}.")]
    ordered = [*(below or [_copy(first)]), *(e for e in found if e not in below)]
    unique = {(e.field, e.message): e for e in ordered}
    first.errors = tuple(unique.values())


def _copy(error: InputError) -> InputError:
    return type(error)(error.message, expected=error.expected, advice=error.advice, field=error.field)


def diagnose(text: bytes | str, overrides: dict[str, Any], runs: Path) -> list[WorkbenchError]:
    """
    Return an error for each place that is wrong in the configuration of a run.

    Each part is looked at by itself, as far as the others let it: a venue that is not readable hides no wrong
    date, and no wrong parameter of a strategy. What nautilus refuses only of the whole is not looked for.

    Parameters
    ----------
    text : bytes or str
        A `BacktestRunConfig` as JSON.
    overrides : dict
        New values by path, as for `workbench.backtest.configuration.override_run_config`.
    runs : Path
        The run directories; captured strategies are beside them.

    """
    try:
        plain = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return []
    if not isinstance(plain, dict):
        return []
    found: list[WorkbenchError] = list(find_faults(BacktestRunConfig, plain))
    if not found and overrides:
        plain, wrong = _override(plain, overrides)
        found += wrong
        found += find_faults(BacktestRunConfig, plain)
    found += _diagnose_venues(plain)
    found += _diagnose_data(plain)
    found += _diagnose_components(plain, runs)
    return found


def _override(
    plain: dict[str, Any], overrides: dict[str, Any]
) -> tuple[dict[str, Any], list[WorkbenchError]]:
    """Return the configuration with the overrides that fit it, and what is wrong with the others."""
    config = parse_run_config(msgspec.json.encode(plain))
    wrong: list[WorkbenchError] = []
    for path, value in overrides.items():
        try:
            config = override_run_config(config, {path: value})
        except WorkbenchError as e:
            wrong.append(e)
    changed: dict[str, Any] = json.loads(config.json())
    return changed, wrong


def _diagnose_venues(plain: dict[str, Any]) -> Iterator[WorkbenchError]:
    numbers, venues = _decode_items(BacktestVenueConfig, plain.get("venues"))
    for error in find_venue_faults(venues):
        place = int(error.field.split(".")[1])
        yield from _refine(_move(error, f"venues.{place}", f"venues.{numbers[place]}"), plain)


def _diagnose_data(plain: dict[str, Any]) -> Iterator[WorkbenchError]:
    venues = [v.get("name") if isinstance(v, dict) else None for v in _as_list(plain.get("venues"))]
    wrong = []
    bounds = {}
    for name in ("start", "end"):
        try:
            parse_time(plain.get(name), name)
            bounds[name] = plain.get(name)
        except WorkbenchError as e:
            wrong.append(e)
    yield from wrong
    numbers, entries = _decode_items(BacktestDataConfig, plain.get("data"))
    if not all(isinstance(name, str) for name in venues):
        return  # The instruments may belong to a venue that has no name yet
    # Only their names count here: whatever else is wrong with a venue, the data of its instruments may be right.
    named = [
        BacktestVenueConfig(name=name, oms_type="NETTING", account_type="MARGIN", starting_balances=["1 USD"])
        for name in venues
    ]
    chunk_size = plain.get("chunk_size")
    run = BacktestRunConfig(
        venues=named, data=entries, chunk_size=chunk_size if isinstance(chunk_size, int) else None, **bounds
    )
    for number, entry in zip(numbers, entries, strict=True):
        for part in _split(entry):
            try:
                find_run_data(msgspec.structs.replace(run, data=[part]))
            except WorkbenchError as e:
                wrong.append(_move(e, "data.0", f"data.{number}"))
                yield e
    if not wrong and len(entries) == len(_as_list(plain.get("data"))):
        try:
            check_run_data(run)
        except WorkbenchError as e:
            yield e


def _diagnose_components(plain: dict[str, Any], runs: Path) -> Iterator[WorkbenchError]:
    """Try each strategy, actor and execution algorithm alone, in an engine without venues."""
    engine = plain.get("engine")
    if not isinstance(engine, dict):
        return
    bare = {k: v for k, v in engine.items() if k not in (*_COMPONENTS, "controller")}
    try:
        check_logging(decode_value(BacktestEngineConfig, bare).logging)
    except WorkbenchError as e:
        yield e
    except DECODE_ERRORS:  # Its fields have been named already
        bare = {}
    for name in _COMPONENTS:
        for i, component in enumerate(_as_list(engine.get(name))):
            try:
                alone = decode_value(BacktestEngineConfig, {**bare, name: [component]})
            except DECODE_ERRORS:
                continue
            run = BacktestRunConfig(engine=alone, venues=[], data=[])
            try:
                run = capture_config_files(run, runs)
                check_strategies(run, runs)
                try_engine(run)
            except WorkbenchError as e:
                e.message = e.message.replace(f"{name} 0 ", f"{name} {i} ", 1)
                for fault in _refine(e, json.loads(run.json())):
                    yield _move(fault, f"engine.{name}.0", f"engine.{name}.{i}")


def _refine(error: WorkbenchError, plain: dict[str, Any]) -> Iterator[WorkbenchError]:
    """Yield an error for each wrong field of the component whose configuration `error` is about."""
    steps = error.field.split(".")
    for end in range(len(steps), 0, -1):
        owner = _step(plain, steps[:end])
        if isinstance(owner, dict) and isinstance(owner.get("config_path"), str):
            place = ".".join([*steps[:end], "config"])
            faults = _find_component_faults(owner["config_path"], owner.get("config"), place)
            yield from faults
            if faults:
                return
            break
    yield error


def _find_component_faults(config_path: str, config: Any, place: str) -> list[ConfigError]:
    try:
        return list(find_faults(resolve_path(config_path), config, place))
    except Exception:  # noqa: BLE001 - somebody's module may raise anything; that is what the error is about
        return []


def _decode_items(kind: type, items: Any) -> tuple[list[int], list[Any]]:
    """Return those that are well-formed, behind their numbers."""
    numbers, found = [], []
    for i, item in enumerate(_as_list(items)):
        try:
            found.append(decode_value(kind, item))
            numbers.append(i)
        except DECODE_ERRORS:
            continue
    return numbers, found


def _split(entry: BacktestDataConfig) -> list[BacktestDataConfig]:
    """Return the entry in parts of one instrument or bar type each."""
    for name in ("bar_types", "instrument_ids"):
        values = getattr(entry, name) or []
        if len(values) > 1 and entry.instrument_id is None:
            return [msgspec.structs.replace(entry, **{name: [value]}) for value in values]
    return [entry]


def _move(error: WorkbenchError, old: str, new: str) -> WorkbenchError:
    if error.field == old or error.field.startswith(f"{old}."):
        error.field = new + error.field[len(old) :]
    return error


def _step(plain: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(plain, dict):
            plain = plain.get(step)
        elif isinstance(plain, list) and step.isdecimal() and int(step) < len(plain):
            plain = plain[int(step)]
        else:
            return None
    return plain


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
