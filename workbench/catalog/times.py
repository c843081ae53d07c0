"""Time stamps of files, in whatever form, become nanoseconds since the epoch: stated, never assumed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, get_args
from zoneinfo import available_timezones

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.catalog.flaws import FlawKind
from workbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.catalog.flaws import RowFlaws

__all__ = [
    "TIME_UNITS",
    "TimeFormat",
    "TimeUnit",
    "check_zone",
    "detect_format",
    "next_midnight",
    "parse_times",
]

TimeUnit = Literal["s", "ms", "us", "ns"]
"""Units of time stamps that are numbers."""

TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)

_NANOS: dict[str, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NS = pa.timestamp("ns")
_NS_UTC = pa.timestamp("ns", "UTC")
_OFFSET = r"(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$"
_DIGITS = r"^[+-]?\d+(\.\d+)?$"
_DATE_ONLY = r"^\d{4}[-./]?\d{2}[-./]?\d{2}$"
# What data vendors write besides ISO 8601: 20120201 000000, 20120201 00:00:00.123, 2012.02.01 00:00
_COMPACT = (
    r"^(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:[ T](\d{2}):?(\d{2})(?::?(\d{2})(?:[.,]?(\d{1,9}))?)?)?"
    r"(?: ?([zZ]|[+-]\d{2}(?::?\d{2})?))?$"
)


class TimeFormat(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the time stamps of a file are to be read.

    Attributes
    ----------
    form : {'zoned', 'local', 'date', 'number'}
        Whether the stamps carry their offset, are local to :attr:`tz`, are bare dates, or are numbers.
    tz : str, optional
        The IANA zone of local stamps and dates.
    unit : {'s', 'ms', 'us', 'ns'}, optional
        The unit of numbers.

    """

    form: Literal["zoned", "local", "date", "number"]
    tz: str | None = None
    unit: TimeUnit | None = None

    def describe(self) -> str:
        """Return the format in a few words."""
        words = {
            "zoned": "with their own offset",
            "local": f"local to {self.tz}",
            "date": f"dates in {self.tz}",
            "number": f"numbers in {self.unit}",
        }
        return words[self.form]


def check_zone(tz: str) -> str:
    """Return the zone, or raise InputError if it is no IANA time zone."""
    if tz not in available_timezones():
        raise InputError(
            f"{tz!r} is no time zone",
            expected="an IANA name such as UTC or America/New_York",
            advice="fix --tz",
        )
    return tz


def detect_format(sample: pa.Array, *, tz: str | None, unit: TimeUnit | None, given: str) -> TimeFormat:
    """
    Decide how time stamps are to be read, from the first of them and what the caller states.

    Parameters
    ----------
    sample : pyarrow.Array
        The first time stamps of the file, as they stand in it.
    tz : str, optional
        The zone that the caller states.
    unit : str, optional
        The unit that the caller states.
    given : str
        What to call the stamps in a message, for example ``"column 'time' of x.csv"``.

    Returns
    -------
    TimeFormat

    Raises
    ------
    InputError
        If a zone or a unit is needed and not stated, or stated and contradicted.

    """
    if tz is not None:
        check_zone(tz)
    kind = sample.type
    first = None
    if not pa.types.is_temporal(kind):
        first = next(
            (value for value in sample.to_pylist() if value is not None and str(value).strip()), None
        )
    if pa.types.is_timestamp(kind):
        form: Literal["zoned", "local", "date", "number"] = "local" if kind.tz is None else "zoned"
        shown = f"{kind}"
    elif pa.types.is_date(kind):
        form, shown = "date", f"{kind}"
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        form, shown = "number", str(first)
    else:
        shown = "" if first is None else str(first).strip()
        form = _form_of_text(shown, unit, given)
    return _stated(form, tz, unit, given, shown)


def _form_of_text(
    text: str, unit: TimeUnit | None, given: str
) -> Literal["zoned", "local", "date", "number"]:
    def matches(pattern: str) -> bool:
        return bool(pc.match_substring_regex(pa.scalar(text), pattern).as_py())

    if matches(_DIGITS) and (unit is not None or not (matches(_DATE_ONLY) or matches(_COMPACT))):
        return "number"
    if matches(_DATE_ONLY):
        return "date"
    if not matches(_COMPACT):
        raise InputError(
            f"{given} starts with {text!r}",
            expected="ISO 8601 (2012-02-01 00:00:00+00:00), a date (2012-02-01) or a number with --unit",
            advice="choose the right column with --map timestamp=COLUMN, or convert the stamps",
        )
    return "zoned" if matches(r"\d" + _OFFSET) and matches(r"[T ]\d{2}:?\d{2}.*" + _OFFSET) else "local"


def _stated(
    form: Literal["zoned", "local", "date", "number"],
    tz: str | None,
    unit: TimeUnit | None,
    given: str,
    shown: str,
) -> TimeFormat:
    if form == "number":
        if unit is None:
            raise InputError(
                f"{given} holds numbers such as {shown} and no unit is stated",
                expected=f"one of {', '.join(TIME_UNITS)}",
                advice=f"add --unit {_plausible_unit(shown)} if these are times since 1970",
            )
        return TimeFormat(form=form, unit=unit)
    if unit is not None:
        raise InputError(
            f"{given} holds {shown!r} but the unit {unit!r} is stated",
            expected="numbers",
            advice="leave out --unit",
        )
    if form == "zoned":
        # A stated zone is no contradiction: the stamps say themselves which instant they mean.
        return TimeFormat(form=form)
    if tz is None:
        raise InputError(
            f"{given} holds {shown!r} without an offset and no time zone is stated",
            expected="an IANA time zone",
            advice="add --tz UTC, or the zone of the vendor's clock such as --tz America/New_York",
        )
    return TimeFormat(form=form, tz=tz)


def _plausible_unit(text: str) -> TimeUnit:
    size = abs(float(text)) if text else 0.0
    limits: tuple[tuple[TimeUnit, float], ...] = (("s", 1e11), ("ms", 1e14), ("us", 1e17))
    return next((unit for unit, limit in limits if size < limit), "ns")


def parse_times(
    column: pa.Array, time_format: TimeFormat, flaws: RowFlaws, *, time_of_day: pa.Array | None = None
) -> NDArray[np.int64]:
    """
    Parse time stamps into nanoseconds since the epoch, UTC.

    Parameters
    ----------
    column : pyarrow.Array
        Text, timestamps, dates or numbers.
    time_format : TimeFormat
        How they are to be read.
    flaws : RowFlaws
        Where rows that cannot be read are marked; their time is 0.
    time_of_day : pyarrow.Array, optional
        The time of day in text, where ``column`` has only the date in text.

    Returns
    -------
    numpy.ndarray of int64
        Nanoseconds since the epoch.

    """
    if time_of_day is not None:
        column = pc.binary_join_element_wise(column.cast(pa.string()), time_of_day.cast(pa.string()), " ")
    if time_format.form == "number":
        stamps = _from_numbers(column, _NANOS[time_format.unit or "ns"])
    elif time_format.form == "zoned":
        stamps = _cast(column, _NS_UTC)
    else:
        stamps = _localise(_cast(column, _NS), time_format.tz or "UTC", flaws)
    bad = stamps.is_null().to_numpy(zero_copy_only=False)
    values: NDArray[np.int64] = stamps.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    flaws.mark(bad | (values < 0), FlawKind.TIME_UNREADABLE)
    return values


def next_midnight(stamps: NDArray[np.int64], tz: str, days: int) -> NDArray[np.int64]:
    """
    Return the local time ``days`` calendar days later, as nanoseconds since the epoch.

    A day is not always 24 hours: over a change of the clocks it has 23 or 25.
    """
    local = pc.local_timestamp(pa.array(stamps, _NS_UTC).cast(pa.timestamp("ns", tz)))
    moved = pa.array(local.cast(pa.int64()).to_numpy() + days * 86_400 * 10**9, _NS)
    later = pc.assume_timezone(moved, tz, ambiguous="earliest", nonexistent="latest")
    result: NDArray[np.int64] = later.cast(pa.int64()).to_numpy()
    return result


def _cast(column: pa.Array, target: pa.DataType) -> pa.Array:
    """Cast text or another unit of time; what cannot be read is null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return pa.nulls(len(column), target)
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), _COMPACT, r"\1-\2-\3T\4:\5:\6.\7\8")
    # What a form leaves out must go again: no seconds, no fraction, no time of day.
    text = pc.replace_substring_regex(text, r"T::\.", "")
    text = pc.replace_substring_regex(text, r":\.", ":00")
    text = pc.replace_substring_regex(text, r"\.([zZ+-]|$)", r"\1")
    try:
        return text.cast(target)
    except pa.ArrowInvalid:
        return _cast_by_halves(text, target)


def _cast_by_halves(column: pa.Array, target: pa.DataType) -> pa.Array:
    readable = pc.match_substring_regex(column, r"^\d{4}-\d{2}-\d{2}")
    has_offset = pc.match_substring_regex(column, r"[T ].*" + _OFFSET)
    fits = pc.and_(readable, has_offset if target.tz else pc.invert(has_offset))
    column = pc.if_else(fits, column, None)
    pieces: list[pa.Array] = []

    def cast(start: int, stop: int) -> None:
        try:
            pieces.append(column.slice(start, stop - start).cast(target))
        except pa.ArrowInvalid:
            if stop - start == 1:
                pieces.append(pa.nulls(1, target))
                return
            middle = (start + stop) // 2
            cast(start, middle)
            cast(middle, stop)

    cast(0, len(column))
    return pa.concat_arrays(pieces)


def _from_numbers(column: pa.Array, nanos: int) -> pa.Array:
    """Scale numbers to nanoseconds, exactly: text may have decimals down to the nanosecond."""
    target = pa.decimal128(38, 9)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.string())
    try:
        decimals = column.cast(target)
    except pa.ArrowInvalid:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        plain = pc.match_substring_regex(text, r"^[+-]?\d{1,20}(\.\d{0,9})?$")
        decimals = pc.if_else(plain, text, None).cast(target)
    limit = pa.scalar(Decimal((2**63 - 1) // nanos), target)
    decimals = pc.if_else(pc.less_equal(pc.abs(decimals), limit), decimals, None)
    scaled = decimals
    if nanos > 1:
        # Arrow adds the digits of both factors, and 38 is all that it has.
        scaled = pc.multiply(decimals.cast(pa.decimal128(27, 9)), pa.scalar(nanos, pa.decimal128(10, 0)))
    whole = pc.equal(scaled, pc.floor(scaled))
    sound = pc.if_else(whole, scaled, None)
    return sound.cast(pa.int64()).cast(_NS_UTC)


def _localise(stamps: pa.Array, tz: str, flaws: RowFlaws) -> pa.Array:
    if tz == "UTC":
        return pc.assume_timezone(stamps, tz)
    early = pc.assume_timezone(stamps, tz, ambiguous="earliest", nonexistent="earliest")
    late = pc.assume_timezone(stamps, tz, ambiguous="latest", nonexistent="latest")
    differs = pc.not_equal(early, late).fill_null(False).to_numpy(zero_copy_only=False)
    if differs.any():
        # Both readings of an ambiguous time show the time asked for; those of a missing one do not.
        shown = pc.local_timestamp(late)
        twice = pc.equal(shown, stamps).fill_null(False).to_numpy(zero_copy_only=False)
        flaws.mark(differs & twice, FlawKind.TIME_AMBIGUOUS)
        flaws.mark(differs & ~twice, FlawKind.TIME_MISSING)
    return late
