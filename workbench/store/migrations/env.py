"""What Alembic runs: the migrations, inside the transaction that the store has begun."""

from __future__ import annotations

from alembic import context

__all__: list[str] = []

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    version_table=_attributes["version_table"],
    transactional_ddl=True,
)
context.run_migrations()
