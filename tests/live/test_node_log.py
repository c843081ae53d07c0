"""The log files of a node, and the name that leads to the latest."""

from __future__ import annotations

from pathlib import Path

import msgspec

from workbench.live.node_log import link_log, prune_logs, read_errors


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
