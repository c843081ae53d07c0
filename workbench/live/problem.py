"""Errors of a host as problem documents (RFC 9457): the server takes them on as they are."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from workbench.errors import ConflictError, InputError, NotFoundError, ServerError, WorkbenchError

__all__ = ["build_problem_response"]

_STATUSES: tuple[tuple[type[WorkbenchError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (InputError, 422),
    (ServerError, 503),
)


def build_problem_response(error: WorkbenchError, status: int | None = None) -> Response:
    """Return the answer that tells of `error`; by default with the status of its kind."""
    status = status or next((s for kind, s in _STATUSES if isinstance(error, kind)), 500)
    problem = {
        "type": f"urn:workbench:problem:{error.code}",
        "title": type(error).__name__,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "expected": error.expected,
        "advice": error.advice,
        "field": error.field,
        "errors": [],
    }
    return Response(msgspec.json.encode(problem), status_code=status, media_type="application/problem+json")
