"""What is done in a child for a sweep: check it before it begins, and measure what its best trial is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.analysis.overfitting import measure_overfitting
from workbench.analysis.sharpe import measure_deflated_sharpe, measure_moments
from workbench.backtest.configuration import override_run_config, parse_run_config
from workbench.backtest.preparation import prepare as prepare_run
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.search import Grid, Study, WalkForward, read_search
from workbench.backtest.sources import check_strategies, importable, sources_path
from workbench.errors import ConfigError, InputError, WorkbenchError
from workbench.jobs.control import Control

__all__ = ["measure", "prepare"]

_MIN_BLOCK_ROWS = 2
_MAX_BLOCKS = 16


def prepare(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Check a sweep that somebody wants.

    Every value of a grid, and both bounds of a number, are put into the configuration once.

    Parameters
    ----------
    spec : dict
        ``backtest``: as for `workbench.backtest.preparation.prepare`; ``search``: see
        `workbench.backtest.search.Search`; ``name``; ``parallel``: how many trials at a time; ``runs``.
    control : Control
        Not used.

    Returns
    -------
    dict
        The fields of `workbench.jobs.kinds.Prepared`.

    Raises
    ------
    InputError
        If it cannot be made; `field` is the place.

    """
    search = read_search(dict(spec.get("search") or {}))
    parallel = spec.get("parallel")
    if parallel is not None and not (isinstance(parallel, int) and 1 <= parallel <= 1_000):
        raise ConfigError(f"parallel is {parallel!r}", expected="1 to 1000", field="parallel")
    wish = {**dict(spec.get("backtest") or {}), "runs": spec["runs"]}
    try:
        found = prepare_run(wish, control)
    except InputError as e:
        for error in (e, *e.errors):
            error.field = f"backtest.{error.field}".rstrip(".")
        raise
    _check_points(search.space, found, Path(spec["runs"]))
    preview = {**found["preview"], "points": _count_runs(search.space, search.walk_forward)}
    return {
        "spec": {
            "backtest": found["spec"],
            "search": msgspec.to_builtins(search),
            "parallel": parallel,
            "range": [preview["start"], preview["end"]],
            "name": str(spec.get("name") or ""),
        },
        "files": found["files"],
        "rows": 0,
        "lineage": found["lineage"],
        "dataset": found["dataset"],
        "preview": preview,
    }


def measure(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Say what the best trial of a sweep is worth, given how many were tried.

    Parameters
    ----------
    spec : dict
        ``trials``: the run directories that were compared, over the same range; ``best``: the chosen one;
        ``count``: all trials of this strategy on these data, whoever ran them.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``deflated_sharpe`` and ``pbo``: ``value`` (both are probabilities, 0 to 1), ``reason`` where there is
        none, and what they were made from; ``returns``: how many days were compared.

    """
    frame = _load_returns([Path(p) for p in spec["trials"]])
    best = str(spec["best"])

    def deflate() -> dict[str, Any]:
        if best not in frame:
            raise InputError("the best trial has no daily returns")
        sharpes = [measure_moments(frame[c].to_numpy()).sharpe for c in frame if _varies(frame[c])]
        if len(sharpes) < 2:
            raise InputError(f"{len(sharpes)} trials with varying returns are too few", expected="at least 2")
        trials = max(int(spec["count"]), len(frame.columns))
        found = measure_deflated_sharpe(
            measure_moments(frame[best].to_numpy()),
            trials=trials,
            variance=float(np.var(sharpes, ddof=1)),
        )
        return {"value": found.probability, **msgspec.to_builtins(found)}

    def overfit() -> dict[str, Any]:
        blocks = min(_MAX_BLOCKS, len(frame) // _MIN_BLOCK_ROWS // 2 * 2)
        if blocks < 2 or frame.shape[1] < 2:
            raise InputError(
                f"{frame.shape[1]} trials over {len(frame)} days are too few", expected="2 trials, 4 days"
            )
        found = msgspec.to_builtins(measure_overfitting(frame.to_numpy(), blocks=blocks))
        found.pop("logits")
        return {"value": found["pbo"], **found}

    return {"deflated_sharpe": _try(deflate), "pbo": _try(overfit), "days": len(frame)}


def _try(measure_one: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        found = measure_one()
    except InputError as e:
        return {"value": None, "reason": str(e)}
    if not math.isfinite(found["value"]):
        return {"value": None, "reason": "it is no number"}
    return {**found, "reason": None}


def _varies(returns: pd.Series) -> bool:
    return bool(returns.std(ddof=1) > 0)


def _load_returns(paths: list[Path]) -> pd.DataFrame:
    """Return the daily returns of the runs side by side, on the days that all of them know."""
    columns = {}
    for path in paths:
        directory = RunDirectory(path)
        try:
            equity = directory.read_table("equity").to_pandas()
            periods = int(directory.read_json("metrics.json")["periods_per_year"])
            columns[str(path)] = build_daily_returns(build_daily_closes(equity, periods_per_year=periods))
        except (WorkbenchError, KeyError):  # It kept no results
            continue
    return pd.DataFrame(columns).dropna()


def _check_points(space: Grid | Study, found: dict[str, Any], runs: Path) -> None:
    config = parse_run_config(msgspec.json.encode(found["spec"]["config"]))
    with importable(sources_path(runs), found["spec"]["search_path"]):
        for point in space.find_corners():
            check_strategies(override_run_config(config, point), runs)


def _count_runs(space: Grid | Study, walk: WalkForward | None) -> int:
    return space.size if walk is None else walk.folds * (space.size + 1)
