"""Tables from Parquet files: exact numbers and times as text."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.api.results import Table, TableName, encode_csv, encode_json, read_table
from workbench.errors import NotFoundError, RunError

AMOUNT = pa.decimal128(38, 16)
TIME = pa.timestamp("ns", tz="UTC")
AMOUNTS = st.none() | st.decimals(
    min_value=Decimal("-1e21"), max_value=Decimal("1e21"), places=16, allow_nan=False
)
STAMPS = st.none() | st.integers(0, 4_000_000_000 * 10**9)


def show(table: pa.Table) -> Table:
    return msgspec.json.decode(b"".join(encode_json(table, table.num_rows)), type=Table)


@given(st.lists(st.tuples(AMOUNTS, STAMPS), max_size=40), st.integers(1, 3))
def test_numbers_and_times_are_exact_and_plain(
    rows: list[tuple[Decimal | None, int | None]], parts: int
) -> None:
    one = pa.table({"a": pa.array([r[0] for r in rows], AMOUNT), "t": pa.array([r[1] for r in rows], TIME)})
    table = pa.concat_tables([one] * parts)

    sent = show(table)

    assert [c.type for c in sent.columns] == ["decimal", "time"]
    for (amount, stamp), (shown, time) in zip(rows * parts, sent.rows, strict=True):
        assert (shown is None) == (amount is None)
        if amount is not None:
            assert isinstance(shown, str)
            assert Decimal(shown) == amount
            assert set(shown) <= set("-.0123456789")
            assert shown == f"{amount:f}".rstrip("0").rstrip(".") if amount else shown == "0"
        assert (time is None) == (stamp is None)
        if stamp is not None:
            assert isinstance(time, str)
            assert datetime.fromisoformat(time) == datetime.fromtimestamp(stamp // 10**9, UTC).replace(
                microsecond=stamp // 1000 % 10**6
            )
            assert time.endswith(f"{stamp % 10**9:09d}Z")


@given(st.lists(st.none() | st.text(max_size=20), max_size=20))
def test_text_survives_json_and_csv(cells: list[str | None]) -> None:
    table = pa.table({"n": pa.array(range(len(cells)), pa.int64()), "s": pa.array(cells, pa.string())})

    assert [row[1] for row in show(table).rows] == cells
    _, *rows = csv.reader(io.StringIO(b"".join(encode_csv(table)).decode(), newline=""))
    assert [row[1] for row in rows] == [cell or "" for cell in cells]


def test_table_of_many_rows_is_sent_in_pieces() -> None:
    table = pa.table({"n": pa.array(range(25_000), pa.int64())})

    pieces = list(encode_json(table, 25_000))

    assert len(pieces) > 4
    assert show(table).rows == [[n] for n in range(25_000)]


def test_table_that_is_not_there_or_damaged_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no table 'equity'"):
        read_table(tmp_path, TableName.EQUITY)
    (tmp_path / "equity.parquet").write_bytes(b"nonsense")
    with pytest.raises(RunError, match="damaged"):
        read_table(tmp_path, TableName.EQUITY)


def test_gap_in_a_thinned_line_stays_a_gap(tmp_path: Path) -> None:
    amounts = [Decimal(n % 7) for n in range(1_000)]
    table = pa.table(
        {
            "ts": pa.array([n * 10**9 for n in range(1_000)], TIME),
            "equity": pa.array([None if 400 <= n < 600 else a for n, a in enumerate(amounts)], AMOUNT),
        }
    )
    pq.write_table(table, tmp_path / "equity.parquet")

    thin, total = read_table(tmp_path, TableName.EQUITY, points=60)

    assert total == 1_000
    assert thin.num_rows <= 60
    missing = [
        ts for ts, e in zip(thin["ts"].to_pylist(), thin["equity"].to_pylist(), strict=True) if e is None
    ]
    assert missing
    assert all(400 <= ts.timestamp() < 600 for ts in missing)
