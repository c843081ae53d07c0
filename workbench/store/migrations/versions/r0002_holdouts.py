"""Sealed ranges of datasets, and their uses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "holdouts",
        sa.Column("dataset", _TEXT, primary_key=True, nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("end", sa.Text(), nullable=False),
        sa.Column("sealed_by", _TEXT, nullable=False),
        sa.Column("sealed_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "holdout_uses",
        sa.Column("dataset", _TEXT, primary_key=True, nullable=False),
        sa.Column("job_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("ts", sa.Text(), nullable=False),
    )
