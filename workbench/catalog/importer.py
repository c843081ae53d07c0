"""From a file into the catalog: read, mapped, checked, written whole or not at all."""

from __future__ import annotations

import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workbench.catalog.bartypes import Stamp, build_shift, interval_ns, parse_bar_type, suggest_stamp
from workbench.catalog.columns import DATA_TYPES, ColumnMapping, DataType, map_columns
from workbench.catalog.definitions import compare_instruments, load_instrument, save_instrument
from workbench.catalog.dropped import DroppedRows
from workbench.catalog.flaws import FlawKind, FlawTally, RowFlaws
from workbench.catalog.instruments import describe_instrument, parse_instrument_id
from workbench.catalog.ledger import LedgerEntry, hash_footer, write_entry
from workbench.catalog.prices import check_precision_mode
from workbench.catalog.rows import BarShift, RowParser, RowRules
from workbench.catalog.schema import build_schema, dataset_directory
from workbench.catalog.source import open_source
from workbench.catalog.ticks import FLOAT_NOISE_ULPS
from workbench.catalog.times import TimeFormat, TimeUnit, detect_format
from workbench.catalog.writer import DatasetWriter
from workbench.errors import DataError, ExistsError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.instruments import Instrument

    from workbench.catalog.source import Source, SourceBatch
    from workbench.catalog.writer import WriteResult

__all__ = ["ImportConfig", "ImportProgress", "ImportReport", "import_file", "import_files"]


class ImportConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a file holds and how it is to be imported.

    Attributes
    ----------
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    instrument_id : str
        Whose data they are.
    bar_type : str, optional
        The type of bars, such as ``1-MINUTE-BID``.
    stamp : {'open', 'close'}, optional
        What the time stamps of bars are; must be stated for bars.
    tz : str, optional
        The IANA zone of time stamps without an offset, and of dates.
    unit : {'s', 'ms', 'us', 'ns'}, optional
        The unit of time stamps that are numbers.
    mapping : dict[str, str]
        Column by field, where the guess from the names would be wrong.
    ignore_columns : tuple[str, ...]
        Columns to leave out.
    column_names : tuple[str, ...], optional
        The columns of a text without a header line.
    delimiter : str, optional
        What separates the columns of text (default: found from its first line).
    decimal_mark : {'.', ','}
        What separates decimals in text.
    default_size : str
        The volume of bars, or the sizes of quotes, where the file has none; as in nautilus's wranglers.
    allow_negative_prices : bool
        Whether prices may be zero or negative, beyond what the instrument says itself.
    on_error : {'refuse', 'drop'}
        What to do when rows are flawed: write nothing, or leave them out and keep a record of them.
    replace : bool
        Whether other data in the same interval may be replaced.
    replace_instrument : bool
        Whether another definition of the instrument may be replaced.

    """

    data_type: DataType
    instrument_id: str
    bar_type: str | None = None
    stamp: Stamp | None = None
    tz: str | None = None
    unit: TimeUnit | None = None
    mapping: dict[str, str] = {}  # noqa: RUF012 (msgspec copies a mutable default)
    ignore_columns: tuple[str, ...] = ()
    column_names: tuple[str, ...] | None = None
    delimiter: str | None = None
    decimal_mark: Literal[".", ","] = "."
    default_size: str = "1000000"
    allow_negative_prices: bool = False
    on_error: Literal["refuse", "drop"] = "refuse"
    replace: bool = False
    replace_instrument: bool = False


class ImportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far an import is.

    Attributes
    ----------
    source : str
        The file that is being read.
    fraction : float
        How much of it has been read, from 0 to 1.
    rows : int
        Rows read so far.

    """

    source: str
    fraction: float
    rows: int


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an import did.

    Attributes
    ----------
    source : str
        The file that was read.
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    identifier : str
        The dataset: the bar type of bars, the instrument id of ticks.
    outcome : {'written', 'replaced', 'unchanged'}
        Whether the data are new, took the place of others, or were there already.
    rows_read, rows_written : int
        Rows of the source, and rows in the catalog's file.
    dropped : dict[str, int]
        Rows that were left out, by reason.
    dropped_file : str or None
        Where they are written down.
    file : str
        The catalog's file.
    replaced : tuple[str, ...]
        Files that are gone.
    start_ns, end_ns : int
        The first and the last ``ts_init``, nanoseconds since the epoch.
    content_sha256 : str
        The hash of the contents.
    instrument : dict[str, str]
        The facts of the instrument that decide what a backtest costs.
    mapping : dict[str, str]
        Column by field.
    decisions : tuple[str, ...]
        How the file was read, a sentence each.
    elapsed_secs : float
        How long it took.

    """

    source: str
    data_type: DataType
    identifier: str
    outcome: Literal["written", "replaced", "unchanged"]
    rows_read: int
    rows_written: int
    dropped: dict[str, int]
    dropped_file: str | None
    file: str
    replaced: tuple[str, ...]
    start_ns: int
    end_ns: int
    content_sha256: str
    instrument: dict[str, str]
    mapping: dict[str, str]
    decisions: tuple[str, ...]
    elapsed_secs: float


def import_file(
    path: Path | str,
    catalog: Path | str,
    config: ImportConfig,
    *,
    instrument: Instrument | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ImportReport:
    """
    Import one file into a catalog.

    Parameters
    ----------
    path : Path or str
        A CSV or Parquet file.
    catalog : Path or str
        The root of a nautilus ``ParquetDataCatalog``; made if missing.
    config : ImportConfig
        What the file holds.
    instrument : Instrument, optional
        The definition to use and to save (default: the one in the catalog).
    progress : callable, optional
        Called after each batch. Whatever it raises cancels the import, which then leaves nothing behind.

    Returns
    -------
    ImportReport

    Raises
    ------
    InputError
        If something is missing, wrong or must be stated.
    DataError
        If rows are flawed: with a count and the first row numbers per reason. Nothing is written.
    ExistsError
        If other data or another definition is there already.
    CatalogError
        If the catalog cannot be written or holds damaged files.

    """
    started = time.monotonic()
    path, catalog = Path(path), Path(catalog).resolve()
    check_precision_mode()
    task = _Task(path, catalog, config, instrument)
    with ExitStack() as stack:
        writer = stack.enter_context(DatasetWriter(catalog, task.directory, task.rules.schema))
        dropped = stack.enter_context(DroppedRows(catalog, task.directory, task.source.row_word))
        rows_read = task.stream(writer, dropped, progress)
        task.check_result(writer)
        task.save_instrument()
        result = writer.commit(replace=config.replace)
        dropped_file = dropped.keep(result.file)
    task.note_in_ledger(result)
    start_ns, end_ns = writer.interval_ns
    return ImportReport(
        source=str(path),
        data_type=config.data_type,
        identifier=task.identifier,
        outcome=result.outcome,
        rows_read=rows_read,
        rows_written=result.rows,
        dropped=task.dropped_counts(),
        dropped_file=None if dropped_file is None else str(dropped_file),
        file=str(result.file),
        replaced=tuple(str(file) for file in result.replaced),
        start_ns=start_ns,
        end_ns=end_ns,
        content_sha256=result.content_sha256,
        instrument=describe_instrument(task.instrument),
        mapping=task.rules.mapping.columns,
        decisions=tuple(task.decisions),
        elapsed_secs=time.monotonic() - started,
    )


def import_files(
    paths: Sequence[Path | str],
    catalog: Path | str,
    config: ImportConfig,
    *,
    instrument: Instrument | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> list[ImportReport]:
    """
    Import several files of one dataset, in the order given.

    Each file is imported whole or not at all; the first that is refused ends the work, and those before
    it stay. Doing it again skips what is there already. Parameters are those of :func:`import_file`.
    """
    return [import_file(path, catalog, config, instrument=instrument, progress=progress) for path in paths]


class _Task:
    """One import: everything that is decided before the first row is written, and what is found on the way."""

    def __init__(
        self, path: Path, catalog: Path, config: ImportConfig, instrument: Instrument | None
    ) -> None:
        self.path = path
        self.catalog = catalog
        self.config = config
        self.decisions: list[str] = []
        self._given = instrument
        _check_config(config)
        self.source: Source = open_source(path, delimiter=config.delimiter, names=config.column_names)
        self.instrument = self._resolve_instrument()
        self.bar_type: BarType | None = None
        if config.data_type == "bars":
            self.bar_type = parse_bar_type(config.bar_type or "", config.instrument_id)
        self.identifier = config.instrument_id if self.bar_type is None else str(self.bar_type)
        self.directory = dataset_directory(catalog, config.data_type, self.identifier)
        self._tally = FlawTally()
        self.rules = self._build_rules()
        self._parser = RowParser(self.rules)

    def _resolve_instrument(self) -> Instrument:
        stored = load_instrument(self.catalog, self.config.instrument_id)
        if self._given is None:
            if stored is None:
                raise NotFoundError(
                    f"the instrument {self.config.instrument_id} is not in {self.catalog}",
                    expected="a defined instrument",
                    advice="say what it is with --kind fx_pair|equity|crypto_spot|crypto_perpetual|future, "
                    "or give its definition with --instrument-json FILE",
                )
            return stored
        if self._given.id.value != self.config.instrument_id:
            raise InputError(
                f"the definition is of {self._given.id}, the data of {self.config.instrument_id}",
                expected="one instrument",
            )
        differences = [] if stored is None else compare_instruments(stored, self._given)
        if differences and not self.config.replace_instrument:
            raise ExistsError(
                f"{self.catalog} defines {self._given.id} otherwise: {'; '.join(differences)}",
                expected="the same definition",
                advice="leave out the instrument's options to use the stored one, or add --replace-instrument",
            )
        return self._given

    def _build_rules(self) -> RowRules:
        config, instrument = self.config, self.instrument
        mapping = map_columns(
            self.source.names,
            config.data_type,
            overrides=config.mapping,
            ignored=config.ignore_columns,
            given=str(self.path),
        )
        first = next(self.source.read(list(mapping.columns.values())), None)
        if first is None or len(first.rows) == 0:
            raise InputError(
                f"{self.path} has no rows", expected="rows below the header", advice="export it again"
            )
        time_format = self._detect_format(mapping, first)
        rules = RowRules(
            data_type=config.data_type,
            schema=build_schema(
                config.data_type, self.identifier, instrument.price_precision, instrument.size_precision
            ),
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            mapping=mapping,
            time_format=time_format,
            default_ticks=self._default_ticks(mapping),
            allow_negative=config.allow_negative_prices or instrument.allows_negative_price(),
            decimal_mark=config.decimal_mark,
        )
        self.decisions.append(f"columns: {mapping.describe()}")
        self.decisions.append(f"time stamps: {time_format.describe()}")
        if config.data_type == "trades":
            self._note_trade_columns(mapping)
        return msgspec.structs.replace(rules, shift=self._build_shift(rules, first))

    def _detect_format(self, mapping: ColumnMapping, first: SourceBatch) -> TimeFormat:
        column = mapping.columns["timestamp"]
        sample = first.rows.column(column).slice(0, 100)
        if "time" in mapping.columns:
            flaws = first.rows.column(mapping.columns["time"]).slice(0, 100)
            import pyarrow.compute as pc

            sample = pc.binary_join_element_wise(sample.cast("string"), flaws.cast("string"), " ")
        given = f"column {column!r} of {self.path}"
        return detect_format(sample, tz=self.config.tz, unit=self.config.unit, given=given)

    def _default_ticks(self, mapping: ColumnMapping) -> int:
        fields = {"bars": ("volume",), "quotes": ("bid_size", "ask_size"), "trades": ()}[
            self.config.data_type
        ]
        missing = [field for field in fields if field not in mapping.columns]
        if not missing:
            return 0
        size = self.config.default_size
        try:
            ticks = Decimal(size).scaleb(self.instrument.size_precision)
        except ArithmeticError as e:
            raise InputError(
                f"the default size {size!r} is no number", expected="a number such as 1000000"
            ) from e
        if ticks != int(ticks) or not 0 <= ticks < 2**63:
            raise InputError(
                f"the default size {size} does not fit the size precision {self.instrument.size_precision}",
                expected="a size of the instrument",
                advice="fix --default-size",
            )
        self.decisions.append(
            f"no {' and no '.join(missing)}: {Decimal(size):,} everywhere (nautilus's own default is 1,000,000)"
        )
        return int(ticks)

    def _note_trade_columns(self, mapping: ColumnMapping) -> None:
        if "side" not in mapping.columns and "is_buyer_maker" not in mapping.columns:
            self.decisions.append("no side: NO_AGGRESSOR everywhere")
        if "trade_id" not in mapping.columns:
            self.decisions.append("no trade id: made of the time stamp and a running number within it")

    def _build_shift(self, rules: RowRules, first: SourceBatch) -> BarShift:
        if self.bar_type is None:
            return BarShift()
        if self.config.stamp is None:
            stamps = RowParser(rules).parse_stamps(first.rows, RowFlaws(len(first.rows)))
            hint = suggest_stamp(self.bar_type, int(stamps[0]), rules.mapping.columns["timestamp"])
            looks = (
                f"these look like {hint}: add --stamp {hint} if so"
                if hint
                else "add --stamp open or --stamp close"
            )
            raise InputError(
                f"it is not stated whether the bars of {self.path} are stamped at their open or their close",
                expected="--stamp open or --stamp close",
                advice=looks,
            )
        shift = build_shift(self.bar_type, self.config.stamp, rules.time_format.tz)
        if self.config.stamp == "open":
            length = f"{shift.days} day(s) in {shift.tz}" if shift.days else f"{shift.nanos / 1e9:g} s"
            self.decisions.append(f"bars stamped at their open: moved by {length} to their close")
        else:
            self.decisions.append("bars stamped at their close: as they are")
        return shift

    def stream(
        self, writer: DatasetWriter, dropped: DroppedRows, progress: Callable[[ImportProgress], None] | None
    ) -> int:
        """Parse and write the file, batch by batch; return how many rows it has."""
        rows_read = 0
        drops = self.config.on_error == "drop"
        columns = list(self.rules.mapping.columns.values())
        ragged_seen = 0
        for batch, is_last in _mark_last(self.source.read(columns)):
            flaws = RowFlaws(len(batch.rows))
            if is_last and self._ends_within(batch):
                flaws.codes[-1] = FlawKind.UNTERMINATED
            rows = self._parser.parse(batch.rows, flaws)
            self._tally.add(flaws, batch.numbers)
            ragged = self.source.ragged[ragged_seen:]
            ragged_seen += len(ragged)
            if drops:
                dropped.add(batch, flaws)
                dropped.add_ragged(ragged)
            if drops or self._tally.total == 0:
                writer.write(rows)
            rows_read += len(batch.rows)
            if progress is not None:
                progress(
                    ImportProgress(source=str(self.path), fraction=self.source.fraction(), rows=rows_read)
                )
        ragged = self.source.ragged
        if ragged:
            self._tally.add_rows(FlawKind.RAGGED, [row.number for row in ragged[:5]], len(ragged))
            rows_read += len(ragged)
        if drops:
            dropped.add_ragged(ragged[ragged_seen:])
        return rows_read

    def _ends_within(self, last: SourceBatch) -> bool:
        ragged = self.source.ragged
        return self.source.unterminated and not (ragged and ragged[-1].number > last.numbers[-1])

    def check_result(self, writer: DatasetWriter) -> None:
        """Refuse what was found in the rows."""
        if self._tally.total and self.config.on_error == "refuse":
            raise DataError(
                f"{self.path}: {self._tally.total:,} rows are refused: {self._tally.describe(self.source.row_word)}",
                expected=f"sound {self.config.data_type} of {self._precisions()}",
                advice=self._advise(),
            )
        if writer.rows == 0:
            raise DataError(
                f"{self.path} has no sound row: {self._tally.describe(self.source.row_word)}",
                advice=self._advise(),
            )
        self._check_steps()
        if self._parser.noisy_floats:
            self.decisions.append(
                f"{self._parser.noisy_floats:,} floats lay within {FLOAT_NOISE_ULPS} units of the last place "
                "of a decimal and were taken for it"
            )
        if self._tally.total:
            self.decisions.append(f"dropped: {self._tally.describe(self.source.row_word)}")

    def _check_steps(self) -> None:
        length = None if self.bar_type is None else interval_ns(self.bar_type)
        step = self._parser.least_step_ns
        if length is None or step is None or step == length:
            return
        if step < length:
            raise DataError(
                f"{self.path} has bars only {step / 1e9:g} s apart",
                expected=f"bars of {self.identifier}, at least {length / 1e9:g} s apart",
                advice="fix --bar-type",
            )
        self.decisions.append(
            f"no two bars are closer than {step / 1e9:g} s: check the bar type if that is a surprise"
        )

    def _precisions(self) -> str:
        return (
            f"{self.instrument.id} with {self.instrument.price_precision} decimals in prices "
            f"and {self.instrument.size_precision} in sizes"
        )

    def _advise(self) -> str:
        kinds = self._tally.counts
        if FlawKind.NUMBER_UNREADABLE in kinds and self.config.decimal_mark == ".":
            return "fix the file, add --decimal , if decimals follow a comma, or leave such rows out with --on-error drop"
        if FlawKind.UNTERMINATED in kinds:
            return (
                "if the file is complete, end it with a line break; --on-error drop leaves the last line out"
            )
        if FlawKind.PRICE_PRECISION in kinds or FlawKind.SIZE_PRECISION in kinds:
            return "define the instrument with --price-precision and --size-precision as in the file, or add --on-error drop"
        return "fix the file, or leave such rows out with --on-error drop"

    def save_instrument(self) -> None:
        """Save the definition, if one was given."""
        if self._given is not None:
            save_instrument(self.catalog, self._given, replace=self.config.replace_instrument)

    def dropped_counts(self) -> dict[str, int]:
        """Return how many rows were left out, by reason."""
        return {kind.text: count for kind, count in sorted(self._tally.counts.items())}

    def note_in_ledger(self, result: WriteResult) -> None:
        """Keep beside the data where they came from and what they hash to."""
        if result.outcome == "unchanged":
            return
        entry = LedgerEntry(
            rows=result.rows,
            content_sha256=result.content_sha256,
            size_bytes=result.file.stat().st_size,
            footer_sha256=hash_footer(result.file),
            source=self.path.name,
            decisions=tuple(self.decisions),
            dropped=self.dropped_counts(),
        )
        write_entry(self.catalog, result.file, entry)


def _check_config(config: ImportConfig) -> None:
    parse_instrument_id(config.instrument_id)
    for name, value, known in (
        ("data type", config.data_type, DATA_TYPES),
        ("way to treat errors", config.on_error, ("refuse", "drop")),
        ("decimal mark", config.decimal_mark, (".", ",")),
    ):
        if value not in known:
            raise InputError(f"{value!r} is no {name}", expected=f"one of {', '.join(known)}")
    if config.data_type == "bars":
        if config.bar_type is None:
            raise InputError(
                "bars have no bar type", expected="such as 1-MINUTE-BID", advice="add --bar-type"
            )
        return
    for option, value in (("--bar-type", config.bar_type), ("--stamp", config.stamp)):
        if value is not None:
            raise InputError(
                f"{option} is stated for {config.data_type}", expected="bars", advice=f"leave out {option}"
            )


def _mark_last(batches: Iterator[SourceBatch]) -> Iterator[tuple[SourceBatch, bool]]:
    """Yield each batch that has rows, with whether it is the last one."""
    waiting: Any = None
    for batch in batches:
        if len(batch.rows) == 0:
            continue
        if waiting is not None:
            yield waiting, False
        waiting = batch
    if waiting is not None:
        yield waiting, True
