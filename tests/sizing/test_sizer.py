"""The sizer in real backtests: what is ordered is what its rules give for what the engine knew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.config import ImportableStrategyConfig
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from tests.backtest.configs import quotes_config, write_quotes
from tests.backtest.tiny import BID, NAME, build_catalog, prices, tiny_config
from tests.sizing.sized_strategies import Swing, SwingConfig
from workbench.backtest.run import Run, run_backtest
from workbench.backtest.sources import build_strategy_config
from workbench.jobs.worker import Worker
from workbench.sizing.rules import measure_volatility

MODULE = "tests.sizing.sized_strategies"
COINS = TestInstrumentProvider.btcusdt_binance()
YEN = TestInstrumentProvider.default_fx_ccy("USD/JPY", Venue("SIM"))
# The close of ask bars is 0.0001 above that of bid bars
SPREAD = Decimal("0.00010")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("sizing") / "catalog")


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog of prices that stay where they are."""
    path = tmp_path_factory.mktemp("sizing-quotes")
    times = [f"2024-01-01T00:0{i}:00" for i in range(6)]
    write_quotes(path, COINS, [(t, "40000.00", "40000.00") for t in times])
    write_quotes(path, YEN, [(t, "150.000", "150.000") for t in times])
    return path


def swing(**sizing: Any) -> ImportableStrategyConfig:
    config = {"instrument_id": NAME, "bar_type": BID, "sizing": sizing}
    return ImportableStrategyConfig(
        strategy_path=f"{MODULE}:Swing", config_path=f"{MODULE}:SwingConfig", config=config
    )


def stack(instrument_id: str, **sizing: Any) -> ImportableStrategyConfig:
    config = {"instrument_id": instrument_id, "sizing": sizing}
    return ImportableStrategyConfig(
        strategy_path=f"{MODULE}:Stack", config_path=f"{MODULE}:StackConfig", config=config
    )


def find_bought(run: Run) -> list[Decimal]:
    orders = run.load_table("orders")
    return [Decimal(str(quantity)) for quantity in orders[orders["order_side"] == "BUY"]["quantity"]]


def read_log(run: Run, word: str) -> list[str]:
    messages = [json.loads(line)["message"] for line in (run.path / "log.jsonl").read_text().splitlines()]
    return [message.removeprefix(word).strip() for message in messages if message.startswith(word)]


def read_sizes(run: Run) -> list[tuple[Decimal, ...]]:
    """Return quantity, price, equity and volatility of each order."""
    return [
        tuple(Decimal(one) if one != "None" else Decimal(0) for one in line.split())
        for line in read_log(run, "sized")
    ]


@pytest.mark.parametrize("is_parsed", [True, False])
def test_percent_of_equity_follows_equity_and_price(
    catalog: Path, tmp_path: Path, worker: Worker, is_parsed: bool
) -> None:
    runs = tmp_path / "runs"
    strategy = swing(method="PERCENT_OF_EQUITY", amount="50")
    if not is_parsed:  # Built from classes, as in a notebook
        strategy = build_strategy_config(Swing, SwingConfig.parse(json.dumps(strategy.config)), runs=runs)

    run = run_backtest(tiny_config(catalog, strategy), runs=runs, worker=worker)

    frame, equity = prices(), run.load_table("equity").set_index("ts")["equity"]
    sizes = read_sizes(run)
    assert len(sizes) == 12
    assert find_bought(run) == [size[0] for size in sizes]
    assert len({size[2] for size in sizes}) == 12
    for turn, (quantity, price, own, _) in enumerate(sizes):
        number = turn * 20 + 9
        # Bid bars come before ask bars of the same time
        assert price == (frame["close"].iloc[number] + frame["close"].iloc[number - 1] + SPREAD) / 2
        assert own == Decimal(str(equity[equity.index < frame.index[number]].iloc[-1]))
        assert quantity == own / 2 // price


def test_volatility_target_waits_for_its_bars_and_sizes_by_them(
    catalog: Path, tmp_path: Path, worker: Worker
) -> None:
    year = 252 * 1_440
    strategy = swing(method="VOLATILITY_TARGET", amount="10", lookback=15, periods_per_year=year)

    run = run_backtest(tiny_config(catalog, strategy), runs=tmp_path, worker=worker)

    closes = list(prices()["close"])
    assert read_log(run, "no order:") == [f"volatility needs 16 bars of {NAME}, not 10"]
    sizes = read_sizes(run)
    assert len(sizes) == 12
    for turn, (quantity, price, own, volatility) in enumerate(sizes):
        last = 20 + turn * 20  # Bars that it has seen
        assert volatility == measure_volatility(closes[last - 16 : last], year)
        assert quantity == own / 10 / volatility // price


def test_coins_of_an_account_of_several_currencies_count_once(
    quotes: Path, tmp_path: Path, worker: Worker
) -> None:
    venue = {
        "name": "BINANCE",
        "oms_type": "NETTING",
        "account_type": "CASH",
        "base_currency": None,
        "starting_balances": ["100000 USDT", "1 BTC"],
    }
    strategy = stack(str(COINS.id), method="PERCENT_OF_EQUITY", amount="20")

    run = run_backtest(
        quotes_config(quotes, [str(COINS.id)], strategy, venue=venue), runs=tmp_path, worker=worker
    )

    # A fifth of 140,000 USDT at 40,000, less and less by the fees: counted twice it would grow
    found = find_bought(run)
    assert found[0] == Decimal("0.7")
    assert len(found) == 3
    assert found[0] > found[1] > found[2] > Decimal("0.699")


@pytest.mark.parametrize(
    ("currency", "expected", "reasons"),
    [
        ("USD", [300_000] * 3, []),
        ("JPY", [2_000] * 3, []),
        ("EUR", [], ["there is no rate from JPY to EUR"] * 3),
    ],
)
def test_notional_is_in_the_currency_of_the_account(
    quotes: Path, tmp_path: Path, worker: Worker, currency: str, expected: list[int], reasons: list[str]
) -> None:
    venue = {
        "name": "SIM",
        "oms_type": "NETTING",
        "account_type": "MARGIN",
        "base_currency": currency,
        "starting_balances": [f"1000000 {currency}"],
    }
    strategy = stack(str(YEN.id), method="FIXED_NOTIONAL", amount="300000")

    run = run_backtest(
        quotes_config(quotes, [str(YEN.id)], strategy, venue=venue), runs=tmp_path, worker=worker
    )

    assert find_bought(run) == expected
    assert read_log(run, "no order:") == reasons
