"""Run directories: whole files or none, and a manifest that finds what was changed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.backtest.rundir import RunDirectory, find_runs
from workbench.errors import ExistsError, NotFoundError, RunError
from workbench.records import RunRecord
from workbench.stamps import new_job_id
from workbench.states import JobState

TABLE = pa.table({"number": list(range(1_000))})


def _record(run_id: str) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        state=JobState.COMPLETED,
        started_at="2012-02-01",
        finished_at="2012-02-02",
        versions={},
    )


@pytest.fixture
def finished(tmp_path: Path) -> RunDirectory:
    """Return a run with a configuration, a table, a captured strategy and a manifest."""
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    directory.write_json("config.json", {"a": 1})
    directory.write_table("orders", TABLE)
    (directory.path / "strategies").mkdir()
    directory.write_bytes("strategies/one.py", b"ONE = 1\n")
    directory.write_manifest(_record(directory.run_id))
    return directory


def test_manifest_describes_every_file_of_the_run(finished: RunDirectory) -> None:
    files = finished.read_manifest().files
    assert sorted(files) == ["config.json", "orders.parquet", "strategies/one.py"]
    assert files["orders.parquet"].rows == 1_000
    assert files["config.json"].rows is None
    assert files["strategies/one.py"].bytes == 8
    assert finished.verify() == []


def test_run_without_a_manifest_has_not_ended(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(NotFoundError, match="does not exist"):
        directory.read_manifest()
    directory.create()
    directory.write_table("orders", TABLE)
    assert not directory.is_finished
    with pytest.raises(NotFoundError, match="has not ended"):
        directory.read_manifest()
    directory.write_manifest(_record("run"))
    assert directory.is_finished


def test_run_directory_that_stands_already_is_refused(finished: RunDirectory) -> None:
    with pytest.raises(ExistsError, match="stands already"):
        finished.create()


@pytest.mark.parametrize("name", ["config.json", "orders.parquet", "strategies/one.py"])
def test_verify_finds_a_flipped_byte_anywhere(finished: RunDirectory, name: str) -> None:
    path = finished.path / name
    content = bytearray(path.read_bytes())
    for place in (0, len(content) // 2, len(content) - 1):
        content[place] ^= 1
        path.write_bytes(content)
        assert finished.verify() == [name]
        content[place] ^= 1
    path.write_bytes(content)
    assert finished.verify() == []


def test_verify_finds_a_missing_file(finished: RunDirectory) -> None:
    (finished.path / "orders.parquet").unlink()
    assert finished.verify() == ["orders.parquet"]


def test_manifest_leaves_out_and_removes_what_a_killed_process_was_writing(finished: RunDirectory) -> None:
    left = finished.path / "fills.parquet.4711.tmp"
    left.write_bytes(b"half")
    record = finished.write_manifest(_record("run"))
    assert not left.exists()
    assert left.name not in record.files


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"run_id": 1}', b'{"run_id": "\xff"}', b"\x00" * 300]
)
def test_damaged_manifest_is_a_run_error(finished: RunDirectory, content: bytes) -> None:
    (finished.path / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest\.json is damaged") as caught:
        finished.read_manifest()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_damaged_json_is_a_run_error_and_missing_json_is_empty(
    finished: RunDirectory, content: bytes
) -> None:
    assert finished.read_json("metrics.json") == {}
    assert finished.read_json("config.json") == {"a": 1}
    (finished.path / "config.json").write_bytes(content)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        finished.read_json("config.json")


def test_damaged_table_is_a_run_error_and_unknown_table_is_not_found(finished: RunDirectory) -> None:
    assert finished.read_table("orders").equals(TABLE)
    with pytest.raises(NotFoundError, match=r"'fills'.*one of equity, orders, fills"):
        finished.read_table("fills")
    path = finished.path / "orders.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF  # In the data: the footer stays readable
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"orders\.parquet is damaged"):
        finished.read_table("orders")
    path.write_bytes(b"")
    with pytest.raises(RunError, match=r"orders\.parquet is damaged"):
        finished.read_table("orders")


def test_flipped_byte_that_still_decodes_is_found_by_its_checksum(finished: RunDirectory) -> None:
    noise = random.Random(1)
    finished.write_table("fills", pa.table({"noise": [noise.randbytes(64) for _ in range(500)]}))
    path = finished.path / "fills.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # Noise cannot be compressed, so it is stored as it is
    path.write_bytes(content)
    assert pq.read_table(path).num_rows == 500
    with pytest.raises(RunError, match=r"fills\.parquet is damaged"):
        finished.read_table("fills")


def test_json_refuses_what_json_does_not_know(finished: RunDirectory) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        finished.write_json("metrics.json", {"nan": float("nan")})
    assert not (finished.path / "metrics.json").exists()


def test_find_runs_lists_the_newest_first_and_nothing_else(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "none") == []
    for run_id in ("20120206-143005-3f9a1c", "20120207-000000-000000", "20111231-235959-ffffff"):
        RunDirectory(tmp_path / run_id).create()
        RunDirectory(tmp_path / run_id).write_json("config.json", {})
    (tmp_path / "_strategies").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert [r.run_id for r in find_runs(tmp_path)] == [
        "20120207-000000-000000",
        "20120206-143005-3f9a1c",
        "20111231-235959-ffffff",
    ]


def test_run_ids_are_unique_and_safe_as_names() -> None:
    ids = {new_job_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(i) == 22 and set(i) <= set("0123456789abcdef-") for i in ids)


_WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from workbench.backtest.rundir import RunDirectory

directory = RunDirectory(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    directory.write_table(f"table-{number % 3}", pa.table({"n": [number] * 200_000, "i": list(range(200_000))}))
    print(number, flush=True)
"""


def test_killed_writer_leaves_no_half_file_under_its_final_name(tmp_path: Path) -> None:
    """The process is killed at five places of its loop, each time with a write under way."""
    for times in range(1, 6):
        directory = RunDirectory(tmp_path / str(times))
        directory.create()
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(directory.path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(times):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        kept = list(directory.path.glob("*.parquet"))
        assert kept
        for path in kept:
            table = pq.read_table(path, page_checksum_verification=True)
            assert table.num_rows == 200_000
            assert len(table.column("n").unique()) == 1
        assert list(directory.write_manifest(_record("run")).files) == sorted(p.name for p in kept)
        assert not list(directory.path.glob("*.tmp"))


def test_file_is_exchanged_and_never_written_in_place(finished: RunDirectory) -> None:
    path = finished.path / "orders.parquet"
    before = path.read_bytes()
    with path.open("rb") as reader:
        finished.write_table("orders", TABLE.slice(0, 10))
        assert reader.read() == before
    assert finished.read_table("orders").num_rows == 10


_FULL = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from workbench.backtest.rundir import RunDirectory
from workbench.errors import RunError

directory = RunDirectory(Path(sys.argv[1]))
directory.create()
directory.write_table("orders", pa.table({"n": [1]}))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for write in (
    lambda: directory.write_table("orders", pa.table({"n": [str(i * 7919) for i in range(100_000)]})),
    lambda: directory.write_bytes("log.jsonl", b"x" * 100_000),
):
    try:
        write()
    except RunError as e:
        print(e)
"""


def test_disk_that_is_full_is_a_run_error_of_one_line_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}/orders.parquet cannot be written: File too large; free some space")
    assert lines[1].startswith(f"{path}/log.jsonl cannot be written: File too large")
    assert [p.name for p in path.iterdir()] == ["orders.parquet"]
    assert RunDirectory(path).read_table("orders").to_pydict() == {"n": [1]}


def test_directory_that_cannot_be_made_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(RunError, match="cannot be made: Not a directory"):
        RunDirectory(tmp_path / "file" / "run").create()


def test_written_json_is_readable_by_anybody(finished: RunDirectory) -> None:
    manifest = json.loads((finished.path / "manifest.json").read_bytes())
    assert manifest["state"] == "COMPLETED"
    assert manifest["run_id"] == "run"
