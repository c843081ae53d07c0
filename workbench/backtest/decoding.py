"""Decode nautilus's configurations without its sharp edges."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from nautilus_trader.common.config import NautilusConfig, msgspec_decoding_hook
from nautilus_trader.model.data import BarSpecification
from nautilus_trader.model.enums import BarAggregation, PriceType
from nautilus_trader.model.identifiers import (
    AccountId,
    Identifier,
    InstrumentId,
    PositionId,
    StrategyId,
    Symbol,
    TraderId,
)

__all__ = ["DECODE_ERRORS", "decode_config", "decode_value", "find_field"]

# What nautilus and msgspec raise for values that they refuse.
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, AttributeError, ImportError, ArithmeticError)

_TAGGED = (TraderId, StrategyId, AccountId)
_ANY_TEXT = (InstrumentId, Symbol, PositionId)

# How msgspec ends its messages: "... - at `$.venues[0].name`", "... - at `key` in `$.leverages`".
_PLACE = re.compile(r" - at (?:`key` in )?`\$(?P<path>[^`]*)`$")
_MEMBER = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]*)`")


def decode_config[C: NautilusConfig](kind: type[C], text: bytes | str) -> C:
    """
    Return the JSON `text` as a configuration of `kind`, as ``kind.parse`` does.

    Some identifiers and bar specifications that are not well-formed end the process in nautilus's compiled
    code, a notebook's kernel as well. They are refused here before they get there.

    Raises
    ------
    msgspec.MsgspecError, ValueError, TypeError, AttributeError, ImportError or ArithmeticError
        If `text` is not such a configuration (`DECODE_ERRORS`).

    """
    config: C = msgspec.json.decode(text, type=kind, dec_hook=_decode)
    return config


def decode_value(kind: Any, value: Any) -> Any:
    """
    Return the plain `value` as a `kind`: any type that a field of a configuration may have.

    Raises
    ------
    msgspec.MsgspecError, ValueError, TypeError, AttributeError, ImportError or ArithmeticError
        If it is none (`DECODE_ERRORS`).

    """
    return msgspec.json.decode(msgspec.json.encode(value), type=kind, dec_hook=_decode)


def find_field(error: Exception, *parents: str) -> str:
    """
    Return the place in the input that `error` is about, such as ``venues.0.name``, as far as it tells.

    Parameters
    ----------
    error : Exception
        What msgspec raised.
    parents : str
        Where the input that was decoded stands itself.

    """
    text = str(error)
    place, member = _PLACE.search(text), _MEMBER.search(text)
    path = place["path"].replace("[...]", "").replace("[", ".").replace("]", "") if place else ""
    parts = [*parents, path.strip("."), member["name"] if member else ""]
    return ".".join(p for p in parts if p)


def _decode(kind: type, value: Any) -> Any:
    try:
        return _decode_text(kind, value)
    except (AttributeError, ImportError, ArithmeticError) as e:
        # Of these msgspec would not say where the value stands
        raise ValueError(f"invalid value {value!r}: {type(e).__name__}: {e}") from e


def _decode_text(kind: type, value: Any) -> Any:
    if isinstance(value, str):
        if issubclass(kind, Identifier) and "\x00" in value:
            raise ValueError(f"invalid `{kind.__name__}` value {value!r}: expected text")
        if kind in _TAGGED:
            _check_tagged(kind, value)
        elif issubclass(kind, Identifier) and kind not in _ANY_TEXT and not value.isascii():
            raise ValueError(f"invalid `{kind.__name__}` value {value!r}: expected ASCII")
        elif kind is BarSpecification:
            _check_specification(value)
    return msgspec_decoding_hook(kind, value)


def _check_tagged(kind: type, value: str) -> None:
    if kind is StrategyId and value == "EXTERNAL":
        return
    first, _, rest = value.partition("-")
    most, _, tag = value.rpartition("-")
    if not (value.isascii() and all(part.strip() for part in (first, rest, most, tag))):
        raise ValueError(f"invalid `{kind.__name__}` value {value!r}: expected NAME-TAG, such as TRADER-001")


def _check_specification(value: str) -> None:
    parts = value.rsplit("-", 2)
    if len(parts) != 3 or parts[1] not in BarAggregation.__members__ or parts[2] not in PriceType.__members__:
        raise ValueError(f"invalid `BarSpecification` value {value!r}: expected for example 1-MINUTE-BID")
