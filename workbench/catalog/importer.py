"""From a file into the catalog: read, mapped, checked, written whole or not at all."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.catalog.bartypes import interval_ns
from workbench.catalog.definitions import save_instrument
from workbench.catalog.dropped import DroppedRows
from workbench.catalog.flaws import FlawKind, FlawTally, RowFlaws
from workbench.catalog.imports import ImportConfig, ImportProgress, ImportReport
from workbench.catalog.instruments import describe_instrument
from workbench.catalog.ledger import LedgerEntry, hash_footer, write_entry
from workbench.catalog.plan import ImportPlan
from workbench.catalog.prices import check_precision_mode
from workbench.catalog.rows import RowParser
from workbench.catalog.ticks import FLOAT_NOISE_ULPS
from workbench.catalog.writer import DatasetWriter
from workbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nautilus_trader.model.instruments import Instrument

    from workbench.catalog.source import SourceBatch
    from workbench.catalog.writer import WriteResult

__all__ = ["ImportConfig", "ImportProgress", "ImportReport", "import_file", "import_files"]


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
    plan = ImportPlan(path, catalog, config, instrument)
    task = _Import(plan)
    with ExitStack() as stack:
        writer = stack.enter_context(DatasetWriter(catalog, plan.directory, plan.rules.schema))
        dropped = stack.enter_context(DroppedRows(catalog, plan.directory, plan.source.row_word))
        rows_read = task.stream(writer, dropped, progress)
        task.check_result(writer)
        task.save_instrument()
        dropped.seal()
        result = writer.commit(replace=config.replace)
        dropped_file = dropped.keep(result.file)
    task.note_in_ledger(result)
    start_ns, end_ns = writer.interval_ns
    return ImportReport(
        source=str(path),
        data_type=config.data_type,
        identifier=plan.identifier,
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
        instrument=describe_instrument(plan.instrument),
        mapping=plan.rules.mapping.columns,
        decisions=tuple(plan.decisions),
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


class _Import:
    """One import on its way: what is found in the rows, and what follows from it."""

    def __init__(self, plan: ImportPlan) -> None:
        self._plan = plan
        self._tally = FlawTally()
        self._parser = RowParser(plan.rules)

    def stream(
        self, writer: DatasetWriter, dropped: DroppedRows, progress: Callable[[ImportProgress], None] | None
    ) -> int:
        """Parse and write the file, batch by batch; return how many rows it has."""
        rows_read = 0
        drops = self._plan.config.on_error == "drop"
        columns = list(self._plan.rules.mapping.columns.values())
        ragged_seen = 0
        for batch, is_last in _mark_last(self._plan.source.read(columns)):
            flaws = RowFlaws(len(batch.rows))
            if is_last and self._ends_within(batch):
                flaws.codes[-1] = FlawKind.UNTERMINATED
            rows = self._parser.parse(batch.rows, flaws)
            self._tally.add(flaws, batch.numbers)
            ragged = self._plan.source.ragged[ragged_seen:]
            ragged_seen += len(ragged)
            if drops:
                dropped.add(batch, flaws)
                dropped.add_ragged(ragged)
            if drops or self._tally.total == 0:
                writer.write(rows)
            rows_read += len(batch.rows)
            if progress is not None:
                progress(
                    ImportProgress(
                        source=str(self._plan.path), fraction=self._plan.source.fraction(), rows=rows_read
                    )
                )
        ragged = self._plan.source.ragged
        if ragged:
            self._tally.add_rows(FlawKind.RAGGED, [row.number for row in ragged[:5]], len(ragged))
            rows_read += len(ragged)
        if drops:
            dropped.add_ragged(ragged[ragged_seen:])
        return rows_read

    def _ends_within(self, last: SourceBatch) -> bool:
        ragged = self._plan.source.ragged
        return self._plan.source.unterminated and not (ragged and ragged[-1].number > last.numbers[-1])

    def check_result(self, writer: DatasetWriter) -> None:
        """Refuse what was found in the rows."""
        plan, found = self._plan, self._tally.describe(self._plan.source.row_word)
        if self._tally.total and plan.config.on_error == "refuse":
            count = f"{self._tally.total:,} row{'s are' if self._tally.total > 1 else ' is'}"
            raise DataError(
                f"{plan.path}: {count} refused: {found}",
                expected=f"sound {plan.config.data_type} of {self._precisions()}",
                advice=self._advise(),
            )
        if writer.rows == 0:
            raise DataError(f"{plan.path} has no sound row: {found}", advice=self._advise())
        self._check_steps()
        if self._parser.noisy_floats:
            self._plan.decisions.append(
                f"{self._parser.noisy_floats:,} floats lay within {FLOAT_NOISE_ULPS} units of the last place "
                "of a decimal and were taken for it"
            )
        if self._tally.total:
            plan.decisions.append(f"dropped: {found}")

    def _check_steps(self) -> None:
        length = None if self._plan.bar_type is None else interval_ns(self._plan.bar_type)
        step = self._parser.least_step_ns
        if length is None or step is None or step == length:
            return
        if step < length:
            raise DataError(
                f"{self._plan.path} has bars only {step / 1e9:g} s apart",
                expected=f"bars of {self._plan.identifier}, at least {length / 1e9:g} s apart",
                advice="fix --bar-type",
            )
        self._plan.decisions.append(
            f"no two bars are closer than {step / 1e9:g} s: check the bar type if that is a surprise"
        )

    def _precisions(self) -> str:
        return (
            f"{self._plan.instrument.id} with {self._plan.instrument.price_precision} decimals in prices "
            f"and {self._plan.instrument.size_precision} in sizes"
        )

    def _advise(self) -> str:
        kinds = self._tally.counts
        if FlawKind.NUMBER_UNREADABLE in kinds and self._plan.config.decimal_mark == ".":
            return "fix the file, or add --decimal , if decimals follow a comma, or --on-error drop to leave rows out"
        if kinds.get(FlawKind.OUT_OF_ORDER, 0) > self._tally.total / 2:
            return "sort the file by time, oldest first, or leave such rows out with --on-error drop"
        if FlawKind.UNTERMINATED in kinds:
            return (
                "if the file is complete, end it with a line break; --on-error drop leaves the last line out"
            )
        wanted = [
            f"--{name}-precision {self._parser.most_decimals[kind]}"
            for name, kind in (("price", FlawKind.PRICE_PRECISION), ("size", FlawKind.SIZE_PRECISION))
            if self._parser.most_decimals.get(kind)
        ]
        if wanted:
            return f"every row would fit {' and '.join(wanted)}; or leave such rows out with --on-error drop"
        return "fix the file, or leave such rows out with --on-error drop"

    def save_instrument(self) -> None:
        """Save the definition, if one was given."""
        plan = self._plan
        if plan.is_defined_here:
            save_instrument(plan.catalog, plan.instrument, replace=plan.config.replace_instrument)

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
            source=self._plan.path.name,
            decisions=tuple(self._plan.decisions),
            dropped=self.dropped_counts(),
        )
        # The data are in the catalog by now, and all of this can be found again by reading them.
        with suppress(OSError):
            write_entry(self._plan.catalog, result.file, entry)


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
