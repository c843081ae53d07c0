"""Plain values in requests: what can be passed on to a child process."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator

__all__ = ["Plain"]


def _check(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON text can hold and the line to a child cannot: huge integers, halves of characters."""
    try:
        msgspec.msgpack.encode(value)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as e:
        raise ValueError(f"cannot be passed on: {e}") from None
    return value


# A JSON object.
type Plain = Annotated[dict[str, Any], AfterValidator(_check)]
