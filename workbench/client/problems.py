"""Problem details (RFC 9457) become the errors that they were made of."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.errors import (
    ConfirmationRequiredError,
    InputError,
    ServerError,
    WorkbenchError,
    find_error,
)

__all__ = ["build_problem_error"]

_MAX_TEXT = 300
_CLIENT_ERRORS = range(400, 500)


def build_problem_error(status: int, content: bytes) -> WorkbenchError:
    """
    Return the error that the server has described in the body `content` of its answer.

    With a code that is not known here, or a body that is no problem document (a proxy's page), it is an
    `InputError` where the request was at fault, and a `ServerError` where the server was. Its `errors` are all
    wrong fields that the server names.
    """
    problem = _decode(content)
    kind = find_error(str(problem.get("code", "")))
    message = str(problem.get("detail") or problem.get("title") or "")
    if kind is None or not message:
        kind = InputError if status in _CLIENT_ERRORS else ServerError
        text = message or content[:_MAX_TEXT].decode(errors="replace").strip()
        message = f"the server answered {status}: {text or 'without a reason'}"
    error = kind(message, **_read_parts(problem))
    error.errors = tuple(
        (kind if issubclass(kind, InputError) else InputError)(str(one["message"]), **_read_parts(one))
        for one in _find_fields(problem.get("errors"))
    )
    if isinstance(error, ConfirmationRequiredError):
        risks = problem.get("risks")
        error.risks = risks if isinstance(risks, dict) else {}
        error.confirm_token = str(problem.get("confirm_token") or "")
    return error


def _read_parts(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: str(problem.get(name) or "") for name in ("expected", "advice", "field")}


def _find_fields(errors: Any) -> list[dict[str, Any]]:
    """Return the wrong fields, of whatever a proxy may have made of them."""
    found = errors if isinstance(errors, list) else []
    return [one for one in found if isinstance(one, dict) and one.get("message")]


def _decode(content: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}
