"""What the routes answer: encoded records, and their true description in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from workbench.api.problems import PROBLEM_TYPE, Problem

__all__ = ["answer", "build_openapi", "encode"]

_REFERENCE = "#/components/schemas/{name}"
_ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
# The structs that routes answer with, collected where the routes are declared.
_models: dict[str, Any] = {}


def answer(
    model: Any,
    *problems: HTTPStatus,
    status: HTTPStatus = HTTPStatus.OK,
    has_body: bool = False,
    media: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return what a route is declared with, so that the OpenAPI document says what it answers.

    Parameters
    ----------
    model : Any
        The type of the JSON answer, a msgspec struct; ``dict`` for a free object, ``None`` for none.
    problems : HTTPStatus
        The problems beside those that every route has.
    status : HTTPStatus
        The status when all is well.
    has_body : bool
        Whether the request has a body, which may be unreadable or too large.
    media : dict, optional
        Other forms of the answer, media type to schema.

    """
    content: dict[str, Any] = {}
    if model is dict:
        content["application/json"] = {"schema": {"type": "object"}}
    elif model is not None:
        _models[model.__name__] = model
        content["application/json"] = {"schema": {"$ref": _REFERENCE.format(name=model.__name__)}}
    for name, schema in (media or {}).items():
        content[name] = {"schema": schema}
    good: dict[str, Any] = {"description": status.phrase}
    if content:
        good["content"] = content
    body_problems = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE) if has_body else ()
    bad = {
        int(code): {
            "description": code.phrase,
            "content": {PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(name=Problem.__name__)}}},
        }
        for code in sorted({*_ALWAYS, *problems, *body_problems})
    }
    return {
        "status_code": int(status),
        "response_class": Response,
        "response_model": None,
        "responses": {int(status): good, **bad},
    }


def encode(value: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """Return `value` as JSON."""
    return Response(
        msgspec.json.encode(value), status_code=status, headers=headers, media_type="application/json"
    )


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of `app`, with the schemas of what its routes answer."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, components = msgspec.json.schema_components([Problem, *_models.values()], ref_template=_REFERENCE)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas.update(_plain(components))
    # The framework's own shape of a wrong request, which nobody here answers with.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return document


def _plain(schema: Any) -> Any:
    """Return a schema in which tuples are lists of so many items: tools stumble over ``prefixItems``."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _plain(value) for key, value in schema.items()}
    if "prefixItems" in found:
        found["items"] = {"anyOf": found.pop("prefixItems")}
    return found
