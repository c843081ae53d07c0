from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.cli.data import data
from workbench.errors import DataError, InputError, NotFoundError

ROWS = "timestamp,open,high,low,close\n2012-02-01 00:00:00Z,1.5,1.6,1.4,1.5\n2012-02-01 00:01:00Z,1.5,1.6,1.4,1.5\n"
BARS = ("--type", "bars", "--instrument", "GBP/USD.FXCM", "--bar-type", "1-MINUTE-BID", "--stamp", "open")


def run(*args: object) -> Result:
    return CliRunner().invoke(data, [str(arg) for arg in args])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


@pytest.fixture
def bars_csv(tmp_path: Path) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text(ROWS)
    return path


def test_import_shows_mapping_decisions_and_costs(root: Path, bars_csv: Path) -> None:
    result = run("import", bars_csv, *BARS, "--kind", "fx_pair", "--catalog", root)
    assert result.exit_code == 0, result.output
    for text in (
        "written: 2 of 2 rows",
        "timestamp=timestamp, open=open",
        "moved by 60 s to their close",
        "1,000,000 everywhere",
        "0.00002",
        "2012-02-01 00:01:00 to 2012-02-01 00:02:00 UTC",
    ):
        assert text in result.output
    again = run("import", bars_csv, *BARS, "--catalog", root)
    assert "there already, nothing written" in again.output


def test_import_ls_and_show_speak_json(root: Path, bars_csv: Path) -> None:
    [report] = json.loads(
        run("import", bars_csv, *BARS, "--kind", "fx_pair", "--catalog", root, "--json").output
    )
    assert (report["outcome"], report["rows_written"]) == ("written", 2)
    [dataset] = json.loads(run("ls", "--catalog", root, "--json").output)
    assert dataset["identifier"] == report["identifier"] == "GBP/USD.FXCM-1-MINUTE-BID-EXTERNAL"
    detail = json.loads(run("show", dataset["identifier"], "--catalog", root, "--json").output)
    assert detail["summary"] == dataset
    assert detail["files"][0]["content_sha256"] == report["content_sha256"]


def test_ls_and_show_are_readable(root: Path, bars_csv: Path) -> None:
    assert "holds no data yet" in run("ls", "--catalog", root).output
    run("import", bars_csv, *BARS, "--kind", "fx_pair", "--catalog", root)
    listing = run("ls", "--catalog", root).output
    assert "GBP/USD.FXCM-1-MINUTE-BID-EXTERNAL" in listing
    shown = run("show", "GBP/USD.FXCM-1-MINUTE-BID-EXTERNAL", "--catalog", root).output
    for text in ("bars.csv", "taker fee", "2012-02-01 00:01:00", "CurrencyPair"):
        assert text in shown
    result = run("show", "EUR/USD.FXCM", "--catalog", root)
    assert isinstance(result.exception, NotFoundError)


def test_ls_warns_of_damaged_files(root: Path, bars_csv: Path) -> None:
    run("import", bars_csv, *BARS, "--kind", "fx_pair", "--catalog", root)
    [path] = (root / "data" / "bar").rglob("*.parquet")
    path.write_bytes(b"junk")
    result = run("ls", "--catalog", root)
    assert result.exit_code == 0
    assert "is damaged" in result.stderr


def test_import_takes_every_option_to_the_importer(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("1610064000000|x|1,5|2|b|7\n1610064000001|x|-1,6|2|b|8\n1610064000002|x|1,23456|2|b|9\n")
    result = run(
        *("import", path, "--type", "trades", "--instrument", "ABC-XYZ.V", "--catalog", root, "--unit", "ms"),
        *("--columns", "when,what,px,qty,how,nr", "--map", "timestamp=when", "--map", "side=how"),
        *(
            "--map",
            "trade_id=nr",
            "--ignore-columns",
            "what",
            "--delimiter",
            "|",
            "--decimal",
            ",",
            "--on-error",
            "drop",
        ),
        *("--allow-negative-prices", "--kind", "crypto_spot", "--price-precision", 2, "--size-precision", 0),
        *(
            "--maker-fee",
            "0.001",
            "--taker-fee",
            "0.002",
            "--base-currency",
            "ABC",
            "--quote-currency",
            "XYZ",
        ),
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert "1 rows, written down in" in result.output
    store = ParquetDataCatalog(str(root))
    assert [str(tick.price) for tick in store.trade_ticks()] == ["1.50", "-1.60"]
    [instrument] = store.instruments()
    assert (str(instrument.maker_fee), str(instrument.taker_fee)) == ("0.001", "0.002")


def test_import_defines_an_instrument_by_json(root: Path, bars_csv: Path, tmp_path: Path) -> None:
    from workbench.catalog.instruments import build_instrument, instrument_to_dict

    path = tmp_path / "i.json"
    path.write_text(
        json.dumps(instrument_to_dict(build_instrument("fx_pair", "GBP/USD.FXCM", taker_fee="0.003")))
    )
    result = run("import", bars_csv, *BARS, "--instrument-json", path, "--catalog", root)
    assert result.exit_code == 0
    assert "0.003" in result.output
    both = run("import", bars_csv, *BARS, "--instrument-json", path, "--kind", "fx_pair", "--catalog", root)
    assert isinstance(both.exception, InputError)


def test_import_of_flawed_rows_raises_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(ROWS.replace("00:01:00Z,1.5", "00:01:00Z,9.5"))
    result = run("import", path, *BARS, "--kind", "fx_pair", "--catalog", root)
    assert isinstance(result.exception, DataError)
    assert "(line 3)" in str(result.exception)
    assert not root.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("import",), "Missing argument 'FILES...'"),
        (("import", "x.csv", "--instrument", "A.B"), "Missing option '--type'"),
        (("import", "x.csv", "--type", "candles", "--instrument", "A.B"), "'candles' is not one of"),
        (
            ("import", "x.csv", "--type", "bars", "--instrument", "A.B", "--stamp", "mid"),
            "'mid' is not one of",
        ),
        (("show",), "Missing argument 'DATASET'"),
        (("fill",), "No such command 'fill'"),
    ],
)
def test_wrong_usage_exits_with_2(args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--map", "open"), "names no field"),
        (("--price-precision", "5"), "--price-precision is given without --kind"),
        (("--kind", "crypto_spot"), "no currency|does not tell|size precision|price precision"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    root: Path, bars_csv: Path, args: tuple[str, ...], message: str
) -> None:
    result = run("import", bars_csv, *BARS, *args, "--catalog", root)
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise result.exception
    assert not root.exists()


def test_every_command_and_option_has_help() -> None:
    for name, command in data.commands.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), (name, parameter.name)


@pytest.mark.data
def test_import_of_the_real_files_as_a_user_types_it(root: Path, test_data: Path) -> None:
    for args in (
        ("fxcm/gbpusd-m1-bid-2012.csv", *BARS, "--kind", "fx_pair"),
        (
            "truefx/usdjpy-ticks.csv",
            "--type",
            "quotes",
            "--instrument",
            "USD/JPY.TRUEFX",
            "--kind",
            "fx_pair",
        ),
        (
            *("binance/btcusdt-trades.parquet", "--type", "trades", "--instrument", "BTCUSDT.BINANCE"),
            *("--kind", "crypto_spot", "--price-precision", 2, "--size-precision", 6),
        ),
        (
            *("crypto/btc-perp-20211231-20220201_1m.csv", "--type", "bars", "--instrument", "BTCUSD-PERP.X"),
            *("--kind", "crypto_perpetual", "--bar-type", "1-MINUTE-LAST", "--stamp", "close", "--tz", "UTC"),
            *("--price-precision", 1, "--size-precision", 4, "--on-error", "drop"),
        ),
    ):
        result = run("import", test_data / args[0], *args[1:], "--catalog", root)
        assert result.exit_code == 0, (result.output, result.exception)
    assert [dataset["rows"] for dataset in json.loads(run("ls", "--catalog", root, "--json").output)] == [
        45_017,
        30_117,
        1_000,
        2_001,
    ]
