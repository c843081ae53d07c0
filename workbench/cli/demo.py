"""``workbench demo``: the main job, from a file of prices to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from workbench.cli.notebooks import find_notebook
from workbench.cli.outcomes import echo_outcome
from workbench.cli.sample import build_stock_csv
from workbench.cli.tables import echo_json, live_progress
from workbench.config import load_settings
from workbench.errors import InputError, RunError
from workbench.files import write_atomically
from workbench.jobs.worker import Worker
from workbench.states import JobState

__all__ = ["demo"]

_NOTEBOOK_TASK = "workbench.jobs.notebook:execute"
_STOCKS = ("AAPL", "GOOG", "IBM", "MSFT")
_DAILY = "1-DAY-LAST"
_BALANCE = 1_000_000
_STRATEGY = "nautilus_trader.examples.strategies.ema_cross_long_only:EMACrossLongOnly"


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Your own file of bars; again for asks beside bids.",
)
@click.option("--instrument", help="The instrument of --data, such as BTCUSDT-PERP.BINANCE.")
@click.option("--bar-type", multiple=True, help="The bar type of each --data, such as 1-MINUTE-LAST.")
@click.option(
    "--kind", help="What kind of instrument it is, such as fx_pair; see `workbench data import --help`."
)
@click.option("--stamp", type=click.Choice(["open", "close"]), help="What the time stamps of --data are.")
@click.option("--tz", help="The time zone of stamps without an offset, such as UTC.")
@click.option("--trade-size", default=None, help="Units to trade (default: about a tenth of the account).")
@click.option("--replace", is_flag=True, help="Replace other data of --data in the same interval.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
def demo(
    data: tuple[Path, ...],
    instrument: str | None,
    bar_type: tuple[str, ...],
    kind: str | None,
    stamp: str | None,
    tz: str | None,
    trade_size: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """
    Import prices, run a backtest in a notebook, and write its report.

    Without options the prices are real daily prices of four stocks, 2000 to 2013.
    """
    settings = load_settings()
    catalog = settings.workspace / "catalogs" / "demo"

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    if not data:
        instrument, bar_type = "AAPL.XNAS", (_DAILY,)
        _import_sample(catalog, say)
    else:
        if instrument is None or len(bar_type) != len(data):
            raise InputError(
                "--data comes without --instrument, or without a --bar-type for each",
                expected="for example --instrument BTCUSDT-PERP.BINANCE --bar-type 1-MINUTE-LAST",
            )
        for path, its_type in zip(data, bar_type, strict=True):
            fields = {
                "instrument_id": instrument,
                "bar_type": its_type,
                "stamp": stamp,
                "tz": tz,
                "replace": replace,
            }
            _import_own(catalog, path, kind, fields, say)
    config = _write_config(catalog, instrument, bar_type, trade_size)
    say(f"running EMACrossLongOnly 10/30 on {instrument} in a notebook ...")
    notebook, run_path = _run_notebook(config, settings.runs, is_quiet=as_json)
    from workbench.backtest.run import load_run
    from workbench.ui.notebook_html import export_notebook_html

    page = export_notebook_html(notebook, notebook.with_suffix(".html"), has_code=False)
    finished = load_run(run_path)
    if as_json:
        echo_json(
            {
                "run": str(finished.path),
                "notebook": str(notebook),
                "report": str(page),
                "metrics": finished.metrics,
            }
        )
        return
    echo_outcome(finished.record, finished.metrics, str(finished.path))
    say(f"notebook  {notebook}")
    say(f"report    {page}   (open it in a browser; it needs no network)")
    say("")
    say("next:  make lab                                    the quickstart notebook in JupyterLab")
    say("       workbench data ls --catalog catalogs/demo   what was imported")
    say("       workbench backtest ls                       your runs")
    say(
        "       workbench demo --data BID.csv --bar-type 1-MINUTE-BID --data ASK.csv --bar-type 1-MINUTE-ASK \\"
    )
    say(
        "                      --instrument GBP/USD.FXCM --kind fx_pair --stamp open   the same on your own prices"
    )


def _import_sample(catalog: Path, say: Any) -> None:
    from workbench.catalog.importer import import_file
    from workbench.catalog.imports import ImportConfig
    from workbench.catalog.instruments import build_instrument

    for symbol in _STOCKS:
        path, notes = build_stock_csv(symbol, catalog.parent / "demo-source")
        instrument_id = f"{symbol}.XNAS" if symbol != "IBM" else "IBM.XNYS"
        report = import_file(
            path,
            catalog,
            ImportConfig(
                data_type="bars",
                instrument_id=instrument_id,
                bar_type=_DAILY,
                stamp="close",
                tz="America/New_York",
                # The demo's catalog is the demo's own: a newer sample takes the place of an older one.
                replace=True,
                replace_instrument=True,
            ),
            instrument=build_instrument("equity", instrument_id, price_precision=2, quote_currency="USD"),
        )
        say(f"{instrument_id}: {_describe(report)}; {notes}")


def _import_own(catalog: Path, data: Path, kind: str | None, fields: dict[str, Any], say: Any) -> None:
    from workbench.catalog.importer import import_file
    from workbench.catalog.imports import ImportConfig
    from workbench.catalog.instruments import INSTRUMENT_KINDS, build_instrument

    if kind is not None and kind not in INSTRUMENT_KINDS:
        raise InputError(f"--kind is {kind!r}", expected=f"one of {', '.join(INSTRUMENT_KINDS)}")
    config = msgspec.convert({"data_type": "bars", **fields}, ImportConfig)
    built = None if kind is None else build_instrument(kind, config.instrument_id)
    say(f"{config.instrument_id}: {_describe(import_file(data, catalog, config, instrument=built))}")


def _describe(report: Any) -> str:
    if report.outcome == "unchanged":
        return f"{report.rows_read:,} bars, in the catalog already"
    return f"{report.rows_written:,} bars imported"


def _write_config(catalog: Path, instrument_id: str, specs: tuple[str, ...], trade_size: str | None) -> Path:
    """Write the configuration of the demo's run beside the catalog and return its path."""
    from nautilus_trader.model.instruments import Equity

    from workbench.backtest.configuration import build_run_config
    from workbench.backtest.datasets import check_run_data
    from workbench.backtest.prices import load_config_prices
    from workbench.backtest.sources import build_strategy_config
    from workbench.catalog.definitions import find_instruments

    bar_types = [f"{instrument_id}-{spec}-EXTERNAL" for spec in specs]
    (instrument,) = find_instruments(catalog, instrument_id)
    data = build_run_config([], catalog=catalog, bar_types=bar_types)
    last = float(load_config_prices(data)[instrument_id]["close"].iloc[-1])
    # About a tenth of the account, so that the demo trades whatever it is given; a size, not a price that is kept.
    size = trade_size or str(instrument.make_qty(max(_BALANCE / 10 / last, float(instrument.size_increment))))
    strategy = build_strategy_config(
        _STRATEGY,
        {
            "instrument_id": instrument_id,
            "bar_type": bar_types[0],
            "trade_size": size,
            "fast_ema_period": 10,
            "slow_ema_period": 30,
            "request_historical_bars": False,
        },
        runs=load_settings().runs,
    )
    config = build_run_config(
        [strategy],
        catalog=catalog,
        bar_types=bar_types,
        starting_balance=f"{_BALANCE} {instrument.get_cost_currency().code}",
        account_type="CASH" if isinstance(instrument, Equity) else "MARGIN",
    )
    check_run_data(config)
    path = catalog.parent / "demo-config.json"
    write_atomically(path, msgspec.json.format(config.json(), indent=2) + b"\n")
    return path


def _run_notebook(config: Path, runs: Path, *, is_quiet: bool) -> tuple[Path, Path]:
    from workbench.backtest.rundir import find_runs
    from workbench.stamps import new_job_id

    source = find_notebook("backtest_report.ipynb")
    name = f"demo-{new_job_id()}"
    output = runs.parent / "reports" / f"{name}.ipynb"
    spec = {
        "notebook": str(source),
        "output": str(output),
        "parameters": {"config": str(config), "runs": str(runs), "name": name},
        "cwd": str(source.parent),
    }
    with Worker() as worker, live_progress(is_quiet=is_quiet) as bars:
        task = None if bars is None else bars.add_task("report", total=1.0, note="")
        outcome = worker.run(
            _NOTEBOOK_TASK,
            spec,
            on_progress=None
            if bars is None or task is None
            else lambda p: bars.update(task, completed=p.fraction),
        )
    if outcome.state != JobState.COMPLETED:
        reason = outcome.failure.message if outcome.failure is not None else str(outcome.state)
        raise RunError(f"the report notebook ended {outcome.state}: {reason}", advice=f"see {output}")
    for directory in find_runs(runs):
        if directory.is_finished and directory.read_manifest().name == name:
            return output, directory.path
    raise RunError("the report notebook made no run", advice=f"see {output}")
