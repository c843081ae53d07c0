"""The fields of a job record as columns: one table, and both directions of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from workbench.errors import InputError
from workbench.records import Failure, JobRecord
from workbench.states import JobState

__all__ = ["FIELDS", "INDEXED", "MAX_KEY", "Field", "FieldType", "clean", "decode", "encode", "fold"]

# PostgreSQL's limit of an index entry is 2704 bytes: two such keys fit.
MAX_KEY = 255
# PostgreSQL cannot hold NUL in text, and neither UTF-8 nor JSON a lone surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class FieldType(Enum):
    """How a field is stored."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    JSON = "json"
    """JSON as text, which comes back as it was: order, big integers, NUL."""
    NUMBERS = "numbers"
    """Numbers by name, as JSON that the database can sort by."""


class Field(NamedTuple):
    """How a field is stored and whether it may be ``None``."""

    type: FieldType
    is_optional: bool = False


# Every field of JobRecord but `progress`, which is never stored.
FIELDS: dict[str, Field] = {
    "id": Field(FieldType.TEXT),
    "kind": Field(FieldType.TEXT),
    "name": Field(FieldType.TEXT),
    "state": Field(FieldType.TEXT),
    "owner": Field(FieldType.TEXT),
    "created_at": Field(FieldType.TEXT),
    "started_at": Field(FieldType.TEXT, is_optional=True),
    "finished_at": Field(FieldType.TEXT, is_optional=True),
    "parent_id": Field(FieldType.TEXT, is_optional=True),
    "requeued_from": Field(FieldType.TEXT, is_optional=True),
    "lineage": Field(FieldType.TEXT),
    "dataset": Field(FieldType.TEXT),
    "reason": Field(FieldType.TEXT),
    "identity": Field(FieldType.TEXT),
    "rows": Field(FieldType.INTEGER),
    "predicted_rss_bytes": Field(FieldType.INTEGER),
    "peak_rss_bytes": Field(FieldType.INTEGER),
    "seq": Field(FieldType.INTEGER),
    "elapsed_secs": Field(FieldType.REAL),
    "point": Field(FieldType.JSON),
    "failure": Field(FieldType.JSON, is_optional=True),
    "headline": Field(FieldType.NUMBERS),
    "spec": Field(FieldType.JSON),
}
_JSON = [name for name, field in FIELDS.items() if field.type is FieldType.JSON]
INDEXED = frozenset({"id", "state", "created_at", "parent_id", "lineage", "dataset"})


def clean(text: str) -> str:
    """Return `text` with U+FFFD in the place of what no column of text can hold: NUL and lone surrogates."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def fold(text: str) -> str:
    """Return `text` as it is searched: whatever the case, line breaks as spaces."""
    return clean(text).casefold().replace("\n", " ")


def encode(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the columns of some fields of a job record.

    Of the headline only finite numbers are kept.

    Raises
    ------
    InputError
        If a value cannot be stored: an integer beyond 64 bits, a number that is not finite, a long key, a
        specification that is no JSON. `field` names it.

    """
    return {name: _encode(name, FIELDS[name], value) for name, value in values.items()}


def decode(names: Iterable[str], values: Iterable[Any]) -> JobRecord:
    """Return the job record of a row with the columns `names`; a field that is not among them has its default."""
    row = dict(zip(names, values, strict=True))
    for name in _JSON:
        if (text := row.get(name)) is not None:
            row[name] = msgspec.json.decode(text)
    return msgspec.convert(row, JobRecord)


def _encode(name: str, field: Field, value: Any) -> Any:
    if value is None:
        if not field.is_optional:
            raise InputError(f"{name} is missing", field=name)
        return None
    match field.type:
        case FieldType.TEXT:
            return _encode_text(name, value)
        case FieldType.INTEGER:
            return _encode_integer(name, value)
        case FieldType.REAL:
            return _encode_real(name, value)
        case FieldType.NUMBERS:
            return {clean(key): float(number) for key, number in value.items() if math.isfinite(number)}
        case FieldType.JSON:
            return _encode_json(name, value)


def _encode_text(name: str, value: Any) -> str:
    text = clean(value.value if isinstance(value, JobState) else value)
    if name in INDEXED and len(text) > MAX_KEY:
        raise InputError(f"{name} has {len(text)} characters", expected=f"no more than {MAX_KEY}", field=name)
    return text


def _encode_integer(name: str, value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise InputError(f"{name} is {value}", expected="an integer of 64 bits", field=name)
    return value


def _encode_real(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise InputError(f"{name} is {value}", expected="a finite number", field=name)
    return value


def _encode_json(name: str, value: Any) -> str:
    plain = msgspec.to_builtins(value) if isinstance(value, Failure) else value
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is no JSON: {error}", field=name) from error
    return _SURROGATE.sub(_REPLACEMENT, text)
