"""The log files of a node, and the name that leads to the latest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from workbench.live import node_log
from workbench.live.node_log import ErrorCount, link_log, prune_logs, read_errors, read_log


def _write(directory: Path, number: int, *entries: tuple[str, str]) -> Path:
    path = directory / f"log_2026-01-0{number}_000000-000.jsonl"
    lines = [msgspec.json.encode({"level": a, "component": "X", "message": b, "more": 1}) for a, b in entries]
    path.write_bytes(b"\n".join([*lines, b"half a li"]))
    return path


def test_name_leads_to_the_latest_file(tmp_path: Path) -> None:
    name = tmp_path / "log.jsonl"
    link_log(name)
    assert not name.exists()
    first = _write(tmp_path, 1)
    link_log(name)
    assert name.resolve() == first
    second = _write(tmp_path, 2)
    link_log(name)
    link_log(name)
    assert name.resolve() == second


def test_oldest_files_are_removed(tmp_path: Path) -> None:
    files = [_write(tmp_path, number) for number in range(1, 8)]
    prune_logs(tmp_path / "log.jsonl")
    assert sorted(tmp_path.iterdir()) == files[2:]


def test_errors_are_the_last_of_the_newest_file(tmp_path: Path) -> None:
    name = tmp_path / "log.jsonl"
    assert read_errors(name) == []
    _write(tmp_path, 1, ("ERROR", "old"))
    _write(tmp_path, 2, ("ERROR", "one"), ("INFO", "two"), ("ERROR", "three"))
    assert read_errors(name) == ["X: one", "X: three"]
    assert read_errors(name, most=1) == ["X: three"]


def _append(path: Path, *entries: tuple[str, str], end: bytes = b"") -> None:
    lines = [msgspec.json.encode({"level": a, "component": "X", "message": b}) + b"\n" for a, b in entries]
    with path.open("ab") as file:
        file.write(b"".join(lines) + end)


def test_errors_that_are_not_of_this_start_are_left_out(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, ("ERROR", "old"))
    assert read_errors(tmp_path / "log.jsonl", since=path.stat().st_mtime + 1) == []
    assert read_errors(tmp_path / "log.jsonl", since=path.stat().st_mtime - 1) == ["X: old"]


def test_errors_are_counted_once_over_files_and_halves_of_lines(tmp_path: Path) -> None:
    name, old = tmp_path / "log.jsonl", tmp_path / "log_1.jsonl"
    _append(old, ("ERROR", "of a host before"))
    count = ErrorCount(name)
    count.count()
    first, second = tmp_path / "log_2.jsonl", tmp_path / "log_3.jsonl"
    half = b'{"level":"ERROR","component":"X","mess'
    _append(first, ("ERROR", "one"), ("WARN", "two"), ("INFO", 'says "level":"ERROR"'), end=half)
    count.count()
    assert count.describe() == {"errors": 1, "warnings": 1, "recent_errors": 1}
    _append(first, end=b'age":"three"}\n')
    _append(second, ("ERROR", "four"))
    count.count()
    count.count()
    assert count.describe() == {"errors": 3, "warnings": 1, "recent_errors": 3}


def test_errors_of_long_ago_are_not_of_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(node_log.time, "monotonic", lambda: now[0])
    count = ErrorCount(tmp_path / "log.jsonl")
    _append(tmp_path / "log_1.jsonl", ("ERROR", "one"))
    count.count()
    now[0] = 301.0
    assert (count.recent, count.describe()["errors"]) == (0, 1)


def test_tail_of_a_long_log_is_found_without_reading_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_log, "_PAGE_BYTES", 2_000)
    monkeypatch.setattr(node_log, "_BLOCK_BYTES", 1)
    path = tmp_path / "log_1.jsonl"
    _append(path, ("ERROR", "far away"), *[("INFO", f"line {n}") for n in range(100)])
    page = read_log(tmp_path / "log.jsonl", limit=5)
    assert [line.message for line in page.items] == [f"line {n}" for n in range(95, 100)]
    assert not page.is_cut
    # What was asked for may lie before what was looked at.
    assert read_log(tmp_path / "log.jsonl", level="ERROR").is_cut
    seen, cursor = [], f"{path.name}:0"
    for _ in range(20):
        page = read_log(tmp_path / "log.jsonl", after=cursor, limit=30)
        seen += [line.message for line in page.items]
        cursor = page.cursor
    assert seen == ["far away", *[f"line {n}" for n in range(100)]]
