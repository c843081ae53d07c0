"""The routes about people: who asks, who may, and their tokens."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import hash_token, make_token, require
from workbench.api.context import ContextOf
from workbench.records import TokenRecord, UserRecord
from workbench.roles import Permission, Role, is_allowed

__all__ = ["TokenAnswer", "TokenBody", "TokenList", "UserBody", "UserChange", "UserList", "WhoAmI", "router"]

router = APIRouter(tags=["users"])

_MAX_DAYS = 3650
_Name = Annotated[str, Path(max_length=100, pattern=r"^[^\x00-\x1f]+$")]
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Admin = Annotated[UserRecord, require(Permission.ADMINISTER)]


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, what they may do, and how far that binds: `mode` is single-user or multi-user."""

    name: str
    role: Role
    permissions: list[Permission]
    mode: str
    note: str


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """All users."""

    items: list[UserRecord]


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """All tokens of a user."""

    items: list[TokenRecord]


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A new token, shown this once."""

    token: str
    record: TokenRecord


class UserBody(BaseModel):
    """Who is to be added."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    role: Role


class UserChange(BaseModel):
    """What is to change about a user."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    is_active: Annotated[bool, Field(strict=True)] | None = None


class TokenBody(BaseModel):
    """What a token is for and how long it is good; without `expires_days`, until it is revoked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    expires_days: int | None = Field(None, ge=1, le=_MAX_DAYS)


@router.get("/whoami", **answer(WhoAmI))
def whoami(context: ContextOf, user: _Viewer) -> Response:
    """Say who asks and what they may do."""
    account = getpass.getuser()
    if context.is_multi_user:
        mode, note = "multi-user", f"roles bind everybody who cannot run programs as {account!r}"
    else:
        mode = "single-user"
        note = (
            f"roles are advisory: the server runs as {account!r}, and so may every notebook; "
            "they bind where it runs as another OS user"
        )
    permissions = [p for p in Permission if is_allowed(user.role, p)]
    return encode(WhoAmI(name=user.name, role=user.role, permissions=permissions, mode=mode, note=note))


@router.get("/users", **answer(UserList))
def list_users(context: ContextOf, admin: _Admin) -> Response:
    """List the users."""
    return encode(UserList(items=context.store.list_users()))


@router.post("/users", **answer(UserRecord, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED, has_body=True))
def add_user(context: ContextOf, admin: _Admin, body: UserBody) -> Response:
    """Add a user, who can do nothing before there is a token."""
    return encode(context.store.add_user(body.name, body.role), HTTPStatus.CREATED)


@router.patch("/users/{name}", **answer(UserRecord, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, has_body=True))
def change_user(context: ContextOf, admin: _Admin, name: _Name, body: UserChange) -> Response:
    """Change the role of a user, or shut them out and in again. The last active admin stays one."""
    return encode(context.store.update_user(name, role=body.role, is_active=body.is_active))


@router.get("/users/{name}/tokens", **answer(TokenList, HTTPStatus.NOT_FOUND))
def list_tokens(context: ContextOf, admin: _Admin, name: _Name) -> Response:
    """List the tokens of a user: what they are for, never the tokens themselves."""
    return encode(TokenList(items=context.store.list_tokens(name)))


@router.post(
    "/users/{name}/tokens",
    **answer(TokenAnswer, HTTPStatus.NOT_FOUND, status=HTTPStatus.CREATED, has_body=True),
)
def add_token(context: ContextOf, admin: _Admin, name: _Name, body: TokenBody) -> Response:
    """Make a token for a user. It is shown this once."""
    expires_at = None
    if body.expires_days is not None:
        moment = datetime.now(UTC) + timedelta(days=body.expires_days)
        expires_at = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    token = make_token()
    record = context.store.add_token(
        name, token_hash=hash_token(token), label=body.label, expires_at=expires_at
    )
    return encode(TokenAnswer(token=token, record=record), HTTPStatus.CREATED, {"Cache-Control": "no-store"})


@router.delete(
    "/users/{name}/tokens/{token_id}",
    **answer(None, HTTPStatus.NOT_FOUND, status=HTTPStatus.NO_CONTENT),
)
def revoke_token(context: ContextOf, admin: _Admin, name: _Name, token_id: _Name) -> Response:
    """Revoke a token: it is refused from now on."""
    context.store.revoke_token(name, token_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)
