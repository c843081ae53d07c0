from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.store.address import parse_address


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_address_of_postgresql_is_spoken_to_by_psycopg(scheme: str) -> None:
    address = parse_address(f"{scheme}://ann:s3cret@db.example:5433/records")

    assert address.url.drivername == "postgresql+psycopg"
    assert address.place == "postgresql://db.example:5433/records"
    assert address.path is None
    assert {"connect_timeout", "keepalives_idle", "tcp_user_timeout"} <= set(address.arguments)
    assert "statement_timeout" in address.arguments["options"]


def test_address_of_postgresql_keeps_its_own_deadlines() -> None:
    address = parse_address(
        "postgresql:///records?host=/run/pg&connect_timeout=3&options=-c%20lock_timeout%3D7s"
    )

    assert "connect_timeout" not in address.arguments
    assert address.arguments["options"].endswith("-c lock_timeout=7s")
    assert address.place == "postgresql:///run/pg/records"


@pytest.mark.parametrize(
    ("text", "path"), [("sqlite:////a/b.sqlite", "/a/b.sqlite"), ("sqlite:///b.sqlite", "b.sqlite")]
)
def test_address_of_sqlite_is_a_file(text: str, path: str) -> None:
    assert parse_address(text).path == Path(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3cret",
        "/a/s3cret",
        "postgresql://ann:s3cret@host:port/x",
        "postgresql://ann:s3cret@[::1/x",
        "mysql://ann:s3cret@host/x",
        "nonsense://ann:s3cret@host/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:s3cret?mode=memory&uri=true",
    ],
)
def test_address_of_nothing_that_holds_records_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(StoreError, match=r"expected sqlite:///path") as caught:
        parse_address(text)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
