"""Users, and the tokens that they show."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from workbench.errors import ConflictError, ExistsError, InputError, NotFoundError, StoreError
from workbench.records import TokenRecord, UserRecord
from workbench.roles import Role
from workbench.stamps import utc_now
from workbench.store.database import Database
from workbench.store.tables import TOKENS, USERS

__all__ = ["UserRecords"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}")
_MAX_LABEL = 200
_SHOWN = [column for column in TOKENS.c if column.name != "token_hash"]


class UserRecords:
    """The users. Of a token only its SHA-256 is known."""

    _database: Database

    def add_user(self, name: str, role: Role) -> UserRecord:
        """
        Add a user.

        Raises
        ------
        InputError
            If the name is not 1 to 64 letters, digits and ``._@+-``, the first a letter, digit or ``_``.
        ExistsError
            If there is a user of that name.

        """
        if _NAME.fullmatch(name) is None:
            raise InputError(
                f"{name[:64]!r} cannot be the name of a user",
                expected="1 to 64 letters, digits and . _ @ + -, the first a letter, digit or _",
                field="name",
            )
        user = UserRecord(name=name, role=Role(role), created_at=utc_now())
        with self._database.write() as connection:
            try:
                connection.execute(sa.insert(USERS).values(**msgspec.to_builtins(user)))
            except IntegrityError:
                raise ExistsError(f"there is a user {name!r} already", field="name") from None
        return user

    def update_user(
        self, name: str, *, role: Role | None = None, is_active: bool | None = None
    ) -> UserRecord:
        """
        Change what a user may do, or whether at all.

        Raises
        ------
        NotFoundError
            If there is no such user.
        ConflictError
            If no active admin would be left.

        """
        given = {"role": None if role is None else Role(role).value, "is_active": is_active}
        values = {key: value for key, value in given.items() if value is not None}
        if values:
            with self._database.write() as connection:
                if role not in (None, Role.ADMIN) or is_active is False:
                    _check_admins(connection, name)
                connection.execute(sa.update(USERS).where(USERS.c.name == name).values(**values))
        return self.get_user(name)

    def get_user(self, name: str) -> UserRecord:
        """
        Return a user.

        Raises
        ------
        NotFoundError
            If there is no such user.

        """
        with self._database.read() as connection:
            return _get_user(connection, name)

    def list_users(self) -> list[UserRecord]:
        """Return all users by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(USERS).order_by(USERS.c.name))
            return [_build_user(row) for row in rows]

    def add_token(
        self, user: str, *, token_hash: str, label: str = "", expires_at: str | None = None
    ) -> TokenRecord:
        """
        Add a token of a user.

        Parameters
        ----------
        user : str
            Whose it is.
        token_hash : str
            Its SHA-256, hex.
        label : str
            What it is for, up to 200 characters.
        expires_at : str, optional
            ISO 8601 with a zone; default: never.

        Raises
        ------
        NotFoundError
            If there is no such user.
        ExistsError
            If the token is known already.
        InputError
            If `label` is too long or `expires_at` no time.

        """
        if len(label) > _MAX_LABEL:
            raise InputError(
                f"the label has {len(label)} characters", expected=f"no more than {_MAX_LABEL}", field="label"
            )
        values = {
            "id": secrets.token_hex(6),
            "user": user,
            "token_hash": token_hash,
            "label": label,
            "created_at": utc_now(),
            "expires_at": None if expires_at is None else _format(_parse(expires_at, "expires_at")),
        }
        with self._database.write() as connection:
            _get_user(connection, user)
            try:
                row = connection.execute(sa.insert(TOKENS).values(**values).returning(*_SHOWN)).one()
            except IntegrityError:
                raise ExistsError("this token is known already") from None
            return _build_token(row)

    def list_tokens(self, user: str) -> list[TokenRecord]:
        """
        Return the tokens of a user, the oldest first.

        Raises
        ------
        NotFoundError
            If there is no such user.

        """
        statement = sa.select(*_SHOWN).where(TOKENS.c.user == user).order_by(TOKENS.c.created_at, TOKENS.c.id)
        with self._database.read() as connection:
            _get_user(connection, user)
            return [_build_token(row) for row in connection.execute(statement)]

    def revoke_token(self, user: str, token_id: str) -> None:
        """
        Forget a token: whoever shows it is nobody from now on.

        Raises
        ------
        NotFoundError
            If the user has no such token.

        """
        statement = sa.delete(TOKENS).where(TOKENS.c.user == user, TOKENS.c.id == token_id)
        with self._database.write() as connection:
            if not connection.execute(statement).rowcount:
                raise NotFoundError(f"the user {user!r} has no token {token_id!r}")

    def find_user_by_token(self, token_hash: str, now: str) -> UserRecord | None:
        """
        Return the active user whose token has this hash and has not expired, or ``None``.

        That it was used is written down once a minute.
        """
        statement = (
            sa.select(USERS, TOKENS.c.id, TOKENS.c.last_used_at)
            .join(TOKENS, TOKENS.c.user == USERS.c.name)
            .where(
                TOKENS.c.token_hash == token_hash,
                USERS.c.is_active.is_(True),
                TOKENS.c.expires_at.is_(None) | (TOKENS.c.expires_at > now),
            )
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        if row.last_used_at is None or row.last_used_at <= _format(_parse(now, "now") - timedelta(minutes=1)):
            # A full disk keeps nobody from looking.
            with suppress(StoreError), self._database.write() as connection:
                connection.execute(sa.update(TOKENS).where(TOKENS.c.id == row.id).values(last_used_at=now))
        return _build_user(row)


def _check_admins(connection: sa.Connection, name: str) -> None:
    """Refuse to take the last one away who can give anybody a role."""
    statement = (
        sa.select(USERS.c.name)
        .where(USERS.c.role == Role.ADMIN.value, USERS.c.is_active.is_(True))
        .order_by(USERS.c.name)
        .with_for_update()  # On PostgreSQL two admins might bar each other at the same time
    )
    if connection.execute(statement).scalars().all() == [name]:
        raise ConflictError(
            f"{name!r} is the last active admin", advice="make somebody else an admin first", field="name"
        )


def _get_user(connection: sa.Connection, name: str) -> UserRecord:
    row = connection.execute(sa.select(USERS).where(USERS.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no user {name!r}")
    return _build_user(row)


def _build_user(row: sa.Row[Any]) -> UserRecord:
    return msgspec.convert(row, UserRecord, from_attributes=True)


def _build_token(row: sa.Row[Any]) -> TokenRecord:
    return msgspec.convert(row, TokenRecord, from_attributes=True)


def _parse(text: str, field: str) -> datetime:
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise InputError(f"{field} is {text[:64]!r}", expected="a time in ISO 8601 with its zone", field=field)


def _format(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
