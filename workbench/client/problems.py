"""Problem details (RFC 9457) become the errors that they were made of."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.errors import InputError, ServerError, WorkbenchError, find_error

__all__ = ["build_problem_error"]

_MAX_TEXT = 300
_CLIENT_ERRORS = range(400, 500)


def build_problem_error(status: int, content: bytes) -> WorkbenchError:
    """
    Return the error that the server has described in the body `content` of its answer.

    With a code that is not known here, or a body that is no problem document (a proxy's page), it is an
    `InputError` where the request was at fault, and a `ServerError` where the server was.
    """
    problem = _decode(content)
    kind = find_error(str(problem.get("code", "")))
    message = str(problem.get("detail") or problem.get("title") or "")
    if kind is None or not message:
        kind = InputError if status in _CLIENT_ERRORS else ServerError
        text = message or content[:_MAX_TEXT].decode(errors="replace").strip()
        message = f"the server answered {status}: {text or 'without a reason'}"
    expected, advice, field = (str(problem.get(name) or "") for name in ("expected", "advice", "field"))
    return kind(message, expected=expected, advice=advice, field=field)


def _decode(content: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}
