"""The tables. What is changed here needs a new file in ``migrations/versions``."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

from workbench.store.fields import FIELDS, Field, FieldType, clean

__all__ = [
    "COUNTERS",
    "EVENTS",
    "HOLDOUTS",
    "HOLDOUT_USES",
    "JOBS",
    "METADATA",
    "SPECS",
    "TOKENS",
    "USERS",
    "CleanText",
]

# Sorted by code points everywhere: as SQLite does, whatever the language of a PostgreSQL database.
_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


class CleanText(TypeDecorator[str]):
    """Text in which NUL and lone surrogates become U+FFFD, when it is stored and when it is compared."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return what can be sent."""
        return None if value is None else clean(value)


_TYPES: dict[FieldType, sa.types.TypeEngine[Any]] = {
    FieldType.TEXT: CleanText(),
    FieldType.INTEGER: sa.BigInteger(),
    FieldType.REAL: sa.Double(),
    FieldType.JSON: sa.Text(),
    FieldType.NUMBERS: sa.JSON(),
}


def _build_column(name: str, field: Field) -> sa.Column[Any]:
    return sa.Column(name, _TYPES[field.type], primary_key=name == "id", nullable=field.is_optional)


METADATA = sa.MetaData()

JOBS = sa.Table(
    "jobs",
    METADATA,
    # Id and name as they are searched, a line each.
    sa.Column("search", CleanText(), nullable=False),
    *(_build_column(name, field) for name, field in FIELDS.items() if name != "spec"),
    sa.Index("jobs_by_created_at", "created_at", "id"),
    sa.Index("jobs_by_state", "state", "created_at", "id"),
    sa.Index("jobs_by_parent", "parent_id"),
    sa.Index("jobs_by_lineage", "lineage", "dataset"),
)

# Apart: a list of jobs reads every row, and none of these long texts.
SPECS = sa.Table(
    "specs",
    METADATA,
    sa.Column("job_id", CleanText(), sa.ForeignKey("jobs.id", name="specs_job"), primary_key=True),
    _build_column("spec", FIELDS["spec"]),
)

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("ts", sa.Text(), nullable=False),
    sa.Column("job", sa.Text(), nullable=False),
)

# The last number given out. It outlives the events, so that no number comes twice.
COUNTERS = sa.Table(
    "counters",
    METADATA,
    sa.Column("name", sa.Text(), primary_key=True),
    sa.Column("value", sa.BigInteger(), nullable=False),
)

USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("name", CleanText(), primary_key=True),
    sa.Column("role", sa.Text(), nullable=False),
    sa.Column("created_at", sa.Text(), nullable=False),
    sa.Column("is_active", sa.Boolean(), nullable=False),
)

TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", CleanText(), primary_key=True),
    sa.Column("user", CleanText(), sa.ForeignKey("users.name", name="tokens_user"), nullable=False),
    sa.Column("token_hash", CleanText(), nullable=False),
    sa.Column("label", CleanText(), nullable=False),
    sa.Column("created_at", sa.Text(), nullable=False),
    sa.Column("expires_at", sa.Text()),
    sa.Column("last_used_at", sa.Text()),
    sa.UniqueConstraint("token_hash", name="tokens_hash"),
    sa.Index("tokens_by_user", "user"),
)

HOLDOUTS = sa.Table(
    "holdouts",
    METADATA,
    sa.Column("dataset", CleanText(), primary_key=True),
    sa.Column("start", sa.Text(), nullable=False),
    sa.Column("end", sa.Text(), nullable=False),
    sa.Column("sealed_by", CleanText(), nullable=False),
    sa.Column("sealed_at", sa.Text(), nullable=False),
)

# Bound to no other table: what was seen stays seen, whatever becomes of the seal or of the index of the jobs.
HOLDOUT_USES = sa.Table(
    "holdout_uses",
    METADATA,
    sa.Column("dataset", CleanText(), primary_key=True),
    sa.Column("job_id", CleanText(), primary_key=True),
    sa.Column("user", CleanText(), nullable=False),
    sa.Column("ts", sa.Text(), nullable=False),
)
