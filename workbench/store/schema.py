"""The version of a database, and the way to the present one."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from workbench.errors import StoreError
from workbench.store.database import Database

__all__ = ["VERSION_TABLE", "migrate"]

VERSION_TABLE = "schema_version"
_FOLDER = Path(__file__).resolve().parent / "migrations"
# Two servers that open a new PostgreSQL database at once: the second one waits.
_LOCK_KEY = 0x776B6264
# Alembic keeps what it is doing in variables of its module.
_alembic = threading.Lock()


def migrate(database: Database) -> None:
    """
    Bring a database to the present schema, in one transaction.

    Raises
    ------
    StoreError
        If it was written by a later version of the workbench.

    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    with _alembic, database.write("opened") as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
        script = ScriptDirectory.from_config(config)
        known = {revision.revision for revision in script.walk_revisions()}
        options = {"version_table": VERSION_TABLE}
        present = set(MigrationContext.configure(connection, opts=options).get_current_heads())
        if unknown := present - known:
            raise StoreError(
                f"the records at {database.place} have the schema {', '.join(sorted(unknown))}, which is unknown",
                advice="they were written by a later version of the workbench: use that one",
            )
        if present != set(script.get_heads()):
            config.attributes["connection"] = connection
            config.attributes["version_table"] = VERSION_TABLE
            command.upgrade(config, "head")
