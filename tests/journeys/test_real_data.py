"""Real files of four vendors: imported and backtested through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, cli, workspace  # noqa: F401 - fixtures
from workbench.backtest.configuration import build_run_config
from workbench.backtest.sources import build_strategy_config

pytestmark = pytest.mark.data

EMA_CROSS = "nautilus_trader.examples.strategies.ema_cross:EMACross"


def run(
    call: Cli,
    home: Path,
    name: str,
    bar_type: str,
    size: str,
    balance: str,
    *,
    periods: tuple[int, int] = (10, 20),
    **data: list[str],
) -> Any:
    """Run EMACross on imported data and return the run as plain values."""
    strategy = build_strategy_config(
        EMA_CROSS,
        {
            "instrument_id": name,
            "bar_type": bar_type,
            "trade_size": size,
            "fast_ema_period": periods[0],
            "slow_ema_period": periods[1],
        },
        runs=home / "runs",
    )
    catalog = home / "catalogs" / "default"
    config = build_run_config([strategy], catalog=catalog, starting_balance=balance, **data)  # type: ignore[arg-type]
    path = home / "config.json"
    path.write_bytes(config.json())
    result = call("backtest", "run", path, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def import_file(call: Cli, *arguments: str | Path) -> None:
    result = call("data", "import", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert all(report["outcome"] == "written" for report in json.loads(result.stdout))


def test_gbpusd_minutes_of_fxcm(cli: Cli, workspace: Path, test_data: Path) -> None:  # noqa: F811
    for side in ("bid", "ask"):
        import_file(
            *(cli, test_data / "fxcm" / f"gbpusd-m1-{side}-2012.csv", "--type", "bars", "--stamp", "open"),
            *("--instrument", "GBP/USD.FXCM", "--kind", "fx_pair", "--bar-type", f"1-MINUTE-{side.upper()}"),
        )
    bar_types = [f"GBP/USD.FXCM-1-MINUTE-{side}-EXTERNAL" for side in ("BID", "ASK")]
    made = run(cli, workspace, "GBP/USD.FXCM", bar_types[0], "100000", "1000000 USD", bar_types=bar_types)
    assert made["events"] == 60_234
    assert made["headline"]["trades"]["value"] > 1_000


def test_btc_perpetual_minutes(cli: Cli, workspace: Path, test_data: Path) -> None:  # noqa: F811
    (path,) = (test_data / "crypto").glob("btc-perp-*.csv")
    import_file(
        *(cli, path, "--type", "bars", "--stamp", "open", "--tz", "UTC", "--bar-type", "1-MINUTE-LAST"),
        *("--instrument", "BTCUSD-PERP.X", "--kind", "crypto_perpetual"),
        *("--price-precision", "3", "--size-precision", "11"),
    )
    bar_type = "BTCUSD-PERP.X-1-MINUTE-LAST-EXTERNAL"
    made = run(cli, workspace, "BTCUSD-PERP.X", bar_type, "1.0", "1000000 USD", bar_types=[bar_type])
    assert made["events"] == 45_031
    assert made["headline"]["trades"]["value"] > 1_000


def test_usdjpy_ticks_of_truefx(cli: Cli, workspace: Path, test_data: Path) -> None:  # noqa: F811
    path = test_data / "truefx" / "usdjpy-ticks.csv"
    import_file(cli, path, "--type", "quotes", "--instrument", "USD/JPY.TRUEFX", "--kind", "fx_pair")
    bar_type = "USD/JPY.TRUEFX-1-MINUTE-BID-INTERNAL"
    made = run(
        *(cli, workspace, "USD/JPY.TRUEFX", bar_type, "100000", "100000000 JPY"),
        periods=(3, 6),
        quotes=["USD/JPY.TRUEFX"],
    )
    assert made["events"] == 1_000
    assert made["headline"]["fills"]["value"] > 0


def test_btcusdt_trades_of_binance(cli: Cli, workspace: Path, test_data: Path) -> None:  # noqa: F811
    import_file(
        *(cli, test_data / "binance" / "btcusdt-trades.parquet", "--type", "trades"),
        *("--instrument", "BTCUSDT.BINANCE", "--kind", "crypto_spot"),
        *("--price-precision", "2", "--size-precision", "6"),
    )
    bar_type = "BTCUSDT.BINANCE-1-SECOND-LAST-INTERNAL"
    made = run(
        *(cli, workspace, "BTCUSDT.BINANCE", bar_type, "0.10", "1000000 USDT"),
        periods=(3, 6),
        trades=["BTCUSDT.BINANCE"],
    )
    assert made["events"] == 2_001
    assert made["headline"]["fills"]["value"] > 0
