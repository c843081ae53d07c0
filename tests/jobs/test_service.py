from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.jobs.walks import cancel_all, running_service, wait_for, wait_until
from workbench.errors import ConflictError, InputError, NotFoundError
from workbench.jobs.directory import JobDirectory
from workbench.jobs.orphans import find_orphans
from workbench.jobs.service import JobService
from workbench.records import EquityTrace, JobRecord
from workbench.states import JobState
from workbench.store.query import JobQuery

S = JobState
LONG = {"steps": 1_000_000}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    """Return a service with two slots that many tests use; each leaves it idle."""
    root = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        with running_service(root, slots=2) as service:
            yield service


@pytest.fixture
def service(shared: JobService) -> Iterator[JobService]:
    yield shared
    cancel_all(shared)


def submit(service: JobService, **spec: Any) -> JobRecord:
    return service.submit("walk", spec, owner="ann")


def directory(service: JobService, job: JobRecord) -> JobDirectory:
    return JobDirectory(service._root / job.id)


def test_submit_job_runs_to_its_end_and_is_recorded_whole(service: JobService) -> None:
    job = service.submit("walk", {"steps": 3}, owner="ann", name="a walk")

    ended = wait_for(service, job.id)

    assert (ended.state, ended.owner, ended.name, ended.kind) == (S.COMPLETED, "ann", "a walk", "walk")
    assert (ended.rows, ended.lineage, ended.dataset) == (3, "walks:Walk", "somewhere")
    assert ended.headline == {"total_return": 3.0}
    assert ended.peak_rss_bytes > 0
    assert ended.elapsed_secs > 0
    assert ended.created_at <= (ended.started_at or "") <= (ended.finished_at or "")
    assert ended.failure is None
    assert (directory(service, job).path / "path/to/note.txt").read_text() == "a file\n"
    assert directory(service, job).verify() == []


def test_submit_wrong_wish_names_the_field_and_makes_nothing(service: JobService) -> None:
    before = set(service._root.iterdir()) if service._root.exists() else set()

    with pytest.raises(InputError) as caught:
        submit(service, steps="many")

    assert (caught.value.code, caught.value.field) == ("config_invalid", "steps")
    assert caught.value.expected == "a number"
    assert (set(service._root.iterdir()) if service._root.exists() else set()) == before


def test_people_do_not_wait_behind_what_a_sweep_asks(service: JobService, tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    spec = {"mine": str(begun), "other": str(over)}
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(service.examine, "job_tasks:meet", spec, timeout_secs=60)
        wait_until(begun.exists)
        pids = {p.pid for p in psutil.Process().children()}

        assert service.preview("walk", {"steps": 1})["steps"] == 1
        assert wait_for(service, submit(service, steps=1).id).state == S.COMPLETED
        by_machine = service.submit("walk", {"steps": 1}, owner="ann", is_by_machine=True)
        assert wait_for(service, by_machine.id).state == S.COMPLETED
        assert not answer.done()
        over.touch()
        assert answer.result(60) == {}

    wait_until(lambda: not pids <= {p.pid for p in psutil.Process().children()})  # Its child ends with it


def test_what_a_sweep_submits_does_not_wait_behind_people(service: JobService, tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    spec = {"mine": str(begun), "other": str(over)}
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(service.ask, "job_tasks:meet", spec)
        wait_until(begun.exists)

        job = service.submit("walk", {"steps": 1}, owner="ann", is_by_machine=True)

        assert not answer.done()
        over.touch()
        assert answer.result(60) == {}
    assert wait_for(service, job.id).state == S.COMPLETED


def test_trace_tells_the_equity_of_a_job_at_work_alone(service: JobService) -> None:
    job, ended = submit(service, **LONG), wait_for(service, submit(service, steps=1).id)
    wait_until(lambda: len(service.find_trace(job.id).points) > 2)

    trace = service.find_trace(job.id)

    assert trace.currency == "USD"
    assert all(equity == f"{ts_ns}.00" for ts_ns, equity in trace.points)
    assert trace.points == sorted(set(trace.points), key=lambda p: p[0])
    assert service.find_trace(ended.id) == EquityTrace()
    with pytest.raises(NotFoundError):
        service.find_trace("no-such-job")


def test_submit_wish_that_kills_the_one_who_reads_it_costs_only_itself(service: JobService) -> None:
    with pytest.raises(InputError, match="died of SIGABRT"):
        submit(service, steps=1, must_crash=True)

    assert wait_for(service, submit(service, steps=1).id).state == S.COMPLETED


def test_submit_unknown_kind_is_refused(service: JobService) -> None:
    with pytest.raises(InputError, match="no kind of job 'flight'"):
        service.submit("flight", {}, owner="ann")


def test_preview_says_what_it_would_need_and_runs_nothing(service: JobService) -> None:
    preview = service.preview("walk", {"steps": 7, "dataset": "elsewhere"})

    assert preview["steps"] == 7
    assert preview["predicted_rss_bytes"] > 0
    assert preview["trials"] == 0
    assert service.is_idle


def test_jobs_beyond_the_slots_wait_for_their_turn(service: JobService) -> None:
    jobs = [submit(service, **LONG) for _ in range(3)]
    wait_for(service, jobs[0].id, S.RUNNING)
    wait_for(service, jobs[1].id, S.RUNNING)

    assert service.get(jobs[2].id).state == S.PENDING
    service.cancel(jobs[0].id)
    wait_for(service, jobs[2].id, S.RUNNING)


def test_pause_frees_the_slot_keeps_the_memory_and_shows_what_is_held(service: JobService) -> None:
    held, other, third = (submit(service, **LONG) for _ in range(3))
    wait_for(service, held.id, S.RUNNING)
    reserved = service.describe_resources()["reserved_bytes"]

    service.pause(held.id)
    wait_for(service, held.id, S.PAUSED)
    wait_for(service, third.id, S.RUNNING)

    resources = service.describe_resources()
    assert (resources["running"], resources["paused"], resources["pending"]) == (2, 1, 0)
    assert resources["reserved_bytes"] > reserved
    progress = service.get(held.id).progress
    assert progress is not None
    assert service.inspect(held.id).positions == [{"quantity": str(progress.events)}]
    assert service.resume(held.id).reason == "waits for a slot to go on"
    assert service.get(held.id).state == S.PAUSED
    service.cancel(other.id)
    assert wait_for(service, held.id, S.RUNNING).reason == ""
    wait_until(lambda: (p := service.get(held.id).progress) is not None and p.events > progress.events)


def test_inspect_job_that_is_not_held_is_refused(service: JobService) -> None:
    job = submit(service, **LONG)
    wait_for(service, job.id, S.RUNNING)

    with pytest.raises(ConflictError, match="is RUNNING; expected a PAUSED job"):
        service.inspect(job.id)


def test_resume_before_the_checkpoint_takes_the_pause_back(service: JobService) -> None:
    job = submit(service, steps=1_000_000, step_secs=0.3)
    wait_for(service, job.id, S.RUNNING)
    service.pause(job.id)

    service.resume(job.id)

    first = service.get(job.id).progress
    seen = first.events if first is not None else 0
    wait_until(lambda: (p := service.get(job.id).progress) is not None and p.events > seen + 1)
    assert service.get(job.id).state == S.RUNNING


@pytest.mark.parametrize("when", [S.PENDING, S.RUNNING, S.PAUSED])
def test_cancel_ends_a_job_wherever_it_stands(service: JobService, when: JobState) -> None:
    blocking = [submit(service, **LONG) for _ in range(2 if when == S.PENDING else 0)]
    for job in blocking:
        wait_for(service, job.id, S.RUNNING)
    job = submit(service, **LONG)
    if when != S.PENDING:
        wait_for(service, job.id, S.RUNNING)
        wait_until(lambda: service.get(job.id).progress is not None)
    if when == S.PAUSED:
        service.pause(job.id)
        wait_for(service, job.id, S.PAUSED)

    service.cancel(job.id)

    ended = wait_for(service, job.id)
    assert ended.state == S.CANCELLED
    assert directory(service, job).read_manifest().state == S.CANCELLED
    assert (ended.headline.get("total_return", 0) > 0) == (when != S.PENDING), "results so far are kept"


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_steering_an_ended_job_is_refused(service: JobService, verb: str) -> None:
    job = wait_for(service, submit(service, steps=1).id)

    with pytest.raises(ConflictError, match="is COMPLETED"):
        getattr(service, verb)(job.id)
    with pytest.raises(NotFoundError):
        getattr(service, verb)("no-such-job")


def test_requeue_runs_a_job_like_the_ended_one(service: JobService) -> None:
    first = wait_for(service, submit(service, steps=4).id)

    again = service.requeue(first.id, owner="bob")

    ended = wait_for(service, again.id)
    assert (ended.state, ended.owner, ended.requeued_from) == (S.COMPLETED, "bob", first.id)
    assert ended.headline == first.headline
    running = submit(service, **LONG)
    with pytest.raises(ConflictError, match="expected a job that has ended"):
        service.requeue(running.id, owner="bob")


def test_job_that_raises_fails_with_the_reason_and_a_manifest(service: JobService) -> None:
    job = wait_for(service, submit(service, steps=1, must_fail=True).id)

    assert job.state == S.FAILED
    assert job.failure is not None
    assert "a stone in the way" in job.failure.message
    assert directory(service, job).read_manifest().failure == job.failure


def test_job_above_its_memory_is_killed_and_says_so(service: JobService) -> None:
    job = wait_for(
        service, submit(service, **LONG, bytes=300_000_000, limits={"memory_bytes": 200_000_000}).id
    )

    assert job.state == S.FAILED
    assert job.failure is not None
    assert job.failure.kind == "memory"
    assert "more than its limit of 200 MB" in job.failure.message


def test_job_whose_child_is_killed_is_interrupted(service: JobService) -> None:
    job = submit(service, **LONG)
    wait_for(service, job.id, S.RUNNING)
    wait_until(lambda: service.get(job.id).progress is not None)
    (child,) = [
        p
        for p in psutil.Process().children()
        if any(f.path == str(directory(service, job).lock) for f in p.open_files())
    ]

    child.kill()

    ended = wait_for(service, job.id)
    assert ended.state == S.INTERRUPTED
    assert ended.failure is not None
    assert ended.failure.kind == "killed"
    assert directory(service, job).read_manifest().state == S.INTERRUPTED


def test_job_that_does_not_fit_waits_with_the_reason(tmp_path: Path) -> None:
    with running_service(tmp_path, slots=2, memory_bytes=700_000_000) as service:
        subscription = service.feed.subscribe(lambda: None)
        subscription.take()
        first, second = submit(service, **LONG), submit(service, **LONG)
        wait_for(service, first.id, S.RUNNING)
        wait_until(lambda: service.get(second.id).reason != "")

        assert service.get(second.id).reason.startswith("waits for memory: it needs about")
        assert service.get(second.id).state == S.PENDING
        service.cancel(first.id)
        assert wait_for(service, second.id, S.RUNNING).reason == ""
        told = [m for m in subscription.take() if m["type"] == "job" and m["job"]["id"] == second.id]
        subscription.close()

    assert [(m["job"]["state"], m["job"]["reason"][:17]) for m in told] == [
        ("PENDING", ""),
        ("PENDING", "waits for memory:"),
        ("RUNNING", ""),
    ]


def test_job_that_waits_to_go_on_is_told_once_with_the_reason(tmp_path: Path) -> None:
    with running_service(tmp_path, slots=1) as service:
        woken = threading.Event()
        held = submit(service, **LONG)
        wait_for(service, held.id, S.RUNNING)
        service.pause(held.id)
        wait_for(service, held.id, S.PAUSED)
        other = submit(service, **LONG)
        wait_for(service, other.id, S.RUNNING)
        subscription = service.feed.subscribe(woken.set, has_progress=False)
        subscription.take()
        woken.clear()

        for _ in range(3):
            service.resume(held.id)

        assert woken.is_set()
        told = [m["job"] for m in subscription.take() if m["type"] == "job"]
        subscription.close()
    assert [(job["id"], job["state"], job["reason"]) for job in told] == [
        (held.id, "PAUSED", "waits for a slot to go on")
    ]


def test_feed_tells_every_state_in_order_and_the_latest_progress(service: JobService) -> None:
    news = threading.Event()
    subscription = service.feed.subscribe(news.set)
    told = subscription.take()
    job = submit(service, steps=200)

    def is_told() -> bool:
        told.extend(subscription.take())
        return any(m["type"] == "job" and m["job"]["state"] == "COMPLETED" for m in told)

    wait_until(is_told)
    subscription.close()

    assert [m["type"] for m in told[:2]] == ["hello", "snapshot"]
    mine = [m for m in told if m["type"] == "job" and m["job"]["id"] == job.id]
    assert [m["job"]["state"] for m in mine] == ["PENDING", "RUNNING", "COMPLETED"]
    assert [m["seq"] for m in mine] == sorted(m["seq"] for m in mine)
    assert all("spec" not in m["job"] for m in mine)
    assert any(m["type"] == "progress" and m["job_id"] == job.id for m in told)
    replayed = service.feed.subscribe(news.set, after=mine[0]["seq"])
    again = [m for m in replayed.take() if m["type"] == "job" and m["job"]["id"] == job.id]
    assert [m["seq"] for m in again] == [m["seq"] for m in mine[1:]]
    replayed.close()


def test_feed_listener_of_another_database_is_told_of_the_gap(service: JobService) -> None:
    subscription = service.feed.subscribe(lambda: None, after=10**9)

    assert [m["type"] for m in subscription.take()] == ["hello", "gap", "snapshot"]
    subscription.close()


def test_stop_interrupts_what_runs_and_keeps_what_waits(tmp_path: Path) -> None:
    with running_service(tmp_path, slots=1) as service:
        running, waiting = submit(service, **LONG), submit(service, steps=2)
        wait_for(service, running.id, S.RUNNING)
        wait_until(lambda: service.get(running.id).progress is not None)

    with running_service(tmp_path, slots=1) as service:
        ended = service.get(running.id)
        assert ended.state == S.INTERRUPTED
        assert ended.headline["total_return"] > 0
        assert wait_for(service, waiting.id).state == S.COMPLETED


def test_reindex_after_the_database_is_lost_finds_every_job(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        ended = [wait_for(service, submit(service, steps=n).id) for n in (1, 2)]
    (tmp_path / "records.sqlite").unlink()
    for extra in tmp_path.glob("records.sqlite-*"):
        extra.unlink()

    with running_service(tmp_path) as service:
        for job in ended:
            found = service.get(job.id)
            for field in ("state", "kind", "owner", "headline", "rows", "lineage", "dataset", "created_at"):
                assert getattr(found, field) == getattr(job, field)


def test_reindex_rebuild_drops_what_has_no_directory(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        kept, gone = (wait_for(service, submit(service, steps=n).id) for n in (1, 2))
        shutil.rmtree(service._root / gone.id)

        assert service.reindex() == {"added": 0, "unfinished": 0, "damaged": 0}
        assert service.reindex(rebuild=True) == {"added": 1, "unfinished": 0, "damaged": 0}

        assert [j.id for j in service.list_jobs(JobQuery()).items] == [kept.id]


def test_children_carry_the_mark_and_end_with_the_service(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        wait_for(service, submit(service, steps=1).id)
        pids = {p.pid for p in psutil.Process().children() if f"test-{tmp_path}" in p.cmdline()}
        assert pids
        assert find_orphans(f"test-{tmp_path}") == [], "its own children are no orphans"

    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_reindex_of_more_than_fit_into_one_part_finds_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.jobs.recovery._AT_ONCE", 2)
    with running_service(tmp_path) as service:
        jobs = [submit(service, steps=1) for _ in range(5)]
        wait_until(lambda: service.is_idle)

        assert service.reindex(rebuild=True)["added"] == 5
        assert {j.id for j in service.list_jobs(JobQuery()).items} == {j.id for j in jobs}
