"""Random configurations: valid ones, and ones with a single thing wrong in a random place."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from nautilus_trader.backtest.config import BacktestRunConfig

from tests.backtest.tiny import (
    ASK,
    BID,
    LAST,
    MARKER,
    NAME,
    START,
    add_bars,
    add_ticks,
    build_catalog,
    prices,
)
from workbench.backtest.capture import SourceModule

__all__ = ["Invalid", "Valid", "build_invalid", "build_valid", "write_catalog"]

Plain = dict[str, Any]

_EXAMPLES = "nautilus_trader.examples.strategies"
_DATA = "nautilus_trader.model.data"
_TICKS = 400
_END = START + pd.Timedelta(minutes=239)


class Valid(NamedTuple):
    """A configuration that can run, and the captured modules that it needs."""

    config: Plain
    sources: dict[str, str]


class Invalid(NamedTuple):
    """A configuration that cannot run: what is wrong, and the place that must be named, or one above it."""

    config: Plain
    what: str
    field: str


def write_catalog(path: Path) -> Path:
    """Make a catalog with bars of three sides, quotes and trades."""
    build_catalog(path)
    add_bars(path, prices(shift="0.00005"), "LAST")
    times = pd.date_range(START, periods=_TICKS, freq="20s", name="timestamp")
    bids = [Decimal("1.50000") + Decimal((i * 37) % 101 - 50) / 100_000 for i in range(_TICKS)]
    asks = [bid + Decimal("0.00003") for bid in bids]
    add_ticks(path, "quotes", pd.DataFrame({"bid": bids, "ask": asks}, index=times, dtype=object))
    side = ["BUY" if i % 3 else "SELL" for i in range(_TICKS)]
    add_ticks(
        path,
        "trades",
        pd.DataFrame(
            {"price": bids, "size": 100_000, "side": side, "trade_id": range(_TICKS)},
            index=times,
            dtype=object,
        ),
    )
    return path


# -- VALID ----------------------------------------------------------------------------------------


def build_valid(rng: random.Random, catalog: Path) -> Valid:
    """Return a configuration that nautilus accepts and that has nothing to stumble over."""
    data, bar_types = _choose_data(rng, catalog)
    is_cash = rng.random() < 0.3
    sources: dict[str, str] = {}
    strategies = [_choose_strategy(rng, i, bar_types, sources) for i in range(rng.choice((1, 1, 1, 2, 3)))]
    config: Plain = {
        "engine": _choose_engine(rng, strategies),
        "venues": [_choose_venue(rng, is_cash)],
        "data": data,
    }
    if rng.random() < 0.5:
        config["start"] = _show(rng, START + pd.Timedelta(minutes=rng.randrange(60)))
    if rng.random() < 0.5:
        config["end"] = _show(rng, START + pd.Timedelta(minutes=rng.randrange(70, 300)))
    if rng.random() < 0.5:
        config["chunk_size"] = rng.choice((0, 1, 7, 50, 1_000, 1_000_000))
    return Valid(config, sources)


def _show(rng: random.Random, time: pd.Timestamp) -> str | int:
    return rng.choice((time.isoformat(), time.tz_localize(None).isoformat(), int(time.as_unit("ns").value)))


def _choose_data(rng: random.Random, catalog: Path) -> tuple[list[Plain], list[str]]:
    """Return entries, and bar types that strategies can listen to."""

    def entry(kind: str, **ids: Any) -> Plain:
        return {"catalog_path": str(catalog), "data_cls": f"{_DATA}:{kind}", **ids}

    quotes = entry("QuoteTick", **rng.choice(({"instrument_id": NAME}, {"instrument_ids": [NAME]})))
    trades = entry("TradeTick", instrument_ids=[NAME])
    both = entry("Bar", bar_types=[BID, ASK])
    apart = [entry("Bar", bar_types=[side]) for side in (BID, ASK)]
    last = entry("Bar", instrument_id=NAME, bar_spec="1-MINUTE-LAST")
    inside = [f"{NAME}-{n}-MINUTE-{p}-INTERNAL" for n in (1, 5) for p in ("MID", "BID", "ASK")]
    traded = [
        f"{NAME}-1-MINUTE-LAST-INTERNAL",
        f"{NAME}-30-SECOND-LAST-INTERNAL",
        f"{NAME}-10-TICK-LAST-INTERNAL",
    ]
    return rng.choice(
        (
            ([both], [BID, ASK]),
            (apart, [BID, ASK]),
            ([last], [LAST]),
            ([quotes], inside),
            ([trades], traded),
            ([quotes, trades], inside + traded),
            ([both, quotes], [BID, ASK, *inside]),
            ([last, trades], [LAST, *traded]),
        )
    )


def _choose_strategy(rng: random.Random, i: int, bar_types: list[str], sources: dict[str, str]) -> Plain:
    fast = rng.randint(2, 10)
    base: Plain = {"instrument_id": NAME, "order_id_tag": f"{i:03}"}
    size = str(rng.choice((1_000, 10_000, 25_000)))
    crossing = {
        **base,
        "bar_type": rng.choice(bar_types),
        "trade_size": size,
        "fast_ema_period": fast,
        "slow_ema_period": fast + rng.randint(1, 15),
    }
    atr = {"atr_period": rng.randint(2, 20)}
    choices: list[tuple[str, str, Plain]] = [
        ("ema_cross", "EMACross", crossing | {"request_bars": rng.random() < 0.5}),
        ("ema_cross_long_only", "EMACrossLongOnly", crossing),
        (
            "ema_cross_bracket",
            "EMACrossBracket",
            crossing | atr | {"bracket_distance_atr": rng.uniform(1, 5)},
        ),
        (
            "bb_mean_reversion",
            "BBMeanReversion",
            {k: crossing[k] for k in (*base, "bar_type", "trade_size")}
            | {
                "bb_period": rng.randint(2, 20),
                "rsi_period": rng.randint(2, 14),
                "bb_std": rng.uniform(0.5, 2.5),
            },
        ),
        (
            "grid_market_maker",
            "GridMarketMaker",
            {
                **base,
                "max_position": "100000",
                "trade_size": size,
                "num_levels": rng.randint(1, 4),
                "grid_step_bps": rng.randint(1, 20),
            },
        ),
        (
            "volatility_market_maker",
            "VolatilityMarketMaker",
            {k: crossing[k] for k in (*base, "bar_type", "trade_size")}
            | atr
            | {"atr_multiple": rng.uniform(0.5, 4)},
        ),
        (
            "captured",
            "Marker",
            {"mark": str(rng.random()), "every": rng.randint(1, 90), "order_id_tag": f"{i:03}"},
        ),
    ]
    module, name, config = rng.choice(choices)
    if module == "captured":
        source = SourceModule.from_text(MARKER)
        sources[source.name] = source.text
        path = source.name
    else:
        path = f"{_EXAMPLES}.{module}"
    return {"strategy_path": f"{path}:{name}", "config_path": f"{path}:{name}Config", "config": config}


def _choose_engine(rng: random.Random, strategies: list[Plain]) -> Plain:
    engine: Plain = {"strategies": strategies}
    if rng.random() < 0.3:
        engine["trader_id"] = f"TESTER-{rng.randrange(1_000):03}"
    if rng.random() < 0.2:
        engine["risk_engine"] = {"bypass": rng.random() < 0.5, "max_order_submit_rate": "1000/00:00:01"}
    if rng.random() < 0.2:
        engine["run_analysis"] = rng.random() < 0.5
    return engine


def _choose_venue(rng: random.Random, is_cash: bool) -> Plain:
    venue: Plain = {
        "name": "SIM",
        "oms_type": rng.choice(("NETTING", "HEDGING")),
        "account_type": "CASH" if is_cash else "MARGIN",
        "starting_balances": [f"{rng.randint(100_000, 5_000_000)} USD"],
    }
    if is_cash:
        venue["starting_balances"].append(f"{rng.randint(100_000, 1_000_000)} GBP")
    else:
        venue["base_currency"] = "USD"
        venue["default_leverage"] = rng.choice((1.0, 2.5, 30.0))
    for name, default in (
        ("reject_stop_orders", True),
        ("support_contingent_orders", True),
        ("use_position_ids", True),
        ("use_reduce_only", True),
        ("bar_adaptive_high_low_ordering", False),
        ("liquidity_consumption", False),
        ("use_market_order_acks", False),
        ("use_random_ids", False),
    ):
        if rng.random() < 0.15:
            venue[name] = not default
    if rng.random() < 0.6:
        venue["fill_model"] = _model(
            "fill",
            "FillModel",
            prob_fill_on_limit=rng.random(),
            prob_slippage=rng.random(),
            random_seed=rng.randrange(99),
        )
    if rng.random() < 0.4:
        venue["fee_model"] = rng.choice(
            (
                _model("fee", "MakerTakerFeeModel"),
                _model("fee", "FixedFeeModel", commission=f"{rng.randint(1, 5)} USD"),
                _model("fee", "PerContractFeeModel", commission="0.01 USD"),
            )
        )
    if rng.random() < 0.3:
        venue["latency_model"] = _model("latency", "LatencyModel", base_latency_nanos=rng.randrange(10**9))
    if not is_cash and rng.random() < 0.3:
        venue["margin_model"] = {"model_type": rng.choice(("standard", "leveraged"))}
    return venue


def _model(what: str, name: str, **config: Any) -> Plain:
    return {
        f"{what}_model_path": f"nautilus_trader.backtest.models:{name}",
        "config_path": f"nautilus_trader.backtest.config:{name}Config",
        "config": config,
    }


# -- INVALID --------------------------------------------------------------------------------------

# What may hold any value, or an object.
_FREE = (
    "catalog_fs_storage_options",
    "catalog_fs_rust_storage_options",
    "metadata",
    "leverages",
    "settlement_prices",
    "data_clients",
    "config",
    "log_component_levels",
    "max_notional_per_order",
    "time_bars_origin_offset",
    "clear_log_file",
)
# Objects that are made of ``None`` when nothing is said, so that an empty one would be right.
_OBJECTS = (
    "cache",
    "message_bus",
    "portfolio",
    "emulator",
    "streaming",
    "controller",
    "logging",
    "margin_model",
    "fill_model",
    "fee_model",
    "latency_model",
)


def build_invalid(rng: random.Random, catalog: Path) -> Invalid:
    """Return a valid configuration with one thing wrong."""
    config = build_valid(rng, catalog).config
    mutation = rng.choice(_MUTATIONS)
    return Invalid(*mutation(rng, copy.deepcopy(config)))


def _fill_in(config: Plain) -> Plain:
    """Return the configuration with every default written out."""
    plain: Plain = json.loads(BacktestRunConfig.parse(json.dumps(config)).json())
    return plain


def _walk(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield (path, parent, key, value) of everything inside that has a type of its own."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        if key in _FREE:
            continue
        place = f"{path}.{key}".removeprefix(".")
        yield place, value, key, inner
        yield from _walk(inner, place)


def _wrong_type(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config = _fill_in(config)
    places = [p for p in _walk(config) if not isinstance(p[3], dict) and p[2] not in _OBJECTS]
    path, parent, key, value = rng.choice(places)
    parent[key] = {"wrong": [1]}
    return config, f"an object in the place of {value!r}", path


def _unknown_field(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config = _fill_in(config)
    places = [("", config)] + [(p[0], p[3]) for p in _walk(config) if isinstance(p[3], dict)]
    path, inner = rng.choice(places)
    inner["no_such_field"] = 1
    return config, "an unknown field", f"{path}.no_such_field".removeprefix(".")


def _strategy_of(config: Plain, rng: random.Random) -> tuple[str, Plain]:
    """Return one of the strategies, in the place of whatever was chosen an EMA cross."""
    i = rng.randrange(len(config["engine"]["strategies"]))
    path = f"{_EXAMPLES}.ema_cross:EMACross"
    strategy = {
        "strategy_path": path,
        "config_path": f"{path}Config",
        "config": {
            "instrument_id": NAME,
            "bar_type": BID,
            "trade_size": "1000",
            "fast_ema_period": 3,
            "slow_ema_period": 5,
            "order_id_tag": f"{i:03}",
        },
    }
    config["engine"]["strategies"][i] = strategy
    return f"engine.strategies.{i}", strategy


def _strategy_parameter(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    path, strategy = _strategy_of(config, rng)
    name, value = rng.choice(
        (
            ("fast_ema_period", "ten"),
            ("fast_ema_period", 0),
            ("fast_ema_period", -3),
            ("slow_ema_period", 2.5),
            ("slow_ema_period", None),
            ("trade_size", "much"),
            ("trade_size", {}),
            ("instrument_id", "nonsense"),
            ("instrument_id", 7),
            ("bar_type", "GBP/USD.SIM"),
            ("bar_type", None),
            ("order_time_in_force", "SOON"),
            ("subscribe_quote_ticks", "yes"),
            ("no_such_parameter", 1),
            ("strategy_id", "X"),
            ("oms_type", 7),
            ("external_order_claims", ["x"]),
        )
    )
    strategy["config"][name] = value
    return config, f"{name} = {value!r}", f"{path}.config.{name}"


def _strategy_missing_parameter(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    path, strategy = _strategy_of(config, rng)
    name = rng.choice(("instrument_id", "bar_type", "trade_size"))
    del strategy["config"][name]
    return config, f"no {name}", f"{path}.config.{name}"


def _strategy_constructor(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    path, strategy = _strategy_of(config, rng)
    strategy["config"] |= {"fast_ema_period": 9, "slow_ema_period": rng.randint(1, 9)}
    return config, "a slow average that is not slower", f"{path}.config"


def _strategy_twice(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    _, strategy = _strategy_of(config, rng)
    config["engine"]["strategies"].append(copy.deepcopy(strategy))
    i = len(config["engine"]["strategies"]) - 1
    return config, "two strategies with one id", f"engine.strategies.{i}.config"


def _strategy_path(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    path, strategy = _strategy_of(config, rng)
    field = rng.choice(("strategy_path", "config_path"))
    strategy[field] = rng.choice(
        (
            "no.such.module:Class",
            f"{_EXAMPLES}.ema_cross:NoSuchClass",
            "decimal:Decimal",
            "json:dumps",
            "nonsense",
            "",
            "workbench_strategy_0123456789abcdef:Gone",
            "/no/such/file.py:Class",
            ":",
        )
    )
    return config, f"{field} = {strategy[field]!r}", f"{path}.{field}"


def _set(path: str, *values: Any, field: str | None = None) -> Callable[..., tuple[Plain, str, str]]:
    """Return a mutation that puts one of `values` at `path`."""

    def mutate(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
        value = rng.choice(values)
        *parents, last = path.split(".")
        place: Any = config
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)
        return config, f"{path} = {value!r}", path if field is None else field

    return mutate


def _end_before_start(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    middle = START + pd.Timedelta(minutes=rng.randint(10, 100))
    config |= {"start": middle.isoformat(), "end": (middle - pd.Timedelta(minutes=1)).isoformat()}
    return config, "an end before the start", "end"


def _entry_end_before_start(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    i = rng.randrange(len(config["data"]))
    config["data"][i] |= {"start_time": "2012-02-01T02:00:00", "end_time": "2012-02-01T01:00:00"}
    return config, "an entry with an end before its start", f"data.{i}.end_time"


def _range_without_data(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config.pop("end", None)
    config["start"] = (_END + pd.Timedelta(days=rng.randint(1, 900))).isoformat()
    return config, "a range without data", "start"


def _range_too_early(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config.pop("start", None)
    config["end"] = (START - pd.Timedelta(days=rng.randint(1, 900))).isoformat()
    return config, "a range that ends too early", "end"


def _unknown_instrument(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    i = rng.randrange(len(config["data"]))
    text = json.dumps(config["data"][i]).replace("GBP/USD.SIM", "EUR/USD.SIM")
    config["data"][i] = json.loads(text)
    return config, "an instrument that the catalog does not have", f"data.{i}"


def _unknown_bars(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    kind = rng.choice(("7-MINUTE-BID-EXTERNAL", "1-MINUTE-MID-EXTERNAL", "1-DAY-ASK-EXTERNAL"))
    config["data"][0] = {
        "catalog_path": config["data"][0]["catalog_path"],
        "data_cls": f"{_DATA}:Bar",
        "bar_types": [f"{NAME}-{kind}"],
    }
    return config, "bars that the catalog does not have", "data.0.bar_types"


def _one_side(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config["data"] = [
        {
            "catalog_path": config["data"][0]["catalog_path"],
            "data_cls": f"{_DATA}:Bar",
            "bar_types": [rng.choice((BID, ASK))],
        }
    ]
    return config, "bars of one side", "data.0"


def _venue_twice(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config["venues"].append(copy.deepcopy(config["venues"][0]))
    return config, "a venue twice", "venues.1.name"


def _cash(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    """Change the account to one that cannot trade a currency pair, or cannot have leverage."""
    venue = config["venues"][0]
    venue.pop("margin_model", None)
    if rng.random() < 0.5:
        venue |= {"account_type": "CASH", "base_currency": "USD", "starting_balances": ["1000000 USD"]}
        venue.pop("default_leverage", None)
        return config, "a currency pair on an account of one currency", "venues.0"
    venue |= {"account_type": "CASH", "default_leverage": 5.0, "starting_balances": ["1000000 USD"]}
    venue.pop("base_currency", None)
    return config, "leverage on a CASH account", "venues.0"


def _other_currency(rng: random.Random, config: Plain) -> tuple[Plain, str, str]:
    config["venues"][0] |= {
        "base_currency": "EUR",
        "starting_balances": rng.choice((["1 USD"], ["1 EUR", "1 USD"])),
    }
    return config, "a balance that is not in the base currency", "venues.0.starting_balances"


_VENUE = "venues.0"
_MUTATIONS: list[Callable[[random.Random, Plain], tuple[Plain, str, str]]] = [
    *[_wrong_type] * 12,
    *[_unknown_field] * 4,
    *[_strategy_parameter] * 6,
    _strategy_missing_parameter,
    _strategy_constructor,
    _strategy_twice,
    *[_strategy_path] * 3,
    _end_before_start,
    _entry_end_before_start,
    _range_without_data,
    _range_too_early,
    _unknown_instrument,
    _unknown_bars,
    _one_side,
    _venue_twice,
    _cash,
    _other_currency,
    _set("start", "soon", "", "NaT", "1600-01-01", "9999-01-01", -1, 2**63, "1960-01-01", [1]),
    _set("end", "2012-13-01", "later", 2**80, -5),
    _set("chunk_size", -1, -1_000_000, 2**70, "all", 1.5),
    _set("data", [], None, {}),
    _set("venues", [], None, "SIM"),
    _set("engine.trader_id", "X", "", 7, "-", "Ü-1"),
    _set("engine.environment", "LIVE", "NOWHERE"),
    _set("engine.instance_id", "x"),
    _set(
        "engine.logging",
        {"log_level": "LOUD"},
        {"log_level_file": "LOUD"},
        {"log_component_levels": {"A": "LOUD"}},
    ),
    _set(
        "engine.risk_engine", {"max_order_submit_rate": "often"}, {"max_notional_per_order": {"nonsense": 1}}
    ),
    _set("engine.cache", {"capacity": "much"}, {"tick_capacity": 0}, {"tick_capacity": -1}),
    _set("engine.actors", [{"actor_path": "no.where:A", "config_path": "no.where:B", "config": {}}]),
    _set("engine.exec_algorithms", [{"exec_algorithm_path": "no.where:A", "config_path": "b", "config": {}}]),
    _set("engine.controller", {"controller_path": "no.where:A", "config_path": "b", "config": {}}),
    _set("data.0.catalog_path", "/no/such/catalog", "", "\x00", 7),
    _set(
        "data.0.data_cls", "no.where:Bar", f"{_DATA}:Nothing", "decimal:Decimal", "json:dumps", "nonsense", ""
    ),
    _set("data.0.catalog_fs_protocol", "s3", "gcs", "nonsense"),
    _set("data.0.instrument_id", "nonsense", "", ".", "GBP/USD.", 7, field="data.0"),
    _set("data.0.filter_expr", "field(", "print(1)", "field('no_such_column') > 1", "1"),
    _set("data.0.start_time", "soon", -1, "1600-01-01"),
    _set("data.0.end_time", "later", "2012-13-01"),
    _set("venues.0.name", "XNAS", "", "Börse", " ", None, field=""),
    _set("venues.0.oms_type", "NOPE", "netting", None, 77, "UNSPECIFIED"),
    _set("venues.0.account_type", "NOPE", "", None, 5, field=_VENUE),
    _set("venues.0.book_type", "L9", "L2_MBP", "L3_MBO", None),
    _set("venues.0.oto_trigger_mode", "NOPE", None),
    _set(
        "venues.0.starting_balances",
        [],
        ["-1 USD"],
        ["much"],
        ["1000"],
        ["-5 GBP"],
        "1 USD",
    ),
    _set("venues.0.starting_balances.0", "-0.01 USD", "USD", "1e400 USD", "nan USD", "1 1 USD", None, 1_000),
    _set("venues.0.base_currency", "NOSUCH", "", 7, field=_VENUE),
    _set("venues.0.default_leverage", 0, -1.0, 0.5, "ten", None, field=_VENUE),
    _set("venues.0.leverages", {NAME: 0.0}, {"nonsense": 2.0}, {NAME: "x"}, [], field=_VENUE),
    _set("venues.0.settlement_prices", {"nonsense": 1.0}, {NAME: "x"}),
    _set("venues.0.price_protection_points", -1, 2**100, "x", field=_VENUE),
    _set(
        "venues.0.margin_model", {"model_type": "nonsense"}, {"model_type": "json:dumps"}, {"model_type": 3}
    ),
    _set(
        "venues.0.fill_model",
        _model("fill", "FillModel", prob_slippage=2.0),
        _model("fill", "FillModel", prob_slippage="much"),
        _model("fill", "FillModel", nothing=1),
        _model("fill", "NoSuchModel"),
        {},
    ),
    _set(
        "venues.0.fee_model",
        _model("fee", "FixedFeeModel"),
        _model("fee", "FixedFeeModel", commission="much"),
        _model("fee", "FixedFeeModel", commission="-1 USD"),
        _model("fee", "NoSuchModel"),
    ),
    _set(
        "venues.0.latency_model",
        _model("latency", "LatencyModel", base_latency_nanos=-1),
        _model("latency", "LatencyModel", base_latency_nanos="soon"),
        _model("latency", "LatencyModel", base_latency_nanos=2**70),
    ),
    _set("venues.0.modules", [{"actor_path": "no.where:A", "config_path": "no.where:B", "config": {}}]),
]
