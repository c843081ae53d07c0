from __future__ import annotations

import contextlib
import itertools
import json
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backtest.configs import ema_cross, fx_config
from tests.jobs.walks import wait_for, wait_until
from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.analysis.sharpe import measure_deflated_sharpe, measure_moments
from workbench.backtest import sweep as sweeps
from workbench.backtest.kind import BacktestKind
from workbench.backtest.run import load_run
from workbench.backtest.sweep_kind import SweepKind
from workbench.errors import InputError, StoreError
from workbench.jobs import scheduler
from workbench.jobs.directory import JobDirectory
from workbench.jobs.service import JobService
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store.query import JobQuery
from workbench.store.store import Store

S = JobState
FAST = "engine.strategies.0.config.fast_ema_period"


@contextlib.contextmanager
def running_service(root: Path) -> Iterator[JobService]:
    store = Store.open(f"sqlite:///{root / 'records.sqlite'}")
    service = JobService(store, root / "runs", [BacktestKind()], owner=f"test-{root}")
    service.add_kind(SweepKind(service, root / "runs"))
    try:
        service.start()
        yield service
    finally:
        service.stop()
        store.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[JobService]:
    with running_service(root) as shared:
        yield shared


@pytest.fixture(scope="module")
def wish(gbpusd: Path) -> dict[str, Any]:
    """Return a backtest of five days."""
    config = fx_config(gbpusd, ema_cross(10, 20), start="2012-02-05", end="2012-02-10")
    return {"config": json.loads(config.json())}


def sweep(service: JobService, wish: dict[str, Any], space: dict[str, Any], **more: Any) -> JobRecord:
    spec = {"backtest": wish, "search": {"space": space, **more}}
    return service.submit("sweep", spec, owner="ann", name="a sweep")


def grid(*values: Any) -> dict[str, Any]:
    return {"kind": "grid", "grid": {FAST: list(values)}}


def find_trials(service: JobService, job: JobRecord) -> list[JobRecord]:
    return service.list_jobs(JobQuery(parent_id=job.id, sort="created_at", limit=1000)).items


def summary(root: Path, job: JobRecord) -> dict[str, Any]:
    return JobDirectory(root / "runs" / job.id).read_json("sweep.json")


def test_sweep_grid_runs_every_point_as_a_job_and_judges_the_best(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    job = sweep(service, wish, grid(4, 6, 8))

    ended = wait_for(service, job.id)

    assert (ended.state, ended.failure) == (S.COMPLETED, None)
    trials = find_trials(service, job)
    assert [t.point for t in trials] == [{FAST: n} for n in (4, 6, 8)]
    assert {t.state for t in trials} == {S.COMPLETED}
    found = summary(root, job)
    assert sorted(t["value"] for t in found["trials"]) == sorted(t.headline["sharpe"] for t in trials)
    assert found["best"]["value"] == max(t.headline["sharpe"] for t in trials)
    assert ended.headline == service.get(found["best"]["job_id"]).headline
    runs = {t.id: load_run(root / "runs" / t.id) for t in trials}
    assert all(
        r.config["engine"]["strategies"][0]["config"]["fast_ema_period"] in (4, 6, 8) for r in runs.values()
    )
    # The deflated Sharpe ratio again, from the runs themselves.
    returns = {
        i: build_daily_returns(build_daily_closes(r.load_table("equity"), periods_per_year=252)).to_numpy()
        for i, r in runs.items()
    }
    sharpes = [measure_moments(r).sharpe for r in returns.values()]
    expected = measure_deflated_sharpe(
        measure_moments(returns[found["best"]["job_id"]]), trials=3, variance=float(np.var(sharpes, ddof=1))
    )
    statistics = found["statistics"]
    assert statistics["deflated_sharpe"]["trials"] == found["trials_of_lineage"] == 3
    assert math.isclose(statistics["deflated_sharpe"]["value"], expected.probability)
    assert 0 <= statistics["pbo"]["value"] <= 1


def test_sweep_counts_every_trial_that_there_ever_was(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    single = service.submit("backtest", wish, owner="bob")
    wait_for(service, single.id)
    before = service.count_trials(single.lineage, single.dataset)

    job = wait_for(service, sweep(service, wish, grid(5, 7)).id)

    assert summary(root, job)["trials_of_lineage"] == before + 2
    assert summary(root, job)["statistics"]["deflated_sharpe"]["trials"] == before + 2


def test_sweep_study_tries_as_many_points_as_asked(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    space = {"kind": "optuna", "trials": 4, "seed": 3, "space": {FAST: {"type": "int", "low": 3, "high": 15}}}

    job = wait_for(service, sweep(service, wish, space, objective="total_return").id)

    assert job.state == S.COMPLETED
    found = summary(root, job)
    assert len(found["trials"]) == 4
    assert found["best"]["value"] == max(t["value"] for t in found["trials"])


def test_sweep_walk_forward_tests_the_best_of_each_fold_on_what_follows(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    walk = {"folds": 2, "train_share": 0.5, "purge_days": 0.1}

    job = wait_for(service, sweep(service, wish, grid(4, 8), objective="total_return", walk_forward=walk).id)

    assert (job.state, job.failure) == (S.COMPLETED, None)
    trials = summary(root, job)["trials"]
    assert [(t["fold"], t["part"]) for t in trials] == [
        (0, "train"), (0, "train"), (0, "test"), (1, "train"), (1, "train"), (1, "test"),
    ]  # fmt: skip
    for fold in (0, 1):
        mine = [t for t in trials if t["fold"] == fold]
        best = max(mine[:2], key=lambda t: t["value"])
        assert mine[2]["point"] == best["point"]
        train, test = (load_run(root / "runs" / t["job_id"]).record for t in (mine[0], mine[2]))
        assert (train.backtest_end or "") < (test.backtest_start or "")
    tests = [t["value"] for t in trials if t["part"] == "test"]
    assert summary(root, job)["out_of_sample"] == {"tests": 2, "mean": pytest.approx(sum(tests) / 2)}
    assert job.headline == {"total_return": pytest.approx(sum(tests) / 2)}  # Not that of the luckiest test


def test_sweep_with_a_point_that_cannot_run_goes_on(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    start = {"kind": "grid", "grid": {"start": ["2012-02-05", "2031-01-01"]}}

    job = wait_for(service, sweep(service, wish, start).id)

    assert job.state == S.COMPLETED
    states = [(t["state"], bool(t["error"])) for t in summary(root, job)["trials"]]
    assert sorted(states) == [("COMPLETED", False), ("FAILED", True)]


@pytest.mark.parametrize(
    ("space", "field"),
    [
        ({"kind": "grid", "grid": {"engine.strategies.0.config.fast": [1]}}, "engine.strategies.0.config"),
        ({"kind": "grid", "grid": {FAST: ["many"]}}, FAST),
        ({"kind": "grid", "grid": {"nowhere.at.all": [1]}}, "nowhere"),
        ({"kind": "grid", "grid": {}}, "search.space"),
    ],
)
def test_sweep_that_cannot_run_is_refused_with_the_field(
    service: JobService, wish: dict[str, Any], space: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        sweep(service, wish, space)

    assert field in caught.value.field
    assert service.is_idle


def test_sweep_cancelled_cancels_its_trials_and_keeps_what_is_done(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    job = sweep(service, wish, grid(*range(3, 18)))
    wait_until(lambda: len(summary(root, job).get("trials", [])) >= 1)

    service.cancel(job.id)

    ended = wait_for(service, job.id)
    assert ended.state == S.CANCELLED
    wait_until(lambda: service.is_idle)
    trials = find_trials(service, job)
    assert len(trials) < 15
    assert {t.state for t in trials} <= {S.COMPLETED, S.CANCELLED}


def test_sweep_interrupted_and_queued_again_runs_only_what_is_missing(
    tmp_path: Path, wish: dict[str, Any]
) -> None:
    with running_service(tmp_path) as service:
        job = sweep(service, wish, grid(*range(3, 9)))
        wait_until(lambda: len(summary(tmp_path, job).get("trials", [])) >= 2)
    written = [t["job_id"] for t in summary(tmp_path, job)["trials"] if t["state"] == "COMPLETED"]

    with running_service(tmp_path) as service:
        left = service.get(job.id)
        assert (left.state, left.failure and left.failure.kind) == (S.INTERRUPTED, "interrupted"), (
            left.failure
        )
        trials = find_trials(service, job)
        assert {t.state for t in trials} <= {S.COMPLETED, S.INTERRUPTED}
        done = {t.id for t in trials if t.state == S.COMPLETED}  # One may have ended while the sweep stopped
        assert done >= set(written)
        again = wait_for(service, service.requeue(job.id, owner="ann").id)
        ran = find_trials(service, again)

    assert again.state == S.COMPLETED
    assert sorted(t["point"][FAST] for t in summary(tmp_path, again)["trials"]) == list(range(3, 9))
    assert len(ran) == 6 - len(done)


def test_sweep_that_meets_a_full_queue_is_interrupted_and_leaves_no_trial_behind(
    tmp_path: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_service(tmp_path) as service:
        monkeypatch.setattr(scheduler, "_MAX_PENDING", 1)

        job = wait_for(service, sweep(service, wish, grid(*range(3, 18))).id)

        assert job.state == S.INTERRUPTED
        assert job.failure is not None
        assert "jobs wait already" in job.failure.message
        wait_until(lambda: service.is_idle)
        trials = find_trials(service, job)
        assert trials
        assert any(t.state == S.CANCELLED for t in trials), "nobody would look at what they find"


def test_sweep_queued_again_twice_knows_what_the_first_has_done(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    first = wait_for(service, sweep(service, wish, grid(4, 6)).id)
    second = wait_for(service, service.requeue(first.id, owner="ann").id)
    JobDirectory(root / "runs" / second.id).write_json("sweep.json", {"trials": []})  # Stopped at once

    third = wait_for(service, service.requeue(second.id, owner="ann").id)

    assert third.state == S.COMPLETED
    assert find_trials(service, third) == []
    assert len(summary(root, third)["trials"]) == 2


def test_sweep_queued_again_knows_trials_that_a_killed_server_has_not_written(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    first = wait_for(service, sweep(service, wish, grid(4, 6)).id)
    known = summary(root, first)["trials"]
    JobDirectory(root / "runs" / first.id).write_json("sweep.json", {"trials": known[:1]})

    again = wait_for(service, service.requeue(first.id, owner="ann").id)

    assert again.state == S.COMPLETED
    assert find_trials(service, again) == []
    assert {t["job_id"]: t for t in summary(root, again)["trials"]} == {t["job_id"]: t for t in known}


def test_sweep_runs_to_its_end_while_somebody_else_asks_for_long(
    service: JobService, wish: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "jobs"))
    begun, over = tmp_path / "begun", tmp_path / "over"
    job = sweep(service, wish, grid(4, 6))
    with ThreadPoolExecutor(1) as thread:
        spec = {"mine": str(begun), "other": str(over)}
        answer = thread.submit(service.ask, "job_tasks:meet", spec, timeout_secs=300)
        wait_until(begun.exists)
        try:
            assert wait_for(service, job.id).state == S.COMPLETED
            assert not answer.done()
        finally:
            over.touch()


@pytest.mark.parametrize("name", ["count_trials", "get"])
def test_sweep_whose_summary_meets_a_lost_store_waits_for_it(
    service: JobService, root: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read, calls = getattr(service, name), itertools.count()
    job = sweep(service, wish, grid(4, 6))
    wait_until(lambda: bool(find_trials(service, job)))

    def fail_at_first(*args: Any) -> Any:
        is_summary = len(summary(root, job).get("trials", [])) == 2
        if threading.current_thread().name == f"sweep-{job.id}" and is_summary and next(calls) < 2:
            raise StoreError("the store is away")
        return read(*args)

    monkeypatch.setattr(sweeps, "_STORE_POLL_SECS", 0.01)
    monkeypatch.setattr(service, name, fail_at_first)

    assert wait_for(service, job.id).state == S.COMPLETED
    assert next(calls) >= 2
    assert summary(root, job)["statistics"]["deflated_sharpe"]["trials"] >= 2


def test_sweep_whose_store_stays_lost_is_interrupted_and_keeps_its_trials(
    service: JobService, root: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> int:
        raise StoreError("the store is away")

    monkeypatch.setattr(sweeps, "_STORE_SECS", 0.1)
    monkeypatch.setattr(sweeps, "_STORE_POLL_SECS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(service, "count_trials", fail)
        job = wait_for(service, sweep(service, wish, grid(4, 6)).id)

    assert job.state == S.INTERRUPTED
    assert job.failure is not None
    assert job.failure.message == "the store is away"
    assert len(summary(root, job)["trials"]) == 2
    again = wait_for(service, service.requeue(job.id, owner="ann").id)
    assert again.state == S.COMPLETED
    assert find_trials(service, again) == []


def test_sweep_whose_predecessor_is_damaged_fails(
    service: JobService, root: Path, wish: dict[str, Any]
) -> None:
    first = wait_for(service, sweep(service, wish, grid(4)).id)
    (root / "runs" / first.id / "sweep.json").write_text("{")

    again = wait_for(service, service.requeue(first.id, owner="ann").id)

    assert again.state == S.FAILED
    assert again.failure is not None
    assert "damaged" in again.failure.message
