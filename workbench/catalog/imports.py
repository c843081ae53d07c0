"""What an import is asked to do, how far it is, and what it did."""

from __future__ import annotations

from typing import Literal

import msgspec

from workbench.catalog.bartypes import Stamp
from workbench.catalog.columns import DATA_TYPES, DataType
from workbench.catalog.instruments import parse_instrument_id
from workbench.catalog.times import TimeUnit
from workbench.errors import InputError

__all__ = ["ImportConfig", "ImportProgress", "ImportReport", "check_config"]


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
    mapping: dict[str, str] = {}
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


def check_config(config: ImportConfig) -> None:
    """Refuse a configuration that contradicts itself."""
    parse_instrument_id(config.instrument_id)
    choices: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("data type", config.data_type, DATA_TYPES),
        ("way to treat errors", config.on_error, ("refuse", "drop")),
        ("decimal mark", config.decimal_mark, (".", ",")),
    )
    for name, given, known in choices:
        if given not in known:
            raise InputError(f"{given!r} is no {name}", expected=f"one of {', '.join(known)}")
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
