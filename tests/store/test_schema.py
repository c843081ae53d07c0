from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.store.jobs import build_job
from workbench.errors import StoreError
from workbench.store import JobQuery, Store
from workbench.store.address import parse_address
from workbench.store.database import Database
from workbench.store.schema import VERSION_TABLE
from workbench.store.tables import JOBS, METADATA


def _execute(url: str, statement: str) -> None:
    database = Database(parse_address(url))
    with database.write() as connection:
        connection.execute(sa.text(statement))
    database.close()


def test_migrations_from_nothing_make_the_tables_of_the_metadata(url: str) -> None:
    Store.open(url).close()
    database = Database(parse_address(url))
    options = {"version_table": VERSION_TABLE, "compare_type": True}

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, METADATA)
        columns = [column["name"] for column in sa.inspect(connection).get_columns("jobs")]

    database.close()
    assert differences == []
    assert columns == [column.name for column in JOBS.columns]


def _find_revision(url: str) -> str:
    database = Database(parse_address(url))
    with database.read() as connection:
        revision = str(connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())
    database.close()
    return revision


def test_store_of_the_first_revision_is_brought_to_the_present_one_with_what_it_holds(url: str) -> None:
    store = Store.open(url)
    present = _find_revision(url)
    added = store.add_job(build_job("a", name="kept"))
    store.close()
    for statement in ("DROP TABLE holdout_uses", "DROP TABLE holdouts"):
        _execute(url, statement)
    _execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")

    store = Store.open(url)

    assert store.get_job("a") == added
    assert store.list_holdouts() == []
    assert _find_revision(url) == present != "0001"
    store.close()


def test_store_of_an_unknown_revision_is_not_opened(url: str) -> None:
    Store.open(url).close()
    present = _find_revision(url)
    _execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(
        StoreError, match=r"schema 9999, which is unknown; they were written by a later version"
    ):
        Store.open(url)

    # Nothing has been touched: the later version still finds what it left.
    _execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{present}'")
    Store.open(url).close()


def test_store_opened_again_has_what_was_written(url: str) -> None:
    store = Store.open(url)
    added = store.add_job(build_job("a", name="kept"))
    store.close()

    store = Store.open(url)

    assert store.get_job("a") == added
    assert store.add_job(build_job("b")).seq == added.seq + 1
    store.close()


def test_database_with_tables_of_something_else_is_left_alone(url: str) -> None:
    _execute(url, "CREATE TABLE users (weight INTEGER)")

    with pytest.raises(StoreError, match="tables of something else"):
        Store.open(url)

    database = Database(parse_address(url))
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["users"]
    database.close()


def test_new_database_opened_by_many_at_once_is_made_once(url: str) -> None:
    program = """
import sys
from workbench.store import Store
sys.stdin.readline()
store = Store.open(sys.argv[1])
print(store.find_event_bounds())
store.close()
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=60) for child in children]

    assert outputs == [("(0, 0)\n", "")] * 3
    store = Store.open(url)
    assert store.list_jobs(JobQuery()).total == 0
    store.close()
