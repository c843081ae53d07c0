"""The commands ``workbench data``: market data into a catalog, and what it holds."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from workbench.config import load_settings
from workbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nautilus_trader.model.instruments import Instrument

    from workbench.catalog.coverage import DatasetDetail, DatasetSummary
    from workbench.catalog.imports import ImportProgress, ImportReport

__all__ = ["data"]

_KINDS = ("fx_pair", "equity", "crypto_spot", "crypto_perpetual", "future")
_BUILDER_OPTIONS = (
    ("price-precision", int, "Decimal places of prices."),
    ("size-precision", int, "Decimal places of quantities."),
    ("price-increment", str, "The smallest change of a price, such as 0.25."),
    ("base-currency", str, "The base currency, where the symbol does not tell."),
    ("quote-currency", str, "The quote currency, where the symbol does not tell."),
    ("settlement-currency", str, "What a perpetual settles in."),
    ("multiplier", str, "The contract size of a future."),
    ("lot-size", str, "The board lot."),
    ("maker-fee", str, "A fraction of the notional, such as 0.0002."),
    ("taker-fee", str, "A fraction of the notional."),
    ("margin-init", str, "A fraction of the notional."),
    ("margin-maint", str, "A fraction of the notional."),
    ("asset-class", str, "The asset class of a future, such as COMMODITY."),
    ("underlying", str, "The underlying of a future."),
    ("activation", str, "When a future starts trading, ISO 8601."),
    ("expiration", str, "When a future expires, ISO 8601."),
)

_catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    help="The catalog's directory (default: WORKBENCH_CATALOG, or catalogs/default in the workspace).",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(help="Import market data and see what the catalog holds.")
def data() -> None:
    """Group the commands about market data."""


def _builder_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, kind, text in reversed(_BUILDER_OPTIONS):
        command = click.option(f"--{name}", type=kind, help=f"With --kind: {text}")(command)
    return command


@data.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--type",
    "data_type",
    required=True,
    type=click.Choice(["bars", "quotes", "trades"]),
    help="What the files hold.",
)
@click.option("--instrument", "instrument_id", required=True, help="SYMBOL.VENUE, such as GBP/USD.FXCM.")
@click.option("--bar-type", help="The type of bars, such as 1-MINUTE-BID.")
@click.option(
    "--stamp", type=click.Choice(["open", "close"]), help="Whether bars are stamped at open or close."
)
@click.option("--tz", help="The zone of time stamps without an offset, such as UTC or America/New_York.")
@click.option(
    "--unit", type=click.Choice(["s", "ms", "us", "ns"]), help="The unit of time stamps that are numbers."
)
@click.option(
    "--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Say which column holds a field."
)
@click.option("--ignore-columns", default="", metavar="A,B", help="Leave these columns out.")
@click.option("--columns", metavar="A,B", help="Name the columns of a CSV without a header line.")
@click.option("--delimiter", help="What separates the columns of a CSV (default: found out).")
@click.option(
    "--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal mark."
)
@click.option(
    "--default-size",
    default="1000000",
    show_default=True,
    help="The volume or size where the files have none.",
)
@click.option("--allow-negative-prices", is_flag=True, help="Accept prices of zero and below.")
@click.option(
    "--on-error",
    type=click.Choice(["refuse", "drop"]),
    default="refuse",
    show_default=True,
    help="Write nothing if rows are flawed, or leave them out and keep a record.",
)
@click.option(
    "--replace", is_flag=True, help="Put the new data in the place of other data in the same interval."
)
@click.option(
    "--kind", type=click.Choice(_KINDS), help="Define the instrument, if the catalog does not know it."
)
@click.option("--instrument-json", type=click.Path(path_type=Path), help="Define it by nautilus's JSON.")
@click.option("--replace-instrument", is_flag=True, help="Put the definition in the place of another one.")
@_builder_options
@_catalog_option
@_json_option
def import_command(files: tuple[Path, ...], catalog: Path | None, as_json: bool, **options: Any) -> None:
    r"""
    Import CSV or Parquet files of bars, quotes or trades.

    Nothing is assumed in silence: the mapping of columns is shown, and time zone, unit and what bars are
    stamped with must be stated where a file does not say. Flawed rows are refused with their numbers.

    \b
    workbench data import gbpusd-m1-bid-2012.csv --type bars --instrument GBP/USD.FXCM \
        --kind fx_pair --bar-type 1-MINUTE-BID --stamp open
    workbench data import usdjpy-ticks.csv --type quotes --instrument USD/JPY.TRUEFX --kind fx_pair
    workbench data import btcusdt-trades.parquet --type trades --instrument BTCUSDT.BINANCE \
        --kind crypto_spot --price-precision 2 --size-precision 6
    """
    from workbench.catalog.importer import import_files
    from workbench.catalog.imports import ImportConfig

    config = ImportConfig(
        data_type=options["data_type"],
        instrument_id=options["instrument_id"],
        bar_type=options["bar_type"],
        stamp=options["stamp"],
        tz=options["tz"],
        unit=options["unit"],
        mapping=_parse_mapping(options["mapping"]),
        ignore_columns=_split(options["ignore_columns"]),
        column_names=None if options["columns"] is None else _split(options["columns"]),
        delimiter=None if options["delimiter"] is None else options["delimiter"].replace("\\t", "\t"),
        decimal_mark=options["decimal"],
        default_size=options["default_size"],
        allow_negative_prices=options["allow_negative_prices"],
        on_error=options["on_error"],
        replace=options["replace"],
        replace_instrument=options["replace_instrument"],
    )
    instrument = _define_instrument(options)
    with _progress_bar(as_json=as_json) as progress:
        reports = import_files(files, _catalog(catalog), config, instrument=instrument, progress=progress)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(reports)).decode())
        return
    for report in reports:
        _show_report(report)


@data.command("ls")
@_catalog_option
@_json_option
def ls_command(catalog: Path | None, as_json: bool) -> None:
    """List the datasets of the catalog."""
    from workbench.catalog.coverage import list_datasets

    root = _catalog(catalog)
    datasets = list_datasets(root)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(datasets)).decode())
        return
    if not datasets:
        click.echo(f"{root} holds no data yet: import some with workbench data import")
        return
    table = _table("type", "dataset", "rows", "first (UTC)", "last (UTC)", "files", "size", right=(2, 5, 6))
    for dataset in datasets:
        table.add_row(*_summary_cells(dataset))
    _print(table)
    _warn([problem for dataset in datasets for problem in dataset.problems])


@data.command("show")
@click.argument("dataset")
@click.option(
    "--type", "data_type", type=click.Choice(["bars", "quotes", "trades"]), help="If there are several."
)
@_catalog_option
@_json_option
def show_command(dataset: str, data_type: str | None, catalog: Path | None, as_json: bool) -> None:
    """
    Show one dataset: its files, where they came from, and its instrument.

    DATASET is a bar type or an instrument id, as listed by "workbench data ls".
    """
    from workbench.catalog.coverage import show_dataset

    detail = show_dataset(_catalog(catalog), dataset, cast("Any", data_type))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(detail)).decode())
        return
    _show_detail(detail)


def _catalog(catalog: Path | None) -> Path:
    return load_settings().catalog if catalog is None else catalog.resolve()


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _parse_mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        if not separator or not field.strip():
            raise InputError(
                f"--map {pair!r} names no field", expected="FIELD=COLUMN, such as open=Opening price"
            )
        mapping[field.strip()] = column.strip()
    return mapping


def _define_instrument(options: dict[str, Any]) -> Instrument | None:
    from workbench.catalog.instruments import build_instrument, load_instrument_json

    names = [name.replace("-", "_") for name, _, _ in _BUILDER_OPTIONS]
    given = {name: options[name] for name in names if options[name] is not None}
    kind, path = options["kind"], options["instrument_json"]
    if kind is not None and path is not None:
        raise InputError("both --kind and --instrument-json are given", expected="one of them")
    if path is not None:
        return load_instrument_json(path)
    if kind is None:
        if given:
            flag = "--" + next(iter(given)).replace("_", "-")
            raise InputError(
                f"{flag} is given without --kind", expected="--kind and its options", advice="add --kind"
            )
        return None
    return build_instrument(kind, options["instrument_id"], **given)


@contextmanager
def _progress_bar(*, as_json: bool) -> Iterator[Callable[[ImportProgress], None] | None]:
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0, rows=0)

        def show(progress: ImportProgress) -> None:
            name = Path(progress.source).name
            bar.update(task, description=name, completed=progress.fraction, rows=progress.rows)

        yield show


def _show_report(report: ImportReport) -> None:
    done = {"written": "written", "replaced": "replaced", "unchanged": "there already, nothing written"}
    dropped = sum(report.dropped.values())
    table = _table("", "", right=())
    table.show_header = False
    table.add_row("data", f"{report.data_type} of {report.identifier}")
    table.add_row("result", f"{done[report.outcome]}: {report.rows_written:,} of {report.rows_read:,} rows")
    table.add_row("interval", f"{_utc(report.start_ns)} to {_utc(report.end_ns)} UTC")
    for number, decision in enumerate(report.decisions):
        table.add_row("" if number else "read as", decision)
    if report.dropped_file is not None:
        table.add_row("dropped", f"{dropped:,} rows, written down in {report.dropped_file}")
    for name, value in report.instrument.items():
        table.add_row("instrument" if name == "id" else f"  {name}", value)
    table.add_row("file", report.file)
    for file in report.replaced:
        table.add_row("in place of", file)
    table.add_row("took", f"{report.elapsed_secs:.1f} s")
    _print(table)


def _show_detail(detail: DatasetDetail) -> None:
    table = _table("type", "dataset", "rows", "first (UTC)", "last (UTC)", "files", "size", right=(2, 5, 6))
    table.add_row(*_summary_cells(detail.summary))
    _print(table)
    files = _table("file", "rows", "first (UTC)", "last (UTC)", "size", "from", "dropped", right=(1, 4, 6))
    for file in detail.files:
        dropped = sum(file.dropped.values())
        files.add_row(
            file.name,
            f"{file.rows:,}",
            _utc(file.start_ns),
            _utc(file.end_ns),
            _size(file.size_bytes),
            file.source,
            f"{dropped:,}",
        )
    _print(files)
    facts = _table("instrument", "", right=())
    for name, value in detail.instrument.items():
        facts.add_row(name, value)
    if detail.instrument:
        _print(facts)
    else:
        click.echo("the instrument is not defined in the catalog: a backtest needs it")
    _warn(list(detail.summary.problems))


def _summary_cells(dataset: DatasetSummary) -> tuple[str, ...]:
    return (
        dataset.data_type,
        dataset.identifier,
        f"{dataset.rows:,}",
        _utc(dataset.start_ns),
        _utc(dataset.end_ns),
        f"{dataset.files:,}",
        _size(dataset.size_bytes),
    )


def _table(*headers: str, right: tuple[int, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number in right else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    # A pipe has no width: do not fold what another program is to read.
    console = Console() if Console().is_terminal else Console(width=400)
    console.print(table, highlight=False)


def _warn(problems: list[str]) -> None:
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)


def _utc(stamp_ns: int | None) -> str:
    if stamp_ns is None:
        return "-"
    moment = datetime.fromtimestamp(stamp_ns // 10**9, UTC)
    fraction = f"{stamp_ns % 10**9:09d}".rstrip("0")
    return f"{moment:%Y-%m-%d %H:%M:%S}" + (f".{fraction}" if fraction else "")


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
