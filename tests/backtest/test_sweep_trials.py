from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.backtest import sweep_trials
from workbench.backtest.sweep_trials import Trial, TrialLog, find_best, name_trial
from workbench.jobs.directory import JobDirectory
from workbench.states import JobState


def build(number: int, **more: Any) -> Trial:
    values = {"job_id": f"j{number}", "point": {"x": number}, "state": JobState.COMPLETED, "value": 1.0}
    return Trial(**{**values, **more})


def read(path: Path) -> list[str]:
    return [t["job_id"] for t in json.loads((path / "sweep.json").read_text())["trials"]]


def test_log_of_many_trials_is_written_seldom_and_whole_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write_json = JobDirectory.write_json

    def count(self: JobDirectory, name: str, value: Any) -> None:
        writes.append(len(value["trials"]))
        write_json(self, name, value)

    monkeypatch.setattr(JobDirectory, "write_json", count)
    log, began = TrialLog(tmp_path), time.monotonic()
    for number in range(2000):
        log.add(build(number))
    secs = time.monotonic() - began

    assert read(tmp_path)[0] == "j0", "the first is there at once"
    assert len(writes) <= 1 + secs
    log.write(best=None)
    assert read(tmp_path) == [f"j{n}" for n in range(2000)]
    assert log.due_secs is None


def test_log_says_when_it_is_due_and_is_written_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_trials, "_WRITE_SECS", 0.2)
    log = TrialLog(tmp_path)
    assert log.due_secs is None
    log.add(build(0))
    assert log.due_secs is None

    log.add(build(1))

    assert read(tmp_path) == ["j0"]
    due_secs = log.due_secs
    assert due_secs is not None
    time.sleep(due_secs)  # The clock itself is what is waited for
    log.write_if_due()
    assert read(tmp_path) == ["j0", "j1"]


def test_log_that_takes_long_to_write_is_written_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobDirectory, "write_json", lambda *_: time.sleep(0.2))
    log = TrialLog(tmp_path)
    log.add(build(0))
    log.add(build(1))

    assert log.due_secs is not None
    assert 3.5 < log.due_secs < 60


def test_best_is_the_first_of_equals_in_the_wanted_direction() -> None:
    trials = [build(0, value=2.0), build(1, value=None), build(2, value=3.0), build(3, value=3.0)]

    assert find_best(trials, "maximize") is trials[2]
    assert find_best(trials, "minimize") is trials[0]
    assert find_best(trials[1:2], "maximize") is None


def test_name_tells_points_and_folds_apart() -> None:
    names = [
        name_trial({"a": 1, "b": 2}, None, ""),
        name_trial({"a": 1, "b": 2}, 0, "train"),
        name_trial({"a": 1, "b": 2}, 0, "test"),
        name_trial({"a": 2, "b": 1}, None, ""),
    ]

    assert len(set(names)) == 4
    assert names[0] == name_trial({"b": 2, "a": 1}, None, "")
