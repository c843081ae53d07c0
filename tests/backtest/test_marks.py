"""Equity marked to market, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.core.datetime import dt_to_unix_nanos
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests.backtest.configs import quotes_config, write_quotes
from tests.backtest.mark_runs import AAPL, GBPUSD, row_at, script, venue
from workbench.backtest.run import Run, run_backtest
from workbench.catalog.instruments import build_instrument
from workbench.jobs.worker import Worker

DAY = "2024-01-02"
BTCUSDT = build_instrument(
    "crypto_spot", "BTCUSDT.BINANCE", price_precision=2, size_precision=6, taker_fee="0", maker_fee="0"
)
BTCUSDT_PERP = build_instrument(
    "crypto_perpetual",
    "BTCUSDT-PERP.BINANCE",
    price_precision=2,
    size_precision=6,
    base_currency="BTC",
    quote_currency="USDT",
    taker_fee="0",
    maker_fee="0",
)
XBTUSD = build_instrument(
    "crypto_perpetual",
    "XBTUSD.BITMEX",
    price_precision=1,
    size_precision=0,
    base_currency="BTC",
    quote_currency="USD",
    settlement_currency="BTC",
    taker_fee="0",
    maker_fee="0",
)
BTCUSD = build_instrument(
    "crypto_spot", "BTCUSD.BITMEX", price_precision=1, size_precision=6, taker_fee="0", maker_fee="0"
)
EURGBP = build_instrument("fx_pair", "EUR/GBP.SIM", taker_fee="0", maker_fee="0")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


class Bench:
    """Writes quotes, runs a script on them and returns the run."""

    def __init__(self, path: Path, worker: Worker) -> None:
        self.runs = path / "runs"
        self.catalog = path / "catalog"
        self.worker = worker
        self._instruments: list[Instrument] = []

    def quote(self, instrument: Instrument, *rows: tuple[str, str, str]) -> None:
        write_quotes(self.catalog, instrument, [(f"{DAY}T{t}", b, a) for t, b, a in rows])
        self._instruments.append(instrument)

    def run(self, steps: list[tuple[str, Instrument, str]], where: Any, *, scripts: int = 1) -> Run:
        """Run the steps, dealt in turn to as many scripts."""
        strategies = []
        for i in range(scripts):
            mine = [(f"{DAY}T{t}", str(x.id), q, "") for t, x, q in steps[i::scripts]]
            strategies.append(script(self.runs, mine, self._instruments, order_id_tag=str(i)))
        names = [str(i.id) for i in self._instruments]
        config = quotes_config(self.catalog, names, *strategies, venue=where)
        return run_backtest(config, runs=self.runs, worker=self.worker)


@pytest.fixture
def bench(tmp_path: Path, worker: Worker) -> Bench:
    return Bench(tmp_path, worker)


def test_marks_cash_equity_is_cash_and_shares_at_the_bid(bench: Bench) -> None:
    bench.quote(
        AAPL,
        ("10:00", "100.00", "100.10"),
        ("10:30", "101.00", "101.30"),
        ("11:00", "98.00", "98.30"),
    )
    run = bench.run([("10:00", AAPL, "100")], venue("XNAS", "100000 USD", kind="CASH", base="USD"))
    equity = run.load_table("equity")
    assert equity["equity"].iloc[0] == Decimal(100000)  # before the first quote
    bought = row_at(equity, f"{DAY}T10:29:55")
    assert bought["balance"] == Decimal(89990)  # 100,000 less 100 shares at the ask, 100.10
    assert bought["equity"] == Decimal(99990)  # and they would sell at 100.00
    assert bought["unrealized_pnl"] == Decimal(10000)
    risen = row_at(equity, f"{DAY}T10:30")
    assert risen["equity"] == Decimal(89990) + 100 * Decimal("101.00")
    assert risen["gross_exposure"] == risen["net_exposure"] == Decimal(10100)
    assert (risen["open_positions"], risen["open_orders"]) == (1, 0)
    last = equity.iloc[-1]
    assert last["equity"] == Decimal(89990) + 100 * Decimal("98.00")
    assert last["balance"] == Decimal(89990)
    assert run.record.currency == "USD"


def test_marks_cash_account_of_several_currencies_counts_shares_too(bench: Bench) -> None:
    """Shares are no currency: no balance holds them, unlike the bitcoin of a crypto account."""
    bench.quote(AAPL, ("10:00", "100.00", "100.10"), ("10:30", "101.00", "101.30"))
    run = bench.run([("10:00", AAPL, "100")], venue("XNAS", "100000 USD", kind="CASH"))
    last = run.load_table("equity").iloc[-1]
    assert (last["balance"], last["equity"]) == (Decimal(89990), Decimal(100090))


def test_marks_cash_sale_closes_to_the_balance(bench: Bench) -> None:
    bench.quote(
        AAPL,
        ("10:00", "100.00", "100.10"),
        ("10:30", "101.00", "101.30"),
        ("11:00", "98.00", "98.30"),
    )
    where = venue("XNAS", "100000 USD", kind="CASH", base="USD")
    run = bench.run([("10:00", AAPL, "100"), ("10:30", AAPL, "-40")], where)
    last = run.load_table("equity").iloc[-1]
    assert last["balance"] == Decimal(89990) + 40 * Decimal("101.00")
    assert last["equity"] == Decimal(89990) + 40 * Decimal("101.00") + 60 * Decimal("98.00")


def _bid_and_ask_bars(catalog: Path, closes: list[tuple[str, str]]) -> list[str]:
    store = ParquetDataCatalog(catalog)
    store.write_data([GBPUSD])
    names = []
    for side, index in (("BID", 0), ("ASK", 1)):
        bar_type = BarType.from_str(f"GBP/USD.SIM-1-MINUTE-{side}-EXTERNAL")
        names.append(str(bar_type))
        bars = []
        for i, pair in enumerate(closes):
            price, volume = GBPUSD.make_price(Decimal(pair[index])), GBPUSD.make_qty(1_000_000)
            ts = dt_to_unix_nanos(pd.Timestamp(f"{DAY}T10:00", tz="UTC")) + (i + 1) * 60_000_000_000
            bars.append(Bar(bar_type, price, price, price, price, volume, ts, ts))
        store.write_data(bars)
    return names


@pytest.mark.parametrize("oms", ["NETTING", "HEDGING"])
def test_marks_margin_bars_mark_long_at_bid_and_short_at_ask(
    tmp_path: Path, worker: Worker, oms: str
) -> None:
    closes = [("1.20000", "1.20020")] * 5 + [("1.21000", "1.21050")] * 5
    bar_types = _bid_and_ask_bars(tmp_path / "catalog", closes)
    runs = tmp_path / "runs"
    long, short = (f"{DAY}T10:02", "GBP/USD.SIM", "30000", ""), (f"{DAY}T10:03", "GBP/USD.SIM", "-10000", "")
    # NETTING keeps one position a strategy: two strategies are long and short at once.
    dealt = [[long, short]] if oms == "HEDGING" else [[long], [short]]
    strategies = [
        script(runs, steps, [], bar_types=bar_types, order_id_tag=str(i)) for i, steps in enumerate(dealt)
    ]
    config = BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=strategies),
        venues=[BacktestVenueConfig(**{**venue("SIM", "100000 USD", base="USD"), "oms_type": oms})],
        data=[
            BacktestDataConfig(
                catalog_path=str(tmp_path / "catalog"),
                data_cls="nautilus_trader.model.data:Bar",
                bar_types=bar_types,
            )
        ],
    )
    run = run_backtest(config, runs=runs, worker=worker)
    equity = run.load_table("equity")
    flat = row_at(equity, f"{DAY}T10:05")
    assert flat["open_positions"] == 2
    # Opened at 1.20020 and 1.20000; to close them now costs the spread of two pips on each.
    assert flat["equity"] == Decimal(100000) - 30_000 * Decimal("0.0002") - 10_000 * Decimal("0.0002")
    moved = row_at(equity, f"{DAY}T10:06")
    gain, loss = (
        30_000 * (Decimal("1.21000") - Decimal("1.20020")),
        10_000 * (Decimal("1.21050") - Decimal("1.20000")),
    )
    assert moved["equity"] == Decimal(100000) + gain - loss
    assert moved["balance"] == Decimal(100000)
    assert moved["gross_exposure"] == 30_000 * Decimal("1.21000") + 10_000 * Decimal("1.21050")
    assert moved["net_exposure"] == 30_000 * Decimal("1.21000") - 10_000 * Decimal("1.21050")
    fills = run.load_table("fills")
    assert list(fills["last_px"]) == [Decimal("1.20020"), Decimal("1.20000")]
    assert list(fills["best_bid"]) == [Decimal("1.20000")] * 2
    assert list(fills["best_ask"]) == [Decimal("1.20020")] * 2


def test_marks_netting_reversal_is_marked_at_the_other_side(bench: Bench) -> None:
    bench.quote(
        GBPUSD,
        ("10:00", "1.20000", "1.20020"),
        ("10:30", "1.21000", "1.21050"),
        ("11:00", "1.19000", "1.19040"),
    )
    where = venue("SIM", "100000 USD", base="USD")
    run = bench.run([("10:00", GBPUSD, "10000"), ("10:30", GBPUSD, "-25000")], where)
    last = run.load_table("equity").iloc[-1]
    balance = Decimal(100000) + 10_000 * (Decimal("1.21000") - Decimal("1.20020"))
    assert last["balance"] == balance
    assert last["equity"] == balance + 15_000 * (Decimal("1.21000") - Decimal("1.19040"))
    assert last["net_exposure"] == -15_000 * Decimal("1.19040")


def test_marks_margin_in_another_currency_is_converted_at_the_middle(bench: Bench) -> None:
    bench.quote(GBPUSD, ("09:59", "1.20000", "1.20020"), ("11:00", "1.25000", "1.25040"))
    bench.quote(EURGBP, ("10:00", "0.85000", "0.85020"), ("11:00", "0.86000", "0.86040"))
    run = bench.run([("10:00", EURGBP, "10000")], venue("SIM", "100000 USD", "1000 GBP"))
    equity = run.load_table("equity")
    # Nothing said what the pounds are worth when the run began: the first price does.
    assert equity["equity"].iloc[0] == Decimal(100000) + 1_000 * Decimal("1.20010")
    last = equity.iloc[-1]
    rate = Decimal("1.25020")
    assert last["balance"] == Decimal(100000) + 1_000 * rate
    # The profit in pounds, as nautilus rounds it, and then in dollars
    assert (
        last["equity"]
        == Decimal(100000) + (1_000 + 10_000 * (Decimal("0.86000") - Decimal("0.85020"))) * rate
    )
    assert last["gross_exposure"] == 10_000 * Decimal("0.86000") * rate
    assert run.load_table("fills")["rate"].tolist() == [Decimal("1.20010")]
    assert run.metrics["rates"]["GBP/USD"] == "middle of the book of GBP/USD.SIM"


def test_marks_crypto_cash_counts_the_coin_once(bench: Bench) -> None:
    bench.quote(BTCUSDT, ("10:00", "50000.00", "50010.00"), ("11:00", "60000.00", "60030.00"))
    where = venue("BINANCE", "100000 USDT", kind="CASH")
    run = bench.run([("10:00", BTCUSDT, "0.5")], where)
    equity = run.load_table("equity")
    bought = row_at(equity, f"{DAY}T10:59:55")
    cash = Decimal(100000) - Decimal("0.5") * Decimal(50010)
    assert bought["equity"] == bought["balance"] == cash + Decimal("0.5") * Decimal(50005)
    last = equity.iloc[-1]
    assert last["equity"] == cash + Decimal("0.5") * Decimal(60015)
    assert last["unrealized_pnl"] == 0
    assert last["gross_exposure"] == Decimal("0.5") * Decimal(60000)
    accounts = run.load_table("accounts")
    assert dict(zip(accounts["currency"], accounts["total"], strict=True)) == {
        "USDT": cash,
        "BTC": Decimal("0.5"),
    }
    assert run.record.currency == "USDT"
    assert run.metrics["rates"] == {"BTC/USDT": "middle of the book of BTCUSDT.BINANCE"}


def test_marks_crypto_sale_of_what_it_started_with_counts_once(bench: Bench) -> None:
    bench.quote(BTCUSDT, ("10:00", "50000.00", "50010.00"), ("11:00", "60000.00", "60030.00"))
    run = bench.run([("10:00", BTCUSDT, "-0.5")], venue("BINANCE", "1000 USDT", "2 BTC", kind="CASH"))
    last = run.load_table("equity").iloc[-1]
    assert last["equity"] == Decimal(1000) + Decimal("0.5") * Decimal(50000) + Decimal("1.5") * Decimal(60015)


@pytest.mark.parametrize("first", [BTCUSDT, BTCUSDT_PERP], ids=lambda i: str(i.id))
def test_marks_rate_comes_from_the_spot_not_from_a_perpetual(bench: Bench, first: Instrument) -> None:
    prices = {
        BTCUSDT: [("10:00", "50000.00", "50010.00"), ("11:00", "60000.00", "60030.00")],
        BTCUSDT_PERP: [("10:00", "51000.00", "51010.00"), ("11:00", "61000.00", "61030.00")],
    }
    for instrument in sorted(prices, key=lambda i: i is not first):
        bench.quote(instrument, *prices[instrument])
    run = bench.run([], venue("BINANCE", "1000 USDT", "2 BTC"))
    assert run.load_table("equity")["equity"].iloc[-1] == Decimal(1000) + 2 * Decimal(60015)


_INVERSE = [("10:00", "50000.0", "50000.5"), ("11:00", "62500.0", "62500.5")]


def _inverse_gain() -> Decimal:
    """Return the profit of 10,000 contracts of a dollar, in bitcoin, with the 8 decimals of Money."""
    gain = 10_000 * (1 / Decimal("50000.5") - 1 / Decimal("62500.0"))
    return gain.quantize(Decimal("1e-8"))


def test_marks_inverse_perpetual_reports_in_its_settlement_currency(bench: Bench) -> None:
    bench.quote(XBTUSD, *_INVERSE)
    run = bench.run([("10:00", XBTUSD, "10000")], venue("BITMEX", "10 BTC", base="BTC"))
    assert run.record.currency == "BTC"
    last = run.load_table("equity").iloc[-1]
    assert last["balance"] == Decimal(10)
    assert last["equity"] == 10 + _inverse_gain()
    # 10,000 dollars at 62,500
    assert last["gross_exposure"] == Decimal("0.16")
    fill = run.load_table("fills").iloc[0]
    assert (fill["currency"], bool(fill["is_inverse"]), fill["rate"]) == ("BTC", True, Decimal(1))


def test_marks_inverse_perpetual_reports_in_dollars_by_the_spot(bench: Bench) -> None:
    bench.quote(XBTUSD, *_INVERSE)
    bench.quote(BTCUSD, ("10:00", "50001.0", "50003.0"), ("11:00", "62501.0", "62503.0"))
    run = bench.run([("10:00", XBTUSD, "10000")], venue("BITMEX", "1000 USD", "10 BTC"))
    assert run.record.currency == "USD"
    last = run.load_table("equity").iloc[-1]
    assert last["balance"] == 1_000 + 10 * Decimal("62502.0")
    assert last["equity"] == 1_000 + (10 + _inverse_gain()) * Decimal("62502.0")


def test_marks_inverse_perpetual_alone_gives_its_own_rate_and_says_where_from(bench: Bench) -> None:
    bench.quote(XBTUSD, *_INVERSE)
    usd = venue("BITMEX", "9 USD", "10 BTC")
    run = bench.run([("10:00", XBTUSD, "10000"), ("11:00", XBTUSD, "-10000")], usd)
    middle = Decimal("62500.25")
    assert run.record.currency == "USD"
    last = run.load_table("equity").iloc[-1]
    assert last["equity"] == last["balance"] == 9 + (10 + _inverse_gain()) * middle
    assert run.load_table("fills")["rate"].tolist() == [Decimal("50000.25"), middle]
    # The profit of the trade is in bitcoin, and its rate is that of the close.
    trade = run.load_table("positions").iloc[0]
    assert (trade["currency"], trade["realized_pnl"], trade["rate"]) == ("BTC", _inverse_gain(), middle)
    headline = run.metrics["headline"]
    assert Decimal(headline["best_trade"]["value"]) == _inverse_gain() * middle
    # 10,000 contracts of a dollar each way, at the middle instead of the price
    turnover = 10_000 / Decimal("50000.5") * Decimal("50000.25") + 10_000 / Decimal("62500.0") * middle
    assert abs(Decimal(headline["turnover"]["value"]) - turnover) < Decimal("0.01")


def test_marks_missing_rate_of_a_balance_leaves_equity_null(bench: Bench) -> None:
    bench.quote(AAPL, ("10:00", "100.00", "100.10"), ("10:30", "101.00", "101.30"))
    run = bench.run([("10:00", AAPL, "100")], venue("XNAS", "100000 USD", "5000 EUR", kind="CASH"))
    _assert_unknown(run, "EUR/USD", "USD")
    accounts = run.load_table("accounts")
    assert Decimal(89990) in set(accounts[accounts["currency"] == "USD"]["total"])


def _assert_unknown(run: Run, pair: str, currency: str) -> None:
    assert run.record.currency == currency
    equity = run.load_table("equity")
    assert equity["equity"].isna().all()
    assert equity["balance"].isna().all()
    assert (equity["open_positions"] > 0).any()
    assert run.metrics["rates"][pair] == "missing"
    assert any(pair in warning for warning in run.record.warnings)
    headline = run.metrics["headline"]
    for name in ("pnl", "total_return", "sharpe", "max_drawdown", "ending_equity"):
        assert headline[name]["value"] is None, name
        assert headline[name]["reason"], name
    assert headline["fills"]["value"] == 1
