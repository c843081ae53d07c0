"""What is said about an exception that ended a task."""

from __future__ import annotations

import traceback
from typing import Any

from workbench.errors import InputError, RunError, WorkbenchError, find_error
from workbench.records import Failure

__all__ = ["build_error", "build_failure"]

_MAX_MESSAGE = 4_000
_MAX_TRACE = 60_000
_MAX_ERRORS = 100
_PARTS = ("code", "message", "expected", "advice", "field")


def build_failure(error: BaseException) -> Failure:
    """
    Return the reason that `error` is.

    An error that the workbench raised on purpose needs no traceback. Of anybody else's, the message may be
    of any length, hold what UTF-8 cannot, or raise itself: what comes back can always be sent and stored.
    """
    if isinstance(error, WorkbenchError):
        kind = "input" if isinstance(error, InputError) else "exception"
        return Failure(
            kind=kind,
            message=_clean(str(error), _MAX_MESSAGE),
            detail=_describe(error),
            errors=[_describe(one) for one in error.errors[:_MAX_ERRORS]],
        )
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of somebody else's, with a `__str__` of its own
        text = "(its message cannot be shown)"
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    trace = "".join(traceback.format_exception(error))
    if len(trace) > _MAX_TRACE:
        trace = f"...\n{trace[-_MAX_TRACE:]}"
    return Failure(kind="exception", message=_clean(message, _MAX_MESSAGE), traceback=_clean(trace))


def build_error(failure: Failure) -> WorkbenchError:
    """Return the error that `failure` was made of; of anybody else's exception, a `RunError`."""
    error = _rebuild(failure.detail, failure.message)
    error.errors = tuple(_rebuild(detail, failure.message) for detail in failure.errors)
    return error


def _describe(error: WorkbenchError) -> dict[str, str]:
    return {part: _clean(str(getattr(error, part)), _MAX_MESSAGE) for part in _PARTS}


def _rebuild(detail: dict[str, str], message: str) -> WorkbenchError:
    kind = find_error(detail.get("code", ""))
    if kind is None:
        return RunError(message)
    named: dict[str, Any] = {part: detail.get(part, "") for part in ("expected", "advice", "field")}
    return kind(detail.get("message", message), **named)


def _clean(text: str, limit: int | None = None) -> str:
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}..."
    return text.encode("utf-8", "backslashreplace").decode()
