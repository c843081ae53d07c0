"""What a client is told when something is wrong: one table, one shape (RFC 9457)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from workbench.errors import (
    AuthenticationError,
    CatalogError,
    ConfirmationRequiredError,
    ConflictError,
    ExistsError,
    ForbiddenError,
    InputError,
    NotFoundError,
    RunError,
    ServerError,
    StartError,
    StoreError,
    WorkbenchError,
    WorkerError,
)

__all__ = [
    "PROBLEM_TYPE",
    "FieldProblem",
    "Problem",
    "build_problem",
    "build_response",
    "find_status",
    "install_handlers",
]

PROBLEM_TYPE = "application/problem+json"
_LOG = logging.getLogger("workbench.api")

# The nearest ancestor counts.
_STATUSES: dict[type[WorkbenchError], HTTPStatus] = {
    AuthenticationError: HTTPStatus.UNAUTHORIZED,
    CatalogError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ConflictError: HTTPStatus.CONFLICT,
    ExistsError: HTTPStatus.CONFLICT,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    RunError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ServerError: HTTPStatus.SERVICE_UNAVAILABLE,
    StartError: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    WorkbenchError: HTTPStatus.INTERNAL_SERVER_ERROR,
    WorkerError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# What the framework itself refuses: no such route, no such method, a body that is no JSON or too large.
_CODES = {
    HTTPStatus.BAD_REQUEST: "body_unreadable",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
_CLOSE_CODES = {HTTPStatus.UNAUTHORIZED: 4401, HTTPStatus.FORBIDDEN: 4403}
_POLICY_VIOLATION = 1008
_MAX_REASON = 120


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One wrong field of a request.

    Attributes
    ----------
    field : str
        The place in the input.
    message : str
        What is wrong there.
    expected, advice : str
        What would have been accepted, and what to do about it.

    """

    field: str
    message: str
    expected: str = ""
    advice: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is wrong.

    Attributes
    ----------
    type : str
        A name for the kind of problem, as a URI.
    title : str
        The status in words.
    status : int
        The HTTP status.
    detail : str
        What is wrong, in one clause that names what was given.
    code : str
        A stable, machine-readable name of the kind of problem.
    expected, advice : str
        What would have been accepted, and what to do about it.
    field : str
        The (first) place in the input that is wrong.
    errors : list[FieldProblem]
        Every wrong field of the request.
    reference : str
        By this the server's log names an error that nobody foresaw.
    risks : dict
        What must be confirmed, see `workbench.engine_records.Risks`.
    confirm_token : str
        What the second call carries, that confirms it.

    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    expected: str = ""
    advice: str = ""
    field: str = ""
    errors: list[FieldProblem] = []
    reference: str = ""
    risks: dict[str, Any] = {}
    confirm_token: str = ""


def find_status(error: WorkbenchError) -> HTTPStatus:
    """Return the HTTP status that stands for `error`."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


def build_problem(error: Exception) -> Problem:
    """Return what a client is told of `error`: never a traceback, never what the request held."""
    if isinstance(error, WorkbenchError):
        problem = _describe(
            find_status(error),
            error.code,
            error.message,
            expected=error.expected,
            advice=error.advice,
            field=error.field,
        )
        fields = [
            FieldProblem(field=e.field, message=e.message, expected=e.expected, advice=e.advice)
            for e in error.errors
        ]
        problem = msgspec.structs.replace(problem, errors=fields)
        if isinstance(error, ConfirmationRequiredError):
            return msgspec.structs.replace(problem, risks=error.risks, confirm_token=error.confirm_token)
        return problem
    if isinstance(error, RequestValidationError | WebSocketRequestValidationError):
        return _describe_fields(error.errors())
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return _describe(status, _CODES.get(status, "http_error"), str(error.detail))
    reference = secrets.token_hex(4)
    _LOG.error("%s: an error that nobody foresaw", reference, exc_info=error)
    problem = _describe(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "the server met an error that nobody foresaw",
        advice=f"its log names it {reference}",
    )
    return msgspec.structs.replace(problem, reference=reference)


def build_response(error: Exception) -> Response:
    """Return the response that tells a client of `error`."""
    problem = build_problem(error)
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )


def install_handlers(app: FastAPI) -> None:
    """Let `app` answer every error in the one shape."""

    async def answer(connection: HTTPConnection, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await _close(connection, error)
            return None
        return build_response(error)

    handler: Callable[[Request, Exception], Any] = answer
    kinds = (
        WorkbenchError,
        RequestValidationError,
        WebSocketRequestValidationError,
        HTTPException,
        Exception,
    )
    for kind in kinds:
        app.add_exception_handler(kind, handler)


def _describe(
    status: HTTPStatus, code: str, detail: str, *, expected: str = "", advice: str = "", field: str = ""
) -> Problem:
    return Problem(
        type=f"urn:workbench:problem:{code}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        expected=expected,
        advice=advice,
        field=field,
    )


def _describe_fields(errors: Sequence[Any]) -> Problem:
    fields = [FieldProblem(field=_name_field(e), message=e["msg"]) for e in errors]
    first = fields[0]
    # A wrong part of the path names nothing that there is.
    is_path = any(e["loc"][0] == "path" for e in errors)
    status = HTTPStatus.NOT_FOUND if is_path else HTTPStatus.UNPROCESSABLE_ENTITY
    what = "a field of the request is" if len(fields) == 1 else f"{len(fields)} fields of the request are"
    problem = _describe(
        status,
        NotFoundError.code if is_path else InputError.code,
        f"{what} wrong: {first.field}: {first.message}",
        field=first.field,
    )
    return msgspec.structs.replace(problem, errors=fields)


def _name_field(error: Any) -> str:
    """Return where in the request: without the part (body, query) unless that is all there is."""
    part, *rest = error["loc"]
    is_whole = not rest or error["type"] == "json_invalid"
    return str(part) if is_whole else ".".join(str(name) for name in rest)


async def _close(websocket: WebSocket, error: Exception) -> None:
    problem = build_problem(error)
    if websocket.application_state == WebSocketState.CONNECTING:
        # A close code reaches the client only on an accepted connection.
        await websocket.accept()
    if websocket.application_state == WebSocketState.CONNECTED:
        code = _CLOSE_CODES.get(HTTPStatus(problem.status), _POLICY_VIOLATION)
        reason = problem.detail.encode()[:_MAX_REASON].decode(errors="ignore")
        await websocket.close(code, reason)
