"""Run configurations: read, checked, built with careful defaults, and written without secrets."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
    ImportableFillModelConfig,
)
from nautilus_trader.config import ImportableActorConfig, ImportableStrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.backtest.decoding import DECODE_ERRORS, decode_config, find_field
from workbench.errors import ConfigError, NotFoundError

__all__ = [
    "build_fill_model",
    "build_run_config",
    "load_run_config",
    "normalise_run_config",
    "override_run_config",
    "parse_run_config",
    "redact_run_config",
]

# The field of an error that is about the configuration as a whole.
_WHOLE = "config"
# What names a place or a way of running, not what is run.
_INCIDENTAL_RUN = ("chunk_size", "dispose_on_completion", "raise_exception")
_INCIDENTAL_ENGINE = ("logging", "loop_debug", "instance_id", "run_analysis")
_STORAGE = ("catalog_fs_storage_options", "catalog_fs_rust_storage_options")
_INCIDENTAL_DATA = ("catalog_path", "catalog_fs_protocol", "optimize_file_loading", *_STORAGE)


def load_run_config(path: Path) -> BacktestRunConfig:
    """
    Read a `BacktestRunConfig` from a JSON file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConfigError
        If the file is not such a configuration; the message names the field.

    """
    if not path.exists():
        raise NotFoundError(
            f"there is no file {path}", expected="a BacktestRunConfig as JSON", advice="check the path"
        )
    if path.is_dir():
        raise ConfigError(f"{path} is a directory", expected="a file with a BacktestRunConfig as JSON")
    try:
        text = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}") from e
    return parse_run_config(text.removeprefix(b"\xef\xbb\xbf"), origin=str(path))


def parse_run_config(text: bytes | str, *, origin: str = "the configuration") -> BacktestRunConfig:
    """
    Decode a `BacktestRunConfig` from JSON.

    Raises
    ------
    ConfigError
        If `text` is not JSON or not such a configuration; the message names the field.

    """
    try:
        return decode_config(BacktestRunConfig, text)
    except msgspec.ValidationError as e:
        raise ConfigError(
            f"{origin}: {e}",
            advice="see BacktestRunConfig in nautilus_trader's documentation",
            field=find_field(e) or _WHOLE,
        ) from e
    except msgspec.DecodeError as e:
        raise ConfigError(
            f"{origin} is not valid JSON: {e}", expected="a BacktestRunConfig as JSON", field=_WHOLE
        ) from e
    except DECODE_ERRORS as e:
        # Raised by nautilus's own types while they are built from their strings
        raise ConfigError(
            f"{origin}: {e}", expected="values that nautilus_trader accepts", field=_WHOLE
        ) from e


def override_run_config(config: BacktestRunConfig, overrides: dict[str, Any]) -> BacktestRunConfig:
    """
    Return the configuration with some values changed.

    Parameters
    ----------
    config : BacktestRunConfig
        The configuration.
    overrides : dict
        New values by path, such as ``engine.strategies.0.config.fast_ema_period``.

    Raises
    ------
    ConfigError
        If a path leads nowhere, or the changed configuration is not valid.

    """
    plain = json.loads(config.json())
    for path, value in overrides.items():
        *parents, last = path.split(".")
        place = plain
        for name in parents:
            place = _step(place, name, path)
        if not (isinstance(place, dict) or _is_index(place, last)):
            raise ConfigError(f"the override {path!r} leads nowhere at {last!r}", field=path)
        place[int(last) if isinstance(place, list) else last] = value
    return parse_run_config(json.dumps(plain), origin="the overrides")


def _step(place: Any, name: str, path: str) -> Any:
    if isinstance(place, dict) and name in place:
        return place[name]
    if _is_index(place, name):
        return place[int(name)]
    expected = ", ".join(place) if isinstance(place, dict) else "an index of the list"
    raise ConfigError(f"the override {path!r} leads nowhere at {name!r}", expected=expected, field=path)


def _is_index(place: Any, name: str) -> bool:
    return isinstance(place, list) and name.isdecimal() and int(name) < len(place)


def redact_run_config(config: BacktestRunConfig) -> dict[str, Any]:
    """Return the configuration as plain values without storage options, which may hold secrets."""
    plain: dict[str, Any] = json.loads(config.json())
    for data in plain["data"]:
        for key in _STORAGE:
            if data.get(key):
                data[key] = {"redacted": True}
    for catalog in (plain.get("engine") or {}).get("catalogs") or []:
        for key in ("fs_storage_options", "fs_rust_storage_options"):
            if catalog.get(key):
                catalog[key] = {"redacted": True}
    return plain


def normalise_run_config(config: BacktestRunConfig) -> dict[str, Any]:
    """
    Return what the configuration says about the result of a run, as plain values.

    Paths, storage options, chunk size and logging are left out: they say where and how a run is made. The
    data themselves are identified by their content.
    """
    plain = redact_run_config(config)
    for key in _INCIDENTAL_RUN:
        plain.pop(key, None)
    for data in plain["data"]:
        for key in _INCIDENTAL_DATA:
            data.pop(key, None)
    engine = plain.get("engine") or {}
    for key in _INCIDENTAL_ENGINE:
        engine.pop(key, None)
    return plain


def build_fill_model(
    *, prob_fill_on_limit: float = 0.0, prob_slippage: float = 1.0, random_seed: int = 42
) -> ImportableFillModelConfig:
    """
    Return a fill model that errs on the side of caution.

    Nautilus fills every limit order that the market touches and slips none. The defaults here fill a limit
    order only when the market trades through its price, and slip every taker fill by one tick.
    """
    return ImportableFillModelConfig(
        fill_model_path="nautilus_trader.backtest.models:FillModel",
        config_path="nautilus_trader.backtest.config:FillModelConfig",
        config={
            "prob_fill_on_limit": prob_fill_on_limit,
            "prob_slippage": prob_slippage,
            "random_seed": random_seed,
        },
    )


def build_run_config(
    strategies: list[ImportableStrategyConfig],
    *,
    catalog: Path | str,
    bar_types: list[str] | None = None,
    quotes: list[str] | None = None,
    trades: list[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    starting_balance: str = "1000000 USD",
    account_type: str = "MARGIN",
    oms_type: str = "NETTING",
    leverage: Decimal | str = "1",
    fill_model: ImportableFillModelConfig | None = None,
    risk: ImportableActorConfig | None = None,
) -> BacktestRunConfig:
    """
    Build the configuration of a backtest on catalog data, with careful and visible defaults.

    Fees are those of the instruments. Fills err on the side of caution (see `build_fill_model`), and what is
    filled is taken from the liquidity that the data show.

    Parameters
    ----------
    strategies : list[ImportableStrategyConfig]
        What to run; `build_strategy_config` makes one from a class, a file or an import path.
    catalog : Path or str
        The data catalog.
    bar_types, quotes, trades : list[str], optional
        The data: bar types such as ``GBP/USD.FXCM-1-MINUTE-BID-EXTERNAL``; instrument ids for ticks.
    start, end : str, optional
        The range, ISO 8601; without an offset it is UTC. Default: all data.
    starting_balance : str
        Amount and currency; the currency is the base currency of the account, but for a CASH account that
        trades currency pairs: it holds several, and is reported in this one.
    account_type, oms_type : str
        ``MARGIN`` or ``CASH``; ``NETTING`` or ``HEDGING``.
    leverage : Decimal or str
        The default leverage of a MARGIN account.
    fill_model : ImportableFillModelConfig, optional
        Default: `build_fill_model()`.
    risk : ImportableActorConfig, optional
        The limits that every order must pass, from `build_risk_gate`; default: none.

    Raises
    ------
    ConfigError
        If a value is not one that nautilus accepts, or no data are named.

    """
    try:
        money = Money.from_str(starting_balance)
    except (ValueError, ArithmeticError) as e:
        raise ConfigError(
            f"the starting balance is {starting_balance!r}",
            expected="for example 1000000 USD",
            field="starting_balance",
        ) from e
    try:
        default_leverage = float(leverage)
    except ValueError as e:
        raise ConfigError(f"the leverage is {leverage!r}", expected="a number", field="leverage") from e
    try:
        instruments = [BarType.from_str(b).instrument_id for b in bar_types or []]
        instruments += [InstrumentId.from_str(i) for i in [*(quotes or []), *(trades or [])]]
    except (ValueError, ArithmeticError) as e:
        raise ConfigError(str(e), expected="for example GBP/USD.SIM-1-MINUTE-BID-EXTERNAL") from e
    if not instruments:
        raise ConfigError("no data are named", expected="bar_types, quotes or trades")
    data = []
    path = str(catalog)
    if bar_types:
        data.append(BacktestDataConfig(catalog_path=path, data_cls=_name(Bar), bar_types=bar_types))
    for kind, ids in ((QuoteTick, quotes), (TradeTick, trades)):
        if ids:
            data.append(BacktestDataConfig(catalog_path=path, data_cls=_name(kind), instrument_ids=ids))

    def trades_currencies(venue: str) -> bool:
        """Return whether it is an account that holds what it buys, and buys currencies."""
        mine = [i for i in instruments if i.venue.value == venue]
        return (
            account_type == "CASH"
            and Path(path).is_dir()
            and any(
                isinstance(i, CurrencyPair) for i in ParquetDataCatalog(path).instruments(instrument_ids=mine)
            )
        )

    venues = [
        BacktestVenueConfig(
            name=venue,
            oms_type=oms_type,
            account_type=account_type,
            base_currency=None if trades_currencies(venue) else money.currency.code,
            starting_balances=[str(money)],
            default_leverage=default_leverage,
            fill_model=fill_model or build_fill_model(),
            liquidity_consumption=True,
        )
        for venue in sorted({i.venue.value for i in instruments})
    ]
    return BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=strategies, actors=[] if risk is None else [risk]),
        venues=venues,
        data=data,
        start=start,
        end=end,
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__name__}"
