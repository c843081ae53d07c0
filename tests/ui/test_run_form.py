"""The form's configuration is the one that `build_run_config` builds, and changes keep what they do not touch."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.config import ImportableStrategyConfig

from tests.backtest.tiny import ASK, BID, build_catalog
from workbench.backtest.configuration import build_fill_model, build_run_config, parse_run_config
from workbench.backtest.venues import check_venues
from workbench.ui.run_form import (
    BAR,
    add_pick,
    build_config,
    choose_fee_model,
    choose_fill_model,
    choose_latency_model,
    find_fee_model,
    find_fill_model,
    find_latency_model,
    find_picks,
    follow_data,
    remove_pick,
    set_account_type,
    set_balances,
    set_strategy,
)

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"
PARAMETERS = {"instrument_id": "GBP/USD.SIM", "bar_type": BID, "trade_size": "100000"}
QUOTES = "nautilus_trader.model.data:QuoteTick"
PICKS = st.lists(
    st.tuples(
        st.sampled_from(("/a", "/b")), st.sampled_from((BAR, QUOTES)), st.sampled_from(("X.A", "Y.B", "Z.A"))
    ),
    unique=True,
    max_size=6,
)


def describe(path: str, identifier: str = BID, *, kind: str = "CurrencyPair") -> dict[str, Any]:
    instrument = identifier.split("-")[0]
    return {
        "id": f"default/bars/{identifier}",
        "catalog": "default",
        "catalog_path": path,
        "data_type": "bars",
        "data_cls": BAR,
        "identifier": identifier,
        "instrument_id": instrument,
        "venue": instrument.rpartition(".")[2],
        "bar_spec": "1-MINUTE-BID",
        "instrument": {"kind": kind, "base_currency": "GBP"},
    }


def fill_in(path: str, *identifiers: str, kind: str = "CurrencyPair") -> dict[str, Any]:
    config = build_config()
    set_strategy(config, EMA, f"{EMA}Config", [])
    datasets = {}
    for identifier in identifiers:
        dataset = describe(path, identifier, kind=kind)
        datasets[(path, BAR, identifier)] = dataset
        add_pick(config, (path, BAR, identifier))
    follow_data(config, datasets, names=["instrument_id", "bar_type", "trade_size"])
    config["engine"]["strategies"][0]["config"]["trade_size"] = "100000"
    return config


@pytest.mark.parametrize("account_type", ["MARGIN", "CASH"])
def test_filled_in_form_is_what_build_run_config_builds(tmp_path: Path, account_type: str) -> None:
    catalog = build_catalog(tmp_path / "catalog")
    strategy = ImportableStrategyConfig(strategy_path=EMA, config_path=f"{EMA}Config", config=PARAMETERS)
    built = build_run_config(
        [strategy],
        catalog=catalog,
        bar_types=[BID, ASK],
        start="2012-02-01T00:00:00Z",
        leverage="20" if account_type == "MARGIN" else "1",
        account_type=account_type,
    )
    form = fill_in(str(catalog), BID, ASK)
    form["start"], form["end"] = "2012-02-01T00:00:00Z", None
    venue = form["venues"][0]
    if account_type == "MARGIN":
        venue["default_leverage"] = 20.0
    else:
        set_account_type(venue, "CASH", is_currency_pair=True)

    made = parse_run_config(json.dumps(form))

    assert json.loads(made.json()) == json.loads(built.json())
    check_venues(made)


def test_account_that_comes_back_from_cash_has_its_base_currency_again() -> None:
    venue = fill_in("/c", BID)["venues"][0]
    set_account_type(venue, "CASH", is_currency_pair=True)
    assert venue["base_currency"] is None
    set_account_type(venue, "MARGIN", is_currency_pair=True)
    assert venue["base_currency"] == "USD"
    set_account_type(venue, "CASH", is_currency_pair=False)
    assert venue["base_currency"] == "USD"


def test_base_currency_follows_the_only_balance() -> None:
    venue = fill_in("/c", BID)["venues"][0]
    set_balances(venue, ["5 BTC"])
    assert venue["base_currency"] == "BTC"
    set_balances(venue, ["5 BTC", "100 USD"])
    assert venue["base_currency"] is None
    set_balances(venue, ["5 BTC"])
    assert venue["base_currency"] is None


def test_careful_fill_model_is_the_one_of_the_library() -> None:
    assert choose_fill_model("careful") == json.loads(build_fill_model().json())


@pytest.mark.parametrize(
    ("choose", "find", "key", "choices"),
    [
        (choose_fill_model, find_fill_model, "fill_model", ("careful", "nautilus")),
        (choose_fee_model, find_fee_model, "fee_model", ("instrument", "fixed", "contract")),
        (choose_latency_model, find_latency_model, "latency_model", ("none", "fixed")),
    ],
)
def test_chosen_models_are_found_again_and_nautilus_makes_them(
    choose: Any, find: Any, key: str, choices: tuple[str, ...]
) -> None:
    for choice in choices:
        config = fill_in("/c", BID)
        model = choose(choice)
        config["venues"][0][key] = model
        assert find(config["venues"][0]) == choice
        if choice in ("fixed", "contract") and key == "fee_model":
            model["config"]["commission"] = "2.50 USD"
        check_venues(parse_run_config(json.dumps(config)))
    custom = {f"{key}_path": "mine:Model", "config_path": "mine:Config", "config": {}}
    assert find({key: custom}) == "custom"
    assert choose("custom", custom) == custom


@given(PICKS)
def test_picks_are_found_as_they_were_added_and_removed(picks: list[tuple[str, str, str]]) -> None:
    config = build_config()
    for pick in [*picks, *picks]:
        add_pick(config, pick)
    assert sorted(find_picks(config)) == sorted(picks)
    for pick in picks[1:]:
        remove_pick(config, pick)
    assert find_picks(config) == picks[:1]


def test_entries_in_other_forms_are_found_kept_and_left_out() -> None:
    narrowed = {"catalog_path": "/c", "data_cls": BAR, "bar_types": [BID], "start_time": "2012-02-01"}
    old = {
        "catalog_path": "/c",
        "data_cls": BAR,
        "instrument_ids": ["A.SIM", "B.SIM"],
        "bar_spec": "1-HOUR-LAST",
    }
    config: dict[str, Any] = {"data": [copy.deepcopy(narrowed), old]}
    assert find_picks(config) == [
        ("/c", BAR, BID),
        ("/c", BAR, "A.SIM-1-HOUR-LAST-EXTERNAL"),
        ("/c", BAR, "B.SIM-1-HOUR-LAST-EXTERNAL"),
    ]
    add_pick(config, ("/c", BAR, ASK))
    remove_pick(config, ("/c", BAR, "A.SIM-1-HOUR-LAST-EXTERNAL"))
    assert config["data"] == [
        narrowed,
        {**old, "instrument_ids": ["B.SIM"]},
        {"catalog_path": "/c", "data_cls": BAR, "bar_types": [ASK]},
    ]


def test_other_data_take_venue_instrument_and_bars_with_them() -> None:
    other = "EUR/USD.IDEAL-1-MINUTE-BID-EXTERNAL"
    config = fill_in("/c", BID)
    config["venues"][0]["default_leverage"] = 30.0
    before = find_picks(config)
    datasets = {("/c", BAR, name): describe("/c", name) for name in (BID, other)}
    remove_pick(config, before[0])
    add_pick(config, ("/c", BAR, other))
    follow_data(config, datasets, before=before, names=["instrument_id", "bar_type"])
    assert [(v["name"], v["default_leverage"]) for v in config["venues"]] == [("IDEAL", 30.0)]
    assert config["engine"]["strategies"][0]["config"]["bar_type"] == other

    # What somebody has chosen stays.
    config["engine"]["strategies"][0]["config"]["bar_type"] = "EUR/USD.IDEAL-5-MINUTE-BID-INTERNAL"
    follow_data(config, datasets, before=find_picks(config), names=["instrument_id", "bar_type"])
    assert config["engine"]["strategies"][0]["config"]["bar_type"] == "EUR/USD.IDEAL-5-MINUTE-BID-INTERNAL"


def test_second_venue_starts_with_the_settings_of_the_first() -> None:
    other = "EUR/USD.IDEAL-1-MINUTE-BID-EXTERNAL"
    config = fill_in("/c", BID)
    config["venues"][0]["oms_type"] = "HEDGING"
    add_pick(config, ("/c", BAR, other))
    follow_data(config, {("/c", BAR, name): describe("/c", name) for name in (BID, other)})
    assert [(v["name"], v["oms_type"]) for v in config["venues"]] == [
        ("IDEAL", "HEDGING"),
        ("SIM", "HEDGING"),
    ]


def test_other_strategy_keeps_the_parameters_that_it_has_too() -> None:
    config = fill_in("/c", BID)
    set_strategy(config, "m:B", "m:BConfig", ["trade_size", "bar_type"])
    assert config["engine"]["strategies"] == [
        {
            "strategy_path": "m:B",
            "config_path": "m:BConfig",
            "config": {"bar_type": BID, "trade_size": "100000"},
        }
    ]
