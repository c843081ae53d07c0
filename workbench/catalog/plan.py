"""How a file will be imported: decided before its first row is written, and said aloud."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pyarrow.compute as pc

from workbench.catalog.bartypes import build_shift, parse_bar_type, suggest_stamp
from workbench.catalog.columns import ColumnMapping, map_columns
from workbench.catalog.definitions import compare_instruments, load_instrument
from workbench.catalog.flaws import RowFlaws
from workbench.catalog.imports import check_config
from workbench.catalog.rows import BarShift, RowParser, RowRules
from workbench.catalog.schema import build_schema, dataset_directory
from workbench.catalog.source import open_source
from workbench.catalog.times import TimeFormat, detect_format
from workbench.errors import ExistsError, InputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.instruments import Instrument

    from workbench.catalog.imports import ImportConfig
    from workbench.catalog.source import Source, SourceBatch

__all__ = ["ImportPlan"]


class ImportPlan:
    """
    Everything about an import that is decided before the first row is written.

    Parameters
    ----------
    path : Path
        The file.
    catalog : Path
        The root of the catalog.
    config : ImportConfig
        What the caller states.
    instrument : Instrument, optional
        The definition that the caller gives (default: the one in the catalog).

    Attributes
    ----------
    source : Source
        The file, opened.
    instrument : Instrument
        The definition in force.
    is_defined_here : bool
        Whether the caller gave it.
    bar_type : BarType or None
        The type of bars.
    identifier : str
        The dataset.
    directory : Path
        Where the dataset lies.
    rules : RowRules
        What the rows become.
    decisions : list of str
        How the file is read, a sentence each.

    """

    def __init__(
        self, path: Path, catalog: Path, config: ImportConfig, instrument: Instrument | None
    ) -> None:
        self.path = path
        self.catalog = catalog
        self.config = config
        self.decisions: list[str] = []
        self.is_defined_here = instrument is not None
        check_config(config)
        self.source: Source = open_source(path, delimiter=config.delimiter, names=config.column_names)
        self.instrument = self._resolve_instrument(instrument)
        self.bar_type: BarType | None = None
        if config.data_type == "bars":
            self.bar_type = parse_bar_type(config.bar_type or "", config.instrument_id)
        self.identifier = config.instrument_id if self.bar_type is None else str(self.bar_type)
        self.directory = dataset_directory(catalog, config.data_type, self.identifier)
        self.rules = self._build_rules()

    def _resolve_instrument(self, given: Instrument | None) -> Instrument:
        stored = load_instrument(self.catalog, self.config.instrument_id)
        if given is None:
            if stored is None:
                raise NotFoundError(
                    f"the instrument {self.config.instrument_id} is not in {self.catalog}",
                    expected="a defined instrument",
                    advice="say what it is with --kind fx_pair|equity|crypto_spot|crypto_perpetual|future, "
                    "or give its definition with --instrument-json FILE",
                )
            return stored
        if given.id.value != self.config.instrument_id:
            raise InputError(
                f"the definition is of {given.id}, the data of {self.config.instrument_id}",
                expected="one instrument",
            )
        differences = [] if stored is None else compare_instruments(stored, given)
        if differences and not self.config.replace_instrument:
            raise ExistsError(
                f"{self.catalog} defines {given.id} otherwise: {'; '.join(differences)}",
                expected="the same definition",
                advice="leave out the instrument's options to use the stored one, or add --replace-instrument",
            )
        return given

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
            times = first.rows.column(mapping.columns["time"]).slice(0, 100)
            sample = pc.binary_join_element_wise(sample.cast("string"), times.cast("string"), " ")
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
