"""A sealed range: who would look at it without leave is refused, and who looks is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.walks import Walk, running_service, wait_for
from workbench.errors import ConfigError
from workbench.jobs.directory import JobDirectory
from workbench.jobs.holdouts import build_spec, describe_holdout, has_used
from workbench.jobs.kinds import JobEnd, Prepared
from workbench.jobs.service import JobService
from workbench.records import HoldoutRecord, JobRecord, RunRecord
from workbench.states import JobState
from workbench.store.query import JobQuery

START, END = "2012-02-06T00:00:00.000000000Z", "2012-02-06T23:59:59.999999999Z"
BEFORE = {"start": "2012-02-01T00:00:00.000000000Z", "end": "2012-02-05T23:59:59.999999999Z"}
ACROSS = {**BEFORE, "end": START}
SEAL = HoldoutRecord(
    dataset="somewhere", start=START, end=END, sealed_by="ann", sealed_at="2026-01-01T00:00:00.000Z", uses=2
)


def prepare(start: str | None, end: str | None, **spec: Any) -> Prepared:
    preview = {} if start is None else {"start": start, "end": end}
    return Prepared(spec={"steps": 1, **spec}, dataset="somewhere", preview=preview)


def decide(prepared: Prepared, wish: dict[str, Any], *, parent: str | None = None, **kind: str) -> Any:
    return build_spec(SEAL, prepared, wish, kind=kind.get("kind", "backtest"), parent_id=parent)


@pytest.mark.parametrize(
    ("start", "end", "touches"),
    [
        (BEFORE["start"], BEFORE["end"], False),
        (BEFORE["start"], START, True),
        ("2012-02-06T12:00:00.000000000Z", "2012-02-06T13:00:00.000000000Z", True),
        (BEFORE["start"], "2013-01-01T00:00:00.000000000Z", True),
        (END, "2013-01-01T00:00:00.000000000Z", True),
        ("2012-02-07T00:00:00.000000000Z", "2013-01-01T00:00:00.000000000Z", False),
        (None, None, False),
    ],
)
def test_range_touches_the_seal_if_they_share_a_moment(start: str, end: str, touches: bool) -> None:
    prepared = prepare(start, end)

    shown = describe_holdout(SEAL, prepared)
    spec = decide(prepared, {"use_holdout": True})

    assert shown == {"holdout": {"start": START, "end": END, "uses": 2}, "touches_holdout": touches}
    assert spec == {"steps": 1, **({"use_holdout": True} if touches else {})}
    ended = JobEnd(state=JobState.COMPLETED, start=start, end=end, started_at="2026-01-01T00:00:00.000Z")
    assert has_used(SEAL, ended) is touches


def test_without_a_seal_nothing_is_touched_and_the_flag_is_not_kept() -> None:
    prepared = prepare(START, END, use_holdout=True)

    assert describe_holdout(None, prepared) == {"holdout": None, "touches_holdout": False}
    assert build_spec(None, prepared, {"use_holdout": True}, kind="backtest", parent_id=None) == {"steps": 1}


@pytest.mark.parametrize(
    ("kind", "parent", "flag"),
    [
        ("backtest", None, False),
        ("backtest", None, "yes"),
        ("backtest", "a sweep", True),
        ("sweep", None, False),
        ("sweep", None, True),
    ],
)
def test_who_may_not_look_is_told_what_to_do(kind: str, parent: str | None, flag: object) -> None:
    with pytest.raises(ConfigError) as refused:
        decide(prepare(BEFORE["start"], START), {"use_holdout": flag}, kind=kind, parent=parent)

    error = refused.value
    assert error.field == "config.end"
    assert f"{START} to {END} of somewhere is sealed (used 2 times so far)" in error.message
    assert "use_holdout" in error.advice
    assert ("search outside of it" in error.advice) is (kind == "sweep" or parent is not None)


def test_run_that_began_before_it_was_sealed_has_not_used_it() -> None:
    end = JobEnd(state=JobState.COMPLETED, start=START, end=END, started_at="2025-12-31T23:59:59.999Z")

    assert not has_used(SEAL, end)
    assert not has_used(None, end)
    assert has_used(SEAL, JobEnd(state=JobState.COMPLETED, start=START, end=END)), (
        "nobody knows when it began"
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[JobService]:
    with running_service(tmp_path, slots=1) as running:
        running._store.add_holdout("somewhere", START, END, sealed_by="ann")
        yield running


def submit(service: JobService, span: dict[str, str], **spec: Any) -> JobRecord:
    return service.submit("walk", {"steps": 1, **span, **spec}, owner="bob")


def count(service: JobService) -> int:
    holdout = service._store.find_holdout("somewhere")
    assert holdout is not None
    return holdout.uses


def test_job_that_touches_the_seal_is_refused_and_nothing_is_written(service: JobService) -> None:
    with pytest.raises(ConfigError, match="is sealed") as refused:
        submit(service, ACROSS)

    assert refused.value.field == "config.end"
    assert service.list_jobs(JobQuery()).total == 0
    assert not list(service._root.glob("*"))
    assert count(service) == 0


def test_job_beside_the_seal_runs_and_is_no_use(service: JobService) -> None:
    job = submit(service, BEFORE, use_holdout=True)
    other = submit(service, ACROSS, dataset="elsewhere")

    assert [wait_for(service, j.id).state for j in (job, other)] == [JobState.COMPLETED] * 2
    assert "use_holdout" not in service.get(job.id).spec
    assert count(service) == 0


def test_use_is_counted_with_the_job_and_again_when_it_is_queued_again(service: JobService) -> None:
    job = submit(service, ACROSS, use_holdout=True)

    assert service.get(job.id).spec["use_holdout"] is True
    written = JobDirectory(service._root / job.id).read_job()
    assert written is not None
    assert written.spec["use_holdout"] is True
    assert count(service) == 1
    assert wait_for(service, job.id).state == JobState.COMPLETED

    again = service.requeue(job.id, owner="eve")

    assert again.spec["use_holdout"] is True
    uses = service._store.list_holdout_uses("somewhere")
    assert {(u.job_id, u.user) for u in uses} == {(job.id, "bob"), (again.id, "eve")}
    wait_for(service, again.id)


def test_job_of_a_sweep_may_never_look(service: JobService) -> None:
    with pytest.raises(ConfigError, match="is sealed"):
        wish = {"steps": 1, **ACROSS, "use_holdout": True}
        service.submit("walk", wish, owner="bob", parent_id="a sweep")

    assert count(service) == 0


def test_preview_shows_the_seal_and_whether_it_is_touched(service: JobService) -> None:
    submit(service, ACROSS, use_holdout=True)

    touching = service.preview("walk", {"steps": 1, **ACROSS})
    beside = service.preview("walk", {"steps": 1, **BEFORE})
    elsewhere = service.preview("walk", {"steps": 1, **ACROSS, "dataset": "elsewhere"})

    seal = {"start": START, "end": END, "uses": 1}
    assert (touching["holdout"], touching["touches_holdout"]) == (seal, True)
    assert (beside["holdout"], beside["touches_holdout"]) == (seal, False)
    assert (elsewhere["holdout"], elsewhere["touches_holdout"]) == (None, False)
    assert count(service) == 1


def write_run(root: Path, run_id: str, span: dict[str, str], started_at: str) -> None:
    """Write what a run without a server leaves."""
    directory = JobDirectory(root / run_id)
    directory.create()
    directory.write_manifest(
        RunRecord(
            run_id=run_id,
            state=JobState.COMPLETED,
            started_at=started_at,
            finished_at=started_at,
            backtest_start=span["start"],
            backtest_end=span["end"],
            dataset="somewhere",
        )
    )


class _Found(Walk):
    """What a run without a server is taken for."""

    name = "backtest"


def test_run_without_a_server_that_looked_is_counted_when_it_is_found(service: JobService) -> None:
    service.add_kind(_Found())
    seal = service._store.find_holdout("somewhere")
    assert seal is not None
    write_run(service._root, "looked", ACROSS, seal.sealed_at)
    write_run(service._root, "beside", BEFORE, seal.sealed_at)
    write_run(service._root, "older", ACROSS, "2012-01-01T00:00:00.000Z")

    added = service.reindex()["added"]
    added += service.reindex(rebuild=True)["added"]

    assert added >= 3
    uses = service._store.list_holdout_uses("somewhere")
    assert [(u.job_id, u.user) for u in uses] == [("looked", "")]
