"""The databases of the conformance suite: everything is tested over each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require_or_skip
from tests.postgres import Postgres, find_postgres, start_postgres
from workbench.store import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a PostgreSQL server that the tests of this process share."""
    programs = find_postgres()
    if programs is None:
        require_or_skip("postgres", "there is no PostgreSQL; install Debian's package postgresql")
    with start_postgres(programs) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'records.sqlite'}"


@pytest.fixture
def postgresql_url(postgres: Postgres) -> Iterator[str]:
    with postgres.make_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()
