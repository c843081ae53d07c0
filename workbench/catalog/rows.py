"""Rows of a file become rows of nautilus's schema, each checked on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.catalog.checks import (
    SIZE_LIMIT,
    OrderCheck,
    RepeatCheck,
    TradeIdCheck,
    check_bars,
    check_prices,
    check_quotes,
    check_sizes,
)
from workbench.catalog.flaws import FlawKind, RowFlaws
from workbench.catalog.prices import encode_ticks, raw_limbs
from workbench.catalog.ticks import TickColumn, parse_ticks
from workbench.catalog.times import next_midnight, parse_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.catalog.columns import ColumnMapping, DataType
    from workbench.catalog.times import TimeFormat

__all__ = ["BarShift", "RowParser", "RowRules"]

_BUYER, _SELLER = 1, 2
_SIDES = {"buy": _BUYER, "b": _BUYER, "buyer": _BUYER, "sell": _SELLER, "s": _SELLER, "seller": _SELLER}
_SIDES |= {"no_aggressor": 0, "none": 0, "unknown": 0, "": 0}
_MAKERS = {"true": _SELLER, "1": _SELLER, "t": _SELLER, "false": _BUYER, "0": _BUYER, "f": _BUYER}


class BarShift(msgspec.Struct, frozen=True):
    """How far an open-stamped bar's time moves to its close: nanoseconds, or whole days of a zone."""

    nanos: int = 0
    days: int = 0
    tz: str = "UTC"


class RowRules(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the rows of a file are to become.

    Attributes
    ----------
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    schema : pyarrow.Schema
        Nautilus's schema of the dataset.
    price_precision, size_precision : int
        The precisions of the instrument.
    mapping : ColumnMapping
        Which column holds what.
    time_format : TimeFormat
        How time stamps are to be read.
    shift : BarShift
        How bars move to their close.
    default_ticks : int
        The size, in ticks, where the file has none.
    allow_negative : bool
        Whether prices may be zero or negative.
    decimal_mark : str
        What separates decimals in text.

    """

    data_type: DataType
    schema: pa.Schema
    price_precision: int
    size_precision: int
    mapping: ColumnMapping
    time_format: TimeFormat
    shift: BarShift = BarShift()
    default_ticks: int = 0
    allow_negative: bool = False
    decimal_mark: str = "."


class RowParser:
    """
    Parses and checks the batches of one file, in their order.

    Parameters
    ----------
    rules : RowRules
        What the rows are to become.

    Attributes
    ----------
    noisy_floats : int
        How many floats were taken for the decimal next to them.
    most_decimals : dict[FlawKind, int]
        The most decimals among prices, and among sizes, that do not fit their precision.
    least_step_ns : int or None
        The shortest time between two sound rows with different times.

    """

    def __init__(self, rules: RowRules) -> None:
        self._rules = rules
        self._order = OrderCheck(rules.data_type)
        self._repeats = RepeatCheck()
        self._trade_ids = TradeIdCheck()
        # Sizes of the batch at hand that are more ticks than an int64 holds.
        self._wide: dict[str, pa.Array] = {}
        self._last_ns: int | None = None
        self._at_last = 0
        self.noisy_floats = 0
        self.most_decimals: dict[FlawKind, int] = {}
        self.least_step_ns: int | None = None

    def parse(self, rows: pa.RecordBatch, flaws: RowFlaws) -> pa.RecordBatch:
        """
        Parse one batch.

        Parameters
        ----------
        rows : pyarrow.RecordBatch
            The mapped columns under the names that they have in the file.
        flaws : RowFlaws
            Where flaws are marked; some may be marked already.

        Returns
        -------
        pyarrow.RecordBatch
            The sound rows, in the schema of the rules.

        """
        self._wide.clear()
        stamps = self.parse_stamps(rows, flaws)
        build = {"bars": self._parse_bars, "quotes": self._parse_quotes, "trades": self._parse_trades}
        columns = build[self._rules.data_type](rows, stamps, flaws)
        sound = flaws.sound
        everything = bool(sound.all())
        kept = stamps if everything else stamps[sound]
        self._note_steps(kept)
        if self._rules.data_type == "trades" and columns["trade_id"] is None:
            columns["trade_id"] = self._number_trades(kept)
        elif not everything and self._rules.data_type == "trades":
            columns["trade_id"] = columns["trade_id"].filter(pa.array(sound))
        if len(kept):
            self._last_ns = int(kept[-1])
        arrays = []
        for field in self._rules.schema:
            if field.name in ("ts_event", "ts_init"):
                arrays.append(pa.array(kept.view(np.uint64)))
            elif field.name == "trade_id":
                arrays.append(columns["trade_id"])
            elif field.name in self._wide:
                arrays.append(self._wide[field.name].filter(pa.array(sound)))
            else:
                values = columns[field.name] if everything else columns[field.name][sound]
                arrays.append(self._encode(field, values))
        return pa.RecordBatch.from_arrays(arrays, schema=self._rules.schema)

    def parse_stamps(self, rows: pa.RecordBatch, flaws: RowFlaws) -> NDArray[np.int64]:
        """Return the time of each row in nanoseconds, moved to the close where the rules say so."""
        time_of_day = self._column(rows, "time")
        stamps = parse_times(
            rows.column(self._name("timestamp")), self._rules.time_format, flaws, time_of_day=time_of_day
        )
        shift = self._rules.shift
        if shift.nanos:
            return stamps + shift.nanos
        return next_midnight(stamps, shift.tz, shift.days) if shift.days else stamps

    def _parse_bars(self, rows: pa.RecordBatch, stamps: NDArray[np.int64], flaws: RowFlaws) -> dict[str, Any]:
        prices = {name: self._prices(rows, name, flaws) for name in ("open", "high", "low", "close")}
        volume = self._sizes(rows, "volume", flaws, allow_zero=True)
        check_bars(prices["open"], prices["high"], prices["low"], prices["close"], flaws)
        self._order.check(stamps, flaws)
        return {**prices, "volume": volume}

    def _parse_quotes(
        self, rows: pa.RecordBatch, stamps: NDArray[np.int64], flaws: RowFlaws
    ) -> dict[str, Any]:
        columns = {
            "bid_price": self._prices(rows, "bid", flaws),
            "ask_price": self._prices(rows, "ask", flaws),
            "bid_size": self._sizes(rows, "bid_size", flaws, allow_zero=True),
            "ask_size": self._sizes(rows, "ask_size", flaws, allow_zero=True),
        }
        check_quotes(columns["bid_price"], columns["ask_price"], flaws)
        self._order.check(stamps, flaws)
        self._repeats.check(
            [stamps, *(self._tell_apart(name, ticks) for name, ticks in columns.items())], flaws
        )
        return columns

    def _parse_trades(
        self, rows: pa.RecordBatch, stamps: NDArray[np.int64], flaws: RowFlaws
    ) -> dict[str, Any]:
        columns: dict[str, Any] = {
            "price": self._prices(rows, "price", flaws),
            "size": self._sizes(rows, "size", flaws, allow_zero=False),
            "aggressor_side": self._sides(rows, flaws),
            "trade_id": self._column(rows, "trade_id"),
        }
        ids = columns["trade_id"]
        if ids is not None:
            columns["trade_id"] = ids = ids.cast(pa.string()).fill_null("")
            valid = pc.match_substring_regex(ids, r"^[\x21-\x7e]{1,36}$").to_numpy(zero_copy_only=False)
            flaws.mark(~valid, FlawKind.TRADE_ID_INVALID)
        self._order.check(stamps, flaws)
        if ids is not None:
            self._trade_ids.check(_build_keys(ids), flaws)
        return columns

    def _prices(self, rows: pa.RecordBatch, field: str, flaws: RowFlaws) -> NDArray[np.int64]:
        parsed = self._ticks(rows, field, self._rules.price_precision, flaws, FlawKind.PRICE_PRECISION)
        check_prices(
            parsed.ticks, self._rules.price_precision, flaws, allow_negative=self._rules.allow_negative
        )
        return parsed.ticks

    def _sizes(
        self, rows: pa.RecordBatch, field: str, flaws: RowFlaws, *, allow_zero: bool
    ) -> NDArray[np.int64]:
        if field not in self._rules.mapping.columns:
            return np.full(len(rows), self._rules.default_ticks, np.int64)
        parsed = self._ticks(
            rows, field, self._rules.size_precision, flaws, FlawKind.SIZE_PRECISION, SIZE_LIMIT
        )
        check_sizes(parsed.ticks, self._rules.size_precision, flaws, allow_zero=allow_zero)
        if parsed.raw is not None:
            self._wide[field] = parsed.raw
        return parsed.ticks

    def _ticks(
        self,
        rows: pa.RecordBatch,
        field: str,
        precision: int,
        flaws: RowFlaws,
        misfit: FlawKind,
        wide_limit: int = 0,
    ) -> TickColumn:
        parsed = parse_ticks(
            rows.column(self._name(field)),
            precision,
            flaws,
            misfit=misfit,
            decimal_mark=self._rules.decimal_mark,
            wide_limit=wide_limit,
        )
        self.noisy_floats += parsed.noisy
        self.most_decimals[misfit] = max(self.most_decimals.get(misfit, 0), parsed.most_decimals)
        return parsed

    def _tell_apart(self, name: str, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put the low half of wide sizes in the place of their ticks, which are all the same."""
        if name not in self._wide:
            return ticks
        low = raw_limbs(self._wide[name])[:, 0].view(np.int64)
        return np.where(ticks == np.iinfo(np.int64).max, low, ticks)

    def _sides(self, rows: pa.RecordBatch, flaws: RowFlaws) -> NDArray[np.uint8]:
        column, words = self._column(rows, "side"), _SIDES
        if column is None:
            column, words = self._column(rows, "is_buyer_maker"), _MAKERS
        if column is None:
            return np.zeros(len(rows), np.uint8)
        text = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null("?")))
        encoded = text.dictionary_encode()
        codes = np.array([words.get(word.as_py(), 255) for word in encoded.dictionary], np.uint8)
        sides: NDArray[np.uint8] = codes[encoded.indices.to_numpy()] if len(text) else np.zeros(0, np.uint8)
        unknown = sides == 255
        flaws.mark(unknown, FlawKind.SIDE_UNREADABLE)
        return np.where(unknown, 0, sides).astype(np.uint8)

    def _number_trades(self, stamps: NDArray[np.int64]) -> pa.Array:
        """Make ids from the time and a running number within it, for trades that have none."""
        if len(stamps) == 0:
            return pa.array([], pa.string())
        first = np.concatenate(([True], stamps[1:] != stamps[:-1]))
        starts = np.maximum.accumulate(np.where(first, np.arange(len(stamps)), 0))
        running = np.arange(len(stamps)) - starts + 1
        if self._last_ns == stamps[0]:
            running[stamps == stamps[0]] += self._at_last
        self._at_last = int(running[-1])
        return pc.binary_join_element_wise(
            pa.array(stamps).cast(pa.string()), pa.array(running).cast(pa.string()), "-"
        )

    def _note_steps(self, stamps: NDArray[np.int64]) -> None:
        if self._last_ns is not None:
            stamps = np.concatenate(([self._last_ns], stamps))
        steps = np.diff(stamps)
        steps = steps[steps > 0]
        if len(steps):
            least = int(steps.min())
            self.least_step_ns = least if self.least_step_ns is None else min(self.least_step_ns, least)

    def _encode(self, field: pa.Field, values: NDArray[Any]) -> pa.Array:
        if field.type == pa.uint8():
            return pa.array(values)
        is_size = field.name in ("volume", "size", "bid_size", "ask_size")
        return encode_ticks(values, self._rules.size_precision if is_size else self._rules.price_precision)

    def _column(self, rows: pa.RecordBatch, field: str) -> pa.Array | None:
        return rows.column(self._name(field)) if field in self._rules.mapping.columns else None

    def _name(self, field: str) -> str:
        return self._rules.mapping.columns[field]


def _build_keys(ids: pa.Array) -> NDArray[np.uint64]:
    """Return 64-bit keys: the value of a number, for other text a hash with its top bit set."""
    number = pc.match_substring_regex(ids, r"^[1-9]\d{0,17}$")
    keys: NDArray[np.uint64] = (
        pc.if_else(number, ids, "0").cast(pa.uint64()).to_numpy(zero_copy_only=False).copy()
    )
    other = np.flatnonzero(~number.to_numpy(zero_copy_only=False))
    if len(other):
        text = ids.take(pa.array(other)).to_numpy(zero_copy_only=False)
        keys[other] = pd.util.hash_array(text, categorize=False) | np.uint64(1 << 63)
    return keys
