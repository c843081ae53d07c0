from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from tests.jobs.walks import Walk, wait_for, wait_until
from workbench.errors import ConflictError, RunError, StoreError
from workbench.jobs import pool, scheduler
from workbench.jobs.channel import Cancel, Message, Resume
from workbench.jobs.directory import JobDirectory
from workbench.jobs.orphans import find_orphans
from workbench.jobs.service import JobService
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Worker
from workbench.records import JobEvent, JobRecord, RunRecord
from workbench.states import _TABLE, JobState
from workbench.store.query import JobQuery
from workbench.store.store import Store

S = JobState
LONG: dict[str, Any] = {"steps": 1_000_000}
MOVES = {(before, after) for (before, _), after in _TABLE.items()}
SECS = float(os.environ.get("WORKBENCH_COUNT", "5"))


class Flaky:
    """A store that is away for some changes of a job, before or after they are written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.chance: random.Random | None = None
        self.is_unreadable = False
        self._faults: list[tuple[JobState, bool]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def fail_at(self, state: JobState, *, is_written: bool = False, times: int = 1) -> None:
        self._faults += [(state, is_written)] * times

    def find_event_bounds(self) -> tuple[int, int]:
        return (0, 0) if self._is_away() else self._store.find_event_bounds()

    def find_events(self, after: int, *, limit: int) -> list[JobEvent]:
        return [] if self._is_away() else self._store.find_events(after, limit=limit)

    def _is_away(self) -> bool:
        if self.is_unreadable:
            raise StoreError("the store is away")
        return False

    def update_job(self, job_id: str, **changes: Any) -> JobRecord:
        fault = next((f for f in self._faults if f[0] == changes.get("state")), None)
        if fault is not None:
            self._faults.remove(fault)
        elif self.chance is not None and self.chance.random() < 0.1:
            fault = (S.PENDING, self.chance.random() < 0.5)
        if fault is None:
            return self._store.update_job(job_id, **changes)
        if fault[1]:
            self._store.update_job(job_id, **changes)
        raise StoreError("the store is away")


class BadWalk(Walk):
    """A walk that the server cannot build."""

    name = "bad"

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "config.json is damaged")


class DeafWalk(Walk):
    """A walk that hears nothing."""

    name = "deaf"

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        return "job_tasks:ignore_the_cancel", {}


@pytest.fixture(autouse=True)
def _is_soon_tended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_TEND_SECS", 0.2)


@contextlib.contextmanager
def serving(root: Path, *, slots: int = 1) -> Iterator[tuple[JobService, Flaky]]:
    store = Store.open(f"sqlite:///{root / 'records.sqlite'}")
    flaky = Flaky(store)
    kinds = [Walk(), BadWalk(), DeafWalk()]
    service = JobService(cast("Store", flaky), root / "runs", kinds, slots=slots, owner=f"test-{root}")
    try:
        service.start()
        yield service, flaky
    finally:
        service.stop()
        store.close()


def submit(service: JobService, *, kind: str = "walk", **spec: Any) -> JobRecord:
    return service.submit(kind, {"steps": 1, **spec}, owner="ann")


def check_is_free(service: JobService) -> None:
    """The one slot and the memory are free again: another job comes through."""
    assert wait_for(service, submit(service).id).state == S.COMPLETED
    wait_until(lambda: service.is_idle)
    assert service.describe_resources()["reserved_bytes"] == 0


def test_job_that_cannot_be_launched_fails_and_holds_nobody_up(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        wrong = submit(service, limits={"memory_bytes": "much"})
        bad = submit(service, kind="bad")

        for job in (wrong, bad):
            assert wait_for(service, job.id).state == S.FAILED
        check_is_free(service)


def test_job_whose_guard_finds_no_room_fails_and_frees_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as (service, _):
        submit(service)  # The inspector has its room
        wait_until(lambda: service.is_idle)
        with monkeypatch.context() as patch:
            patch.setattr(pool.LocalPool, "_take", _raise_full)
            job = wait_for(service, submit(service).id)

        assert job.state == S.FAILED
        assert job.failure is not None
        assert "No space left" in job.failure.message
        check_is_free(service)


def _wait(gate: threading.Event) -> None:
    gate.wait(30)


def _raise_full(_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("state", [S.RUNNING, S.COMPLETED])
def test_job_whose_change_cannot_be_recorded_comes_through(
    tmp_path: Path, state: JobState, *, is_written: bool
) -> None:
    with serving(tmp_path) as (service, store):
        store.fail_at(state, is_written=is_written)

        assert wait_for(service, submit(service).id).state == S.COMPLETED
        check_is_free(service)


@pytest.mark.parametrize("is_written", [False, True])
def test_start_that_fails_while_the_store_is_away_ends_the_job(tmp_path: Path, *, is_written: bool) -> None:
    with serving(tmp_path) as (service, store):
        store.fail_at(S.FAILED, is_written=is_written)

        assert wait_for(service, submit(service, kind="bad").id).state == S.FAILED
        check_is_free(service)


def test_halt_that_cannot_be_recorded_is_recorded_later(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        job = submit(service, **LONG)
        wait_for(service, job.id, S.RUNNING)
        wait_until(lambda: service.get(job.id).progress is not None)
        store.fail_at(S.PAUSED)
        service.pause(job.id)

        wait_for(service, job.id, S.PAUSED)
        service.cancel(job.id)
        wait_for(service, job.id)


def test_cancel_of_a_waiting_job_while_the_store_is_away_is_not_forgotten(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        blocking, waiting = submit(service, **LONG), submit(service, **LONG)
        wait_for(service, blocking.id, S.RUNNING)
        store.fail_at(S.CANCELLED)
        with pytest.raises(StoreError):
            service.cancel(waiting.id)
        service.cancel(blocking.id)

        assert wait_for(service, waiting.id).state == S.CANCELLED
        assert service.get(waiting.id).started_at is None
        check_is_free(service)


def test_cancelled_waiting_job_is_not_run_by_the_next_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        blocking, waiting = submit(service, **LONG), submit(service)
        wait_for(service, blocking.id, S.RUNNING)
        store.fail_at(S.CANCELLED)
        with pytest.raises(StoreError):
            service.cancel(waiting.id)

    with serving(tmp_path) as (service, _):
        assert wait_for(service, waiting.id).state == S.CANCELLED


def test_listener_that_fails_costs_only_itself(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        service.feed.subscribe(_raise_closed)

        check_is_free(service)
        assert service.feed.count == 0


def _raise_closed() -> None:
    raise RuntimeError("Event loop is closed")


@pytest.mark.parametrize("text", ["[]", '{"headline": []}', '{"steps": "many"}', "{"])
def test_job_with_damaged_numbers_ends_and_the_next_server_starts(tmp_path: Path, text: str) -> None:
    with serving(tmp_path) as (service, _):
        kept = wait_for(service, submit(service).id)
    manifest = tmp_path / "runs" / kept.id / "manifest.json"
    (manifest.parent / "metrics.json").write_text(text)
    before = manifest.read_bytes()
    for file in tmp_path.glob("records.sqlite*"):
        file.unlink()

    with serving(tmp_path) as (service, _):
        check_is_free(service)
    assert manifest.read_bytes() == before


def test_manifest_of_a_job_with_half_a_table_is_written(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path / "a-job")
    directory.create()
    directory.write_bytes("half.parquet", b"PAR1 and no end")

    record = directory.write_manifest(
        RunRecord(run_id="a-job", state=S.FAILED, started_at="", finished_at="")
    )

    assert record.files["half.parquet"].rows is None
    assert directory.verify() == []


def test_copied_directory_is_a_job_of_its_own_name(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        job = wait_for(service, submit(service).id)
        runs = tmp_path / "runs"
        subprocess.run(["cp", "-r", runs / job.id, runs / "copy"], check=True)

        wait_until(lambda: service.list_jobs(JobQuery()).total == 2)
        assert service.reindex()["added"] == 0


def test_waiting_child_of_an_unknown_or_ended_sweep(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        parent = wait_for(service, submit(service).id)
        blocking = submit(service, **LONG)
        spec = {"steps": 1}
        lost = service.submit("walk", spec, owner="ann", parent_id="nobody-knows")
        child = service.submit("walk", spec, owner="ann", parent_id=parent.id)
        wanted = service.submit("walk", spec, owner="ann", parent_id=parent.id, requeued_from=parent.id)
        wait_for(service, blocking.id, S.RUNNING)

    with serving(tmp_path) as (service, _):
        assert service.get(lost.id).state == S.INTERRUPTED
        assert service.get(child.id).state == S.INTERRUPTED
        assert wait_for(service, wanted.id).state == S.COMPLETED, "somebody asked for this one by itself"


def test_stop_by_several_at_a_time_ends_once(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        wait_for(service, submit(service, **LONG).id, S.RUNNING)
        errors: list[BaseException] = []
        threads = [threading.Thread(target=_catch, args=(service.stop, errors)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert errors == []
        with pytest.raises(ConflictError, match="the server is stopping"):
            service.cancel("any")


def _catch(action: Callable[[], None], errors: list[BaseException]) -> None:
    try:
        action()
    except BaseException as e:  # noqa: BLE001 - looked at by the test
        errors.append(e)


def test_stop_kills_a_job_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_STOP_SECS", 0.5)
    with serving(tmp_path) as (service, _):
        job = submit(service, kind="deaf", limits={"cancel_secs": 1000.0})
        wait_until(lambda: service.get(job.id).progress is not None)
        began = time.monotonic()

        service.stop()

        assert time.monotonic() - began < 10
        assert service.get(job.id).state == S.INTERRUPTED
        assert not any(
            f"test-{tmp_path}" in p.info["cmdline"]
            for p in psutil.process_iter(["cmdline"])
            if p.info["cmdline"]
        )


def test_stop_while_the_store_is_away_is_bounded(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        job = submit(service, **LONG)
        wait_for(service, job.id, S.RUNNING)
        wait_until(lambda: service.get(job.id).progress is not None)
        store.fail_at(S.INTERRUPTED, times=1000)
        began = time.monotonic()

        service.stop()

        assert time.monotonic() - began < 10
        assert not service._scheduler._thread.is_alive()

    with serving(tmp_path) as (service, _):
        assert service.get(job.id).state == S.INTERRUPTED
        assert service.get(job.id).headline["total_return"] > 0


def test_call_that_was_given_up_is_not_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as (service, _):
        gate = threading.Event()
        service._scheduler._commands.put(lambda: _wait(gate))

        with monkeypatch.context() as patch, pytest.raises(RunError, match="no answer"):
            patch.setattr(scheduler, "_CALL_SECS", 0.1)
            submit(service)
        gate.set()

        check_is_free(service)
        assert service.list_jobs(JobQuery()).total == 1


def test_resume_between_the_start_and_the_attachment_reaches_the_task() -> None:
    switch, told = Switch(), list[Message]()
    switch.pause()  # The task is sent with this
    switch.resume()

    switch.attach(told.append)

    assert told == [Resume()]


def test_cancel_again_and_again_is_told_once() -> None:
    switch, told = Switch(), list[Message]()
    switch.attach(told.append)
    told.clear()

    for _ in range(1000):
        switch.cancel()

    assert told == [Cancel()]


def test_directory_with_impossible_numbers_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path / "runs" / "a-job")
    directory.create()
    directory.write_job(JobRecord(id="a-job", kind="walk", created_at=""))
    directory.write_manifest(
        RunRecord(run_id="a-job", state=S.COMPLETED, started_at="", finished_at="", rows=2**63)
    )

    with serving(tmp_path) as (service, _):
        assert service.reindex() == {"added": 0, "unfinished": 0, "damaged": 1}


def test_paused_task_that_never_comes_to_its_checkpoint_is_stalled() -> None:
    switch = Switch()
    switch.pause()
    with Worker() as worker:
        outcome = worker.run("job_tasks:sleep_forever", {}, limits=Limits(stall_secs=1.0), switch=switch)

    assert outcome.failure is not None
    assert outcome.failure.kind == "stalled"


def test_feed_taken_while_the_store_is_away_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        subscription = service.feed.subscribe(lambda: None)
        store.is_unreadable = True
        with pytest.raises(StoreError):
            subscription.take()
        store.is_unreadable = False
        told = subscription.take()
        job = wait_for(service, submit(service).id)
        store.is_unreadable = True
        with pytest.raises(StoreError):
            subscription.take()
        store.is_unreadable = False
        told += subscription.take()

        assert [m["type"] for m in told[:2]] == ["hello", "snapshot"]
        states = [m["job"]["state"] for m in told if m["type"] == "job"]
        assert states == ["PENDING", "RUNNING", "COMPLETED"]
        assert any(m["type"] == "progress" and m["job_id"] == job.id for m in told)
        subscription.close()


def test_feed_listener_for_states_is_not_woken_by_progress(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, _):
        job = submit(service, **LONG)
        wait_for(service, job.id, S.RUNNING)
        woken = threading.Event()
        subscription = service.feed.subscribe(woken.set, has_progress=False)
        progress = service.get(job.id).progress

        wait_until(lambda: service.get(job.id).progress != progress)

        assert not woken.is_set()
        assert [m["type"] for m in subscription.take()] == ["hello", "snapshot"]
        subscription.close()


def test_snapshot_holds_what_works_however_many_wait(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, store):
        working = submit(service, **LONG)
        wait_for(service, working.id, S.RUNNING)
        for number in range(1001):
            store.add_job(JobRecord(id=f"x-{number}", kind="walk", created_at="9999"))
        subscription = service.feed.subscribe(lambda: None)

        (snapshot,) = [m for m in subscription.take() if m["type"] == "snapshot"]

        assert snapshot["jobs"][0]["id"] == working.id
        subscription.close()


def test_orphans_of_nobody_are_left_alone() -> None:
    # A worker of another process, as far as anybody can see: its parent is the shell.
    command = [sys.executable, "-c", "import time; time.sleep(60)", "-m", "workbench.jobs.child", ""]
    with subprocess.Popen(["/bin/sh", "-c", '"$@" & wait', "sh", *command]) as shell:
        wait_until(lambda: bool(psutil.Process(shell.pid).children()))
        (child,) = psutil.Process(shell.pid).children()
        try:
            wait_until(lambda: "workbench.jobs.child" in child.cmdline())
            assert child.pid not in {p.pid for p in find_orphans("")}
        finally:
            child.kill()


def test_steering_at_random_while_the_store_fails_keeps_every_promise(tmp_path: Path) -> None:
    seed = int(os.environ.get("WORKBENCH_SEED", "0"))
    chance = random.Random(seed)
    with serving(tmp_path, slots=2) as (service, store):
        store.chance = random.Random(seed)
        news = threading.Event()
        subscription = service.feed.subscribe(news.set)
        ids: list[str] = []
        told = subscription.take()
        verbs = [service.pause, service.resume, service.cancel, service.pause, service.resume]
        deadline = time.monotonic() + SECS
        while time.monotonic() < deadline:
            if len(ids) < 3 or chance.random() < 0.15:
                with contextlib.suppress(StoreError):
                    ids.append(submit(service, steps=chance.choice([1, 20, 10_000]), step_secs=0.001).id)
            elif chance.random() < 0.1:
                with contextlib.suppress(StoreError, ConflictError):
                    ids.append(service.requeue(chance.choice(ids), owner="bob").id)
            else:
                with contextlib.suppress(StoreError, ConflictError):
                    chance.choice(verbs)(chance.choice(ids[-6:]))
            resources = service.describe_resources()
            assert resources["running"] <= 3, "two, and one whose end waits to be seen"
            told += subscription.take()
        store.chance = None

        def are_ended() -> bool:
            for job_id in ids:
                with contextlib.suppress(ConflictError):
                    service.cancel(job_id)
            return service.is_idle

        wait_until(are_ended)
        while more := subscription.take():
            told += more
        assert service.describe_resources()["reserved_bytes"] == 0
        assert service._scheduler._owed == {}
        jobs = {j.id: j for j in service.list_jobs(JobQuery(limit=1000)).items}
        states: dict[str, list[tuple[str, str]]] = {i: [] for i in jobs}
        seqs = [m["seq"] for m in told if m["type"] == "job"]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "every change is told once, in order"
        for message in told:
            if message["type"] == "job":
                states[message["job"]["id"]].append((message["job"]["state"], message["job"]["reason"]))
        assert set(ids) == set(jobs)
        for job in jobs.values():
            assert job.state.is_finished
            assert states[job.id][0] == (S.PENDING, "")
            for before, after in itertools.pairwise(states[job.id]):
                is_new_reason = before[0] == after[0] and before[1] != after[1]
                assert is_new_reason or (before[0], after[0]) in MOVES
            assert states[job.id][-1] == (job.state, "")
            assert JobDirectory(tmp_path / "runs" / job.id).read_manifest().state == job.state
        subscription.close()
