"""What a run assumed and what ran, in words, from its configuration and manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.ui.formats import format_duration, format_time
from workbench.ui.risk_limits import describe_limits

__all__ = ["describe_assumptions", "describe_run", "describe_title"]

# What nautilus does where a BacktestVenueConfig names no model.
_DEFAULT_MODELS = {
    "fill_model": "nautilus's default: limit orders fill when touched, market orders without slippage",
    "fee_model": "nautilus's default: the maker and taker fees of the instrument",
    "latency_model": "none: orders reach the venue at once",
}


def _strategies(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    engine = config.get("engine") or {}
    return list(engine.get("strategies") or [])


def describe_title(config: Mapping[str, Any]) -> str:
    """Return the strategies and what they trade, in one line."""
    names = [str(s.get("strategy_path", "")).rpartition(":")[2] for s in _strategies(config)]
    traded = {str(item) for s in _strategies(config) for item in _find_instruments(s.get("config") or {})}
    return " ".join(part for part in (", ".join(names), ", ".join(sorted(traded))) if part) or "Backtest"


def _find_instruments(config: Mapping[str, Any]) -> Iterable[Any]:
    one = config.get("instrument_id")
    return [one] if one else list(config.get("instrument_ids") or [])


def describe_assumptions(config: Mapping[str, Any]) -> dict[str, str]:
    """
    Return what the simulation assumed.

    Parameters
    ----------
    config : Mapping
        A ``BacktestRunConfig`` as JSON.

    Returns
    -------
    dict of str to str
        Name -> text: parameters of the strategies; account, fees, fills, latency and book of each venue; risk limits;
        data.

    """
    facts: dict[str, str] = {}
    for strategy in _strategies(config):
        name = str(strategy.get("strategy_path", "strategy")).rpartition(":")[2]
        settings = {k: v for k, v in (strategy.get("config") or {}).items() if v is not None}
        _add(facts, name, ", ".join(f"{k} {_write(v)}" for k, v in settings.items()) or "default parameters")
    for venue in config.get("venues") or []:
        prefix = f"{venue.get('name', 'venue')} "
        balances = ", ".join(map(str, venue.get("starting_balances") or []))
        _add(
            facts,
            f"{prefix}account",
            f"{venue.get('account_type', '')}, {venue.get('oms_type', '')}, starts with {balances}",
        )
        leverage = venue.get("default_leverage")
        if leverage is not None:
            _add(facts, f"{prefix}leverage", _write(leverage))
        for key, label in (("fee_model", "fees"), ("fill_model", "fills"), ("latency_model", "latency")):
            model = venue.get(key)
            _add(facts, f"{prefix}{label}", _DEFAULT_MODELS[key] if not model else _describe_model(model))
        _add(facts, f"{prefix}book", str(venue.get("book_type") or "L1_MBP"))
    if limits := describe_limits(config):
        _add(facts, "Risk limits", limits)
    for data in config.get("data") or []:
        what = str(data.get("data_cls", "")).rpartition(":")[2]
        spec = data.get("bar_types") or data.get("bar_spec") or ""
        instruments = data.get("instrument_id") or ", ".join(map(str, data.get("instrument_ids") or []))
        span = " to ".join(
            _write_time(data[k]) for k in ("start_time", "end_time") if data.get(k) is not None
        )
        _add(facts, "Data", " ".join(filter(None, (what, str(instruments), _write(spec), span))))
    return facts


def _add(facts: dict[str, str], key: str, text: str) -> None:
    name, count = key, 2
    while name in facts:
        name, count = f"{key} ({count})", count + 1
    facts[name] = text


def _describe_model(model: Mapping[str, Any]) -> str:
    path = next(
        (str(value) for key, value in model.items() if key.endswith("_path") and ":" in str(value)), ""
    )
    settings = {k: v for k, v in (model.get("config") or {}).items() if v is not None}
    text = ", ".join(f"{k} {_write(v)}" for k, v in settings.items())
    return " ".join(filter(None, (path.rpartition(":")[2] or str(model), text)))


def _write(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_write, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_write(v)}" for k, v in value.items())
    return str(value)


def _write_time(value: object) -> str:
    return format_time(value)


def describe_run(manifest: Mapping[str, Any]) -> dict[str, str]:
    """
    Return what ran, when, with which versions, and the hashes by which it can be repeated.

    Parameters
    ----------
    manifest : Mapping
        A run's ``manifest.json``.

    """
    facts: dict[str, str] = {}
    for key, label in (("run_id", "Run"), ("state", "State")):
        if manifest.get(key):
            facts[label] = str(manifest[key])
    start, end = manifest.get("backtest_start"), manifest.get("backtest_end")
    if start is not None and end is not None:
        facts["Simulated, UTC"] = f"{format_time(start)} to {format_time(end)}"
    if manifest.get("started_at") is not None:
        facts["Started, UTC"] = format_time(manifest["started_at"], has_seconds=True)
    if manifest.get("elapsed_secs") is not None:
        facts["Took"] = format_duration(float(manifest["elapsed_secs"]))
    counts = [
        f"{int(manifest[k]):,} {k}"
        for k in ("events", "orders", "fills", "positions")
        if manifest.get(k) is not None
    ]
    if counts:
        facts["Counted"] = ", ".join(counts)
    for name, text in (manifest.get("versions") or {}).items():
        facts[f"{name}"] = str(text)
    for name, digest in (manifest.get("identity") or {}).items():
        facts[f"Hash of {name}"] = str(digest)
    return facts
