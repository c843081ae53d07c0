from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalog import source
from workbench.catalog.source import open_source
from workbench.errors import InputError

WriteText = Callable[..., Path]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["1,2", "1", "1,2,3", "", "4,5", "10,20"]), max_size=40))
def test_rows_and_ragged_lines_keep_their_line_numbers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_text("a,b\n" + "".join(f"{row}\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK_BYTES", 32)
        file = open_source(path)
        batches = list(file.read(["a", "b"]))
    found = {
        int(number): ",".join(row.values())
        for batch in batches
        for number, row in zip(batch.numbers, batch.rows.to_pylist(), strict=True)
    }
    assert found == {i + 2: row for i, row in enumerate(rows) if row.count(",") == 1}
    ragged = {row.number: row.text for row in file.ragged}
    assert ragged == {i + 2: row for i, row in enumerate(rows) if row and row.count(",") != 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_and_a_bom_is_no_part_of_a_name(write_text: WriteText, delimiter: str) -> None:
    file = open_source(write_text("\ufefftime,open\n1,2\n".replace(",", delimiter)))
    assert file.names == ("time", "open")
    [batch] = file.read(["open"])
    assert batch.rows.to_pydict() == {"open": ["2"]}
    assert batch.numbers.tolist() == [2]


def test_text_without_a_header_takes_the_names_given(write_text: WriteText) -> None:
    path = write_text("20120201 000000;1.5\n20120201 000100;1.6\n")
    [batch] = open_source(path, names=["time", "open"]).read(["time"])
    assert batch.rows.column(0).to_pylist() == ["20120201 000000", "20120201 000100"]
    assert batch.numbers.tolist() == [1, 2]
    with pytest.raises(InputError, match="2 columns but 3 are named"):
        open_source(path, names=["a", "b", "c"])


def test_compressed_text_is_read_and_a_truncated_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 50_000))
    assert sum(len(batch.rows) for batch in open_source(path).read(["a"])) == 50_000
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        list(open_source(path).read(["a"]))


def test_last_line_without_a_break_is_noticed(write_text: WriteText) -> None:
    assert open_source(write_text("a,b\n1,2")).unterminated
    assert not open_source(write_text("a,b\n1,2\n")).unterminated
    assert not open_source(write_text("a,b\r\n1,2\r\n")).unterminated
