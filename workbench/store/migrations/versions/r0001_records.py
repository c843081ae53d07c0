"""Jobs and their events, users and their tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the first tables."""
    _create_jobs()
    _create_events()
    _create_users()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("search", _TEXT, nullable=False),
        sa.Column("id", _TEXT, primary_key=True, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("started_at", _TEXT),
        sa.Column("finished_at", _TEXT),
        sa.Column("parent_id", _TEXT),
        sa.Column("requeued_from", _TEXT),
        sa.Column("lineage", _TEXT, nullable=False),
        sa.Column("dataset", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("identity", _TEXT, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("predicted_rss_bytes", sa.BigInteger(), nullable=False),
        sa.Column("peak_rss_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("elapsed_secs", sa.Double(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("headline", sa.JSON(), nullable=False),
    )
    op.create_index("jobs_by_created_at", "jobs", ["created_at", "id"])
    op.create_index("jobs_by_state", "jobs", ["state", "created_at", "id"])
    op.create_index("jobs_by_parent", "jobs", ["parent_id"])
    op.create_index("jobs_by_lineage", "jobs", ["lineage", "dataset"])
    op.create_table(
        "specs",
        sa.Column(
            "job_id", _TEXT, sa.ForeignKey("jobs.id", name="specs_job"), primary_key=True, nullable=False
        ),
        sa.Column("spec", sa.Text(), nullable=False),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("ts", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
    )
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(counters, [{"name": "seq", "value": 0}])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("name", _TEXT, primary_key=True, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _TEXT, primary_key=True, nullable=False),
        sa.Column("user", _TEXT, sa.ForeignKey("users.name", name="tokens_user"), nullable=False),
        sa.Column("token_hash", _TEXT, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text()),
        sa.Column("last_used_at", sa.Text()),
        sa.UniqueConstraint("token_hash", name="tokens_hash"),
    )
    op.create_index("tokens_by_user", "tokens", ["user"])
