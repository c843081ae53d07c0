"""A run's configuration as plain JSON, changed field by field; what no field shows stays as it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import ConfigError
from workbench.ui.fields import read_number
from workbench.ui.places import MISSING, find_value

__all__ = [
    "BAR",
    "CAREFUL_FILLS",
    "STRATEGY",
    "Pick",
    "add_pick",
    "build_config",
    "build_venue",
    "choose_fee_model",
    "choose_fill_model",
    "choose_latency_model",
    "find_fee_model",
    "find_fill_model",
    "find_latency_model",
    "find_picks",
    "find_reporting_currency",
    "follow_data",
    "parse_config",
    "remove_pick",
    "set_account_type",
    "set_balances",
    "set_strategy",
]

type Config = dict[str, Any]
type Pick = tuple[str, str, str]
"""Data of a run: the catalog's path, the class of the data, and the bar type or the instrument."""

STRATEGY = "engine.strategies.0"
BAR = "nautilus_trader.model.data:Bar"
CAREFUL_FILLS: Mapping[str, Any] = {"prob_fill_on_limit": 0.0, "prob_slippage": 1.0, "random_seed": 42}

_MODELS = "nautilus_trader.backtest.models"
_CONFIGS = "nautilus_trader.backtest.config"
_FILLS = {
    "fill_model_path": f"{_MODELS}:FillModel",
    "config_path": f"{_CONFIGS}:FillModelConfig",
}
_LATENCY = {
    "latency_model_path": f"{_MODELS}:LatencyModel",
    "config_path": f"{_CONFIGS}:LatencyModelConfig",
}
_FEES: Mapping[str, Mapping[str, str]] = {
    "instrument": {
        "fee_model_path": f"{_MODELS}:MakerTakerFeeModel",
        "config_path": f"{_CONFIGS}:MakerTakerFeeModelConfig",
    },
    "fixed": {
        "fee_model_path": f"{_MODELS}:FixedFeeModel",
        "config_path": f"{_CONFIGS}:FixedFeeModelConfig",
    },
    "contract": {
        "fee_model_path": f"{_MODELS}:PerContractFeeModel",
        "config_path": f"{_CONFIGS}:PerContractFeeModelConfig",
    },
}
# What narrows an entry down: identifiers are added to plain entries only.
_NARROWING = ("instrument_id", "bar_spec", "start_time", "end_time", "filter_expr", "client_id", "metadata")


def parse_config(text: str) -> dict[str, Any]:
    """
    Return the configuration in a text.

    Raises
    ------
    ConfigError
        If it is not JSON, or not an object.

    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as e:
        raise ConfigError(
            f"this is not JSON: {e.msg}, line {e.lineno}, column {e.colno}",
            expected="a BacktestRunConfig as JSON",
        ) from e
    if not isinstance(found, dict):
        raise ConfigError("this is JSON, but not an object", expected="a BacktestRunConfig, in braces")
    return found


def build_config() -> Config:
    """Return a configuration in which nothing is chosen yet."""
    return {"engine": {"strategies": []}, "venues": [], "data": []}


def build_venue(
    name: str,
    *,
    starting_balance: str = "1000000.00 USD",
    account_type: str = "MARGIN",
    oms_type: str = "NETTING",
    leverage: float = 1.0,
    is_currency_pair: bool = False,
) -> Config:
    """
    Return a venue with the careful defaults of `workbench.build_run_config`.

    Parameters
    ----------
    name : str
        The venue of the instruments.
    starting_balance, account_type, oms_type, leverage
        Of the account.
    is_currency_pair : bool
        Whether currency pairs are traded: a CASH account then holds several currencies, and has no base.

    """
    is_of_several = is_currency_pair and account_type == "CASH"
    return {
        "name": name,
        "oms_type": oms_type,
        "account_type": account_type,
        "base_currency": None if is_of_several else starting_balance.rpartition(" ")[2],
        "starting_balances": [starting_balance],
        "default_leverage": leverage,
        "fill_model": choose_fill_model("careful"),
        "liquidity_consumption": True,
    }


# ---- the strategy


def set_strategy(config: Config, strategy_path: str, config_path: str, names: Sequence[str]) -> None:
    """Run another strategy; the parameters in `names`, which it has as well, stay as they are."""
    old = find_value(config, STRATEGY)
    kept = old.get("config") if isinstance(old, dict) else None
    parameters = {k: v for k, v in kept.items() if k in names} if isinstance(kept, dict) else {}
    engine = config.get("engine")
    if not isinstance(engine, dict):
        engine = config["engine"] = {}
    strategies = engine.get("strategies")
    if not isinstance(strategies, list):
        strategies = engine["strategies"] = []
    entry = {"strategy_path": strategy_path, "config_path": config_path, "config": parameters}
    strategies[:1] = [entry]


# ---- the data


def find_picks(config: Mapping[str, Any]) -> list[Pick]:
    """Return the bar types and instruments whose data are read, in the order of the configuration."""
    found: list[Pick] = []
    for entry in _find_entries(config):
        path, kind = str(entry.get("catalog_path") or ""), str(entry.get("data_cls") or "")
        found += [(path, kind, name) for name in _find_names(entry, kind)]
    return list(dict.fromkeys(found))


def _find_entries(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    data = config.get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _find_names(entry: Mapping[str, Any], kind: str) -> list[str]:
    """Return the identifiers of an entry, as nautilus builds them."""
    if kind == BAR and entry.get("bar_types"):
        return [str(b) for b in entry["bar_types"]]
    one = entry.get("instrument_id")
    names = [str(one)] if one else [str(i) for i in entry.get("instrument_ids") or []]
    return [f"{name}-{entry.get('bar_spec')}-EXTERNAL" for name in names] if kind == BAR else names


def add_pick(config: Config, pick: Pick) -> None:
    """Read these data too."""
    if pick in find_picks(config):
        return
    path, kind, name = pick
    key = "bar_types" if kind == BAR else "instrument_ids"
    if not isinstance(config.get("data"), list):
        config["data"] = []
    for entry in _find_entries(config):
        is_same = entry.get("catalog_path") == path and entry.get("data_cls") == kind
        if is_same and entry.get(key) and not any(entry.get(n) is not None for n in _NARROWING):
            entry[key].append(name)
            return
    config["data"].append({"catalog_path": path, "data_cls": kind, key: [name]})


def remove_pick(config: Config, pick: Pick) -> None:
    """Read these data no more."""
    path, kind, name = pick
    kept = []
    for entry in config.get("data") or []:
        is_same = isinstance(entry, dict) and (entry.get("catalog_path"), entry.get("data_cls")) == (
            path,
            kind,
        )
        if is_same and name in _find_names(entry, kind):
            if _find_names(entry, kind) == [name]:
                continue
            key = "bar_types" if entry.get("bar_types") else "instrument_ids"
            suffix = "" if key == "bar_types" or kind != BAR else f"-{entry.get('bar_spec')}-EXTERNAL"
            entry[key] = [one for one in entry[key] if f"{one}{suffix}" != name]
        kept.append(entry)
    config["data"] = kept


def follow_data(
    config: Config,
    datasets: Mapping[Pick, Mapping[str, Any]],
    *,
    before: Sequence[Pick] = (),
    names: Sequence[str] = (),
) -> None:
    """
    Bring venues and the strategy's instrument in line with the data.

    Each venue of the data gets an account: one that is there is kept, one that has lost its data lends its settings.
    The strategy's ``instrument_id`` and ``bar_type`` follow the first data where they were empty or followed it.

    Parameters
    ----------
    config : dict
        The configuration.
    datasets : Mapping
        What is known of the data.
    before : Sequence of Pick
        The data as they were.
    names : Sequence of str
        The parameters that the strategy has.

    """
    picks = find_picks(config)
    known = [datasets[pick] for pick in picks if pick in datasets]
    if known and len(known) == len(picks):
        _follow_venues(config, known)
    parameters = find_value(config, f"{STRATEGY}.config")
    if not isinstance(parameters, dict) or not known:
        return
    old = [datasets[pick] for pick in before if pick in datasets]
    for name, key, chosen in (
        ("instrument_id", "instrument_id", known),
        ("bar_type", "identifier", [d for d in known if d["data_type"] == "bars"]),
    ):
        followed = (None, "", *(d[key] for d in old))
        if name in names and chosen and parameters.get(name) in followed:
            parameters[name] = chosen[0][key]


def _follow_venues(config: Config, known: Sequence[Mapping[str, Any]]) -> None:
    names = sorted({str(d["venue"]) for d in known})
    old = [v for v in config.get("venues") or [] if isinstance(v, dict)]
    by_name = {str(v.get("name")): v for v in old}
    spare = [v for v in old if v.get("name") not in names]
    venues = []
    for name in names:
        mine = [d for d in known if d["venue"] == name]
        if name in by_name:
            venues.append(by_name[name])
        elif spare:
            venues.append({**spare.pop(0), "name": name})
        elif old:
            venues.append({**copy.deepcopy(old[0]), "name": name})
        else:
            venues.append(build_venue(name, is_currency_pair=_has_pair(mine)))
    if venues:
        config["venues"] = venues


def _has_pair(datasets: Sequence[Mapping[str, Any]]) -> bool:
    return any((d.get("instrument") or {}).get("kind") == "CurrencyPair" for d in datasets)


# ---- the account


def set_account_type(venue: Config, account_type: Any, *, is_currency_pair: bool) -> None:
    """Change the type of an account; its base currency goes where it must, or comes back."""
    before, venue["account_type"] = venue.get("account_type"), account_type
    if before == account_type or not is_currency_pair:
        return
    currencies = _find_currencies(venue)
    if account_type == "CASH":
        venue["base_currency"] = None
    elif before == "CASH" and len(currencies) == 1:
        venue["base_currency"] = currencies[0]


def set_balances(venue: Config, balances: Any) -> None:
    """Start with other amounts; a base currency that was that of the only balance stays so."""
    before = _find_currencies(venue)
    venue["starting_balances"] = balances
    after = _find_currencies(venue)
    if before == [venue.get("base_currency")] and after:
        venue["base_currency"] = after[0] if len(after) == 1 else None


def find_reporting_currency(config: Mapping[str, Any]) -> str:
    """Return the currency of a run's results: the base of its first venue, or that of its first balance."""
    venue = find_value(config, "venues.0")
    if not isinstance(venue, dict):
        return ""
    return str(venue.get("base_currency") or next(iter(_find_currencies(venue)), ""))


def _find_currencies(venue: Mapping[str, Any]) -> list[str]:
    balances = venue.get("starting_balances")
    texts = [str(b) for b in balances] if isinstance(balances, list) else []
    return [t.rpartition(" ")[2] for t in texts if read_number(t.rpartition(" ")[0]) is not None]


# ---- the models


def choose_fill_model(choice: str, before: Any = None) -> Config | None:
    """
    Return the fill model of a choice: ``careful``, ``nautilus`` (none), or ``custom`` (what was there).

    The careful one fills a limit order only when the market trades through its price, and slips what takes liquidity
    by one tick.
    """
    if choice == "custom":
        return dict(before) if isinstance(before, dict) else None
    return None if choice == "nautilus" else {**_FILLS, "config": dict(CAREFUL_FILLS)}


def find_fill_model(venue: Mapping[str, Any]) -> str:
    """Return which choice the fill model of a venue is: ``careful`` for nautilus's own class, with any numbers."""
    return _match(venue.get("fill_model"), "fill_model_path", {"careful": _FILLS}, nothing="nautilus")


def choose_fee_model(choice: str, before: Any = None) -> Config | None:
    """Return the fee model of a choice: ``instrument`` (none), ``fixed``, ``contract`` or ``custom``."""
    if choice == "custom":
        return dict(before) if isinstance(before, dict) else None
    if choice not in ("fixed", "contract"):
        return None
    old = find_value(before, "config.commission") if isinstance(before, dict) else MISSING
    return {**_FEES[choice], "config": {} if old is MISSING else {"commission": old}}


def find_fee_model(venue: Mapping[str, Any]) -> str:
    """Return which choice the fee model of a venue is."""
    return _match(venue.get("fee_model"), "fee_model_path", _FEES, nothing="instrument")


def choose_latency_model(choice: str, before: Any = None) -> Config | None:
    """Return the latency model of a choice: ``none``, ``fixed`` (50 ms for each command) or ``custom``."""
    if choice == "custom":
        return dict(before) if isinstance(before, dict) else None
    return {**_LATENCY, "config": {"base_latency_nanos": 50_000_000}} if choice == "fixed" else None


def find_latency_model(venue: Mapping[str, Any]) -> str:
    """Return which choice the latency model of a venue is."""
    return _match(venue.get("latency_model"), "latency_model_path", {"fixed": _LATENCY}, nothing="none")


def _match(model: Any, key: str, known: Mapping[str, Mapping[str, str]], *, nothing: str) -> str:
    if model is None or model is MISSING:
        return nothing
    if isinstance(model, dict):
        for choice, paths in known.items():
            if model.get(key) == paths[key] and model.get("config_path") == paths["config_path"]:
                return choice
    return "custom"
