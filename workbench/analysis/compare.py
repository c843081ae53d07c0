"""Several runs side by side: their metrics, and where their configurations differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.analysis.definitions import Metric
from workbench.errors import InputError

__all__ = ["build_config_diff", "build_metric_table", "flatten_config"]

_ABSENT = object()


def build_metric_table(
    runs: Mapping[str, Mapping[str, Metric]], *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """
    Return the metrics of several runs, a row each.

    Parameters
    ----------
    runs : Mapping[str, Mapping[str, Metric]]
        Metrics by run, as `build_headline` and `build_costs` return them or as ``metrics.json`` holds them.
    names : Sequence[str], optional
        The metrics to show, in order; default: all, in the order in which they first appear.

    Returns
    -------
    pd.DataFrame
        Index ``run``; ``currency`` (the unit of the run's money) and a column of plain values per metric,
        dtype object: ``None`` where a run has no such number.

    """
    if names is None:
        names = list(dict.fromkeys(name for metrics in runs.values() for name in metrics))
    rows = [
        [_find_currency(metrics), *(metrics[name]["value"] if name in metrics else None for name in names)]
        for metrics in runs.values()
    ]
    index = pd.Index(list(runs), name="run", dtype=object)
    return pd.DataFrame(rows, index=index, columns=["currency", *names], dtype=object)


def _find_currency(metrics: Mapping[str, Metric]) -> str | None:
    for name in ("pnl", "net_pnl"):
        if name in metrics:
            return metrics[name]["unit"]
    return None


def flatten_config(config: Mapping[str, object]) -> dict[str, object]:
    r"""
    Return a configuration as one level of dotted keys.

    Lists count from 0 (``data.0.instrument_id``); an empty list or object is a value of its own. A dot
    inside a key is written ``\.``, so that no two keys meet.

    Raises
    ------
    InputError
        If a value is not JSON.

    """
    flat: dict[str, object] = {}
    for key, value in config.items():
        _flatten(value, _escape(key), flat)
    return flat


def _flatten(value: object, prefix: str, flat: dict[str, object]) -> None:
    items: list[tuple[str, object]] = []
    if isinstance(value, Mapping):
        items = [(_escape(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(position), item) for position, item in enumerate(value)]
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise InputError(f"the configuration's {prefix} is a {type(value).__name__}", expected="a JSON value")
    if not items:
        flat[prefix] = value
        return
    for key, item in items:
        _flatten(item, f"{prefix}.{key}", flat)


def _escape(key: object) -> str:
    return str(key).replace("\\", "\\\\").replace(".", "\\.")


def build_config_diff(configs: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """
    Return where the configurations of several runs differ.

    Parameters
    ----------
    configs : Mapping[str, Mapping[str, object]]
        The content of ``config.json`` by run.

    Returns
    -------
    pd.DataFrame
        Index ``key`` (dotted, see `flatten_config`, in order of appearance), a column per run, dtype
        object: the value, ``None`` for null, ``pd.NA`` where the configuration has no such key. Keys on
        which all agree are left out. Values differ as JSON does: 1 and true differ, and so do 1 and 1.0.

    """
    flat = {run: flatten_config(config) for run, config in configs.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    different = [
        key for key in keys if len({_write(values.get(key, _ABSENT)) for values in flat.values()}) > 1
    ]
    columns = {
        run: pd.Series([values.get(key, pd.NA) for key in different], dtype=object)
        for run, values in flat.items()
    }
    frame = pd.DataFrame(columns, columns=list(flat), dtype=object)
    frame.index = pd.Index(different, name="key", dtype=object)
    return frame


def _write(value: object) -> str:
    return "" if value is _ABSENT else json.dumps(value, sort_keys=True)
