"""What an engine was, over HTTP: its equity and its log, from disk, and the start that fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.engine_hosts import build_engine
from tests.api.serving import Serving
from tests.api.test_problems import check
from workbench.api import engine_history
from workbench.engine_records import EquitySample, StrategyPnl
from workbench.errors import StartError
from workbench.live import launch
from workbench.live.engine_directory import EngineDirectory
from workbench.live.equity_history import EquityHistory

SECOND_NS = 10**9
BEGIN_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01


@pytest.fixture
def directory(shared: Serving) -> Iterator[EngineDirectory]:
    shutil.rmtree(shared.settings.engines, ignore_errors=True)
    yield build_engine(shared.settings.engines)
    shutil.rmtree(shared.settings.engines, ignore_errors=True)


def build_sample(number: int) -> EquitySample:
    return EquitySample(
        ts_ns=BEGIN_NS + number * 5 * SECOND_NS,
        currency="USD",
        equity=f"{1_000_000 + number * 7 % 11}.000000000000000001",
        strategies={"S-1": StrategyPnl(realized="0.10", unrealized=None, why="no price")},
    )


def test_equity_is_listed_for_a_range_and_thinned_exactly(
    shared: Serving, directory: EngineDirectory
) -> None:
    assert shared.get("/engine/equity").json() == {"items": [], "total": 0}
    samples = [build_sample(number) for number in range(120)]
    history = EquityHistory(directory.equity)
    for sample in samples:
        history.add(sample)
    history.close()

    whole = shared.get("/engine/equity", user="viewer").json()
    assert msgspec.convert(whole["items"], list[EquitySample]) == samples
    part = shared.get(
        "/engine/equity", params={"from": "2026-01-01T00:01:00Z", "to": "2026-01-01T00:02:00.5"}
    ).json()
    assert [one["ts_ns"] for one in part["items"]] == [one.ts_ns for one in samples[12:25]]
    few = shared.get("/engine/equity?limit=10").json()
    assert (len(few["items"]) <= 10, few["total"]) == (True, 120)
    assert max(one["equity"] for one in few["items"]) == max(one.equity or "" for one in samples)
    far = {"from": "0001-01-01", "to": "9999-12-31"}
    assert shared.get("/engine/equity", params=far).json()["total"] == 120
    check(shared.get("/engine/equity?from=yesterday"), 422, "input_invalid")
    check(shared.get("/engine/equity?limit=2"), 422, "input_invalid")
    check(shared.get("/engines/nobody/equity"), 404, "not_found")


def write_log(directory: EngineDirectory, number: int, *lines: tuple[str, str]) -> Path:
    path = directory.log.with_name(f"log_2026-01-0{number}_000000-000.jsonl")
    with path.open("ab") as file:
        for level, message in lines:
            entry = {
                "timestamp": f"2026-01-0{number}T00:00:00Z",
                "level": level,
                "component": "X",
                "message": message,
            }
            file.write(msgspec.json.encode(entry) + b"\n")
    return path


def test_log_is_followed_by_its_cursor_over_files_without_secrets(
    shared: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_TEST_SECRET", "s3cr3t-word")
    config = {"node": {"exec_clients": {"X": {"config": {"api_key": "env:WORKBENCH_TEST_SECRET"}}}}}
    shutil.rmtree(shared.settings.engines, ignore_errors=True)
    directory = build_engine(shared.settings.engines, config=config)
    assert shared.get("/engine/log").json() == {"items": [], "cursor": "", "is_cut": False}
    write_log(directory, 1, ("INFO", "one"), ("ERROR", "the key is s3cr3t-word"))
    write_log(directory, 2, ("WARN", "two"), ("INFO", "three"))

    page = shared.get("/engine/log", user="viewer").json()
    assert [line["message"] for line in page["items"]] == ["one", "the key is ***", "two", "three"]
    assert [line["level"] for line in page["items"]] == ["INFO", "ERROR", "WARNING", "INFO"]
    graver = shared.get("/engine/log?level=WARNING&limit=1").json()["items"]
    assert [line["message"] for line in graver] == ["two"]
    rest = shared.get("/engine/log", params={"after": page["cursor"]}).json()
    assert rest == {"items": [], "cursor": page["cursor"], "is_cut": False}
    with write_log(directory, 2, ("INFO", "four")).open("ab") as file:
        file.write(b'{"half')
    write_log(directory, 3, ("DEBUG", "not shown"), ("ERROR", "five"))
    more = shared.get("/engine/log", params={"after": page["cursor"]}).json()
    assert [line["message"] for line in more["items"]] == ["four", "five"]
    # One by one it comes to the same.
    found, cursor = [], page["cursor"]
    for _ in range(4):
        one = shared.get("/engine/log", params={"after": cursor, "limit": 1}).json()
        found += [line["message"] for line in one["items"]]
        cursor = one["cursor"]
    assert found == ["four", "five"]
    directory.log.with_name("log_2026-01-01_000000-000.jsonl").unlink()
    gone = shared.get("/engine/log", params={"after": "log_2026-01-01_000000-000.jsonl:5"}).json()
    assert gone["is_cut"]
    for wrong in ("../../etc/passwd:0", "x", "log:1:2"):
        check(shared.get("/engine/log", params={"after": wrong}), 422, "input_invalid")
    check(shared.get("/engine/log?level=LOUD"), 422, "input_invalid")
    engine_history._find_scrubber.cache_clear()
    shutil.rmtree(shared.settings.engines, ignore_errors=True)


def test_start_that_fails_is_a_conflict_with_its_reason(
    shared: Serving, directory: EngineDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StartError("the engine default did not come up: its key is wrong", advice="see log.jsonl")

    monkeypatch.setattr(launch, "start_engine", fail)
    problem = check(shared.post("/engine/start", user="trader", json={}), 409, "start_failed")
    assert "its key is wrong" in problem["detail"]
    assert problem["advice"] == "see log.jsonl"
