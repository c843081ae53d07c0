from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.jobs.clusters import BUCKET, ROOT, Cluster, Process, cluster, object_store, serving_cluster
from tests.jobs.walks import cancel_all, wait_for, wait_until
from workbench.errors import InputError, ServerError
from workbench.jobs import cluster as subject
from workbench.jobs.directory import JobDirectory
from workbench.jobs.results import ResultStore
from workbench.jobs.service import JobService
from workbench.states import JobState

S = JobState
LONG = {"steps": 1_000_000}
LINK_SECS = 2.0
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store():
        yield f"s3://{BUCKET}/runs"


@pytest.fixture(scope="module")
def processes(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def shared(processes: Cluster, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        root = tmp_path_factory.mktemp("served")
        with serving_cluster(root, processes.address, bucket, link_secs=LINK_SECS) as service:
            yield service


@pytest.fixture
def service(shared: JobService, processes: Cluster) -> Iterator[JobService]:
    """Return the service; it is left idle, with two workers."""
    yield shared
    cancel_all(shared)
    alive = [w for w in processes.workers if w.popen.poll() is None]
    for _ in range(2 - len(alive)):
        processes.add_worker()
    wait_until(lambda: shared.describe_resources()["slots"] == 2)


def find_worker(processes: Cluster, job_id: str) -> Process:
    """Return the worker that has the directory of the job."""
    found: list[Process] = []

    def has_begun() -> bool:
        found[:] = [w for w in processes.workers if [*w.home.rglob(job_id)]]
        return bool(found)

    wait_until(has_begun)
    return found[0]


def has_results(service: JobService, job_id: str) -> bool:
    """Return whether the job's directory is whole, and holds what the task itself has written."""
    directory = JobDirectory(service._root / job_id)
    return directory.verify() == [] and "metrics.json" in directory.read_manifest().files


def test_job_on_the_cluster_ends_as_on_the_local_pool(service: JobService, processes: Cluster) -> None:
    job = service.submit("walk", {"steps": 30}, owner="ann", name="a walk")

    ended = wait_for(service, job.id)

    assert (ended.state, ended.rows, ended.headline) == (S.COMPLETED, 30, {"total_return": 30.0})
    assert ended.peak_rss_bytes > 0
    directory = JobDirectory(service._root / job.id)
    assert directory.verify() == []
    assert set(directory.read_manifest().files) == {"job.json", "metrics.json", "path/to/note.txt"}
    assert not [p for w in processes.workers for p in w.home.rglob(job.id)], "the worker keeps nothing"


def test_many_jobs_wait_for_the_threads_of_the_workers(service: JobService) -> None:
    jobs = [service.submit("walk", {"steps": 5}, owner="ann") for _ in range(8)]

    assert service.describe_resources()["slots"] == 2
    assert {wait_for(service, job.id).state for job in jobs} == {S.COMPLETED}


def test_task_that_fails_says_why(service: JobService) -> None:
    job = service.submit("walk", {"steps": 1, "must_fail": True}, owner="ann")

    ended = wait_for(service, job.id)

    assert ended.state == S.FAILED
    assert ended.failure is not None
    assert "a stone in the way" in ended.failure.message


def test_paused_job_shows_what_it_holds_gives_its_thread_away_and_goes_on(service: JobService) -> None:
    held, other = (service.submit("walk", LONG, owner="ann") for _ in range(2))
    wait_until(lambda: service.get(held.id).progress is not None)

    service.pause(held.id)
    wait_for(service, held.id, S.PAUSED)
    third = service.submit("walk", {"steps": 5}, owner="ann")
    assert wait_for(service, third.id).state == S.COMPLETED, "it has the thread of the one that is held"
    (position,) = service.inspect(held.id).positions
    service.cancel(other.id)
    wait_for(service, other.id)
    service.resume(held.id)
    held_at = int(str(position["quantity"]))
    wait_until(lambda: (p := service.get(held.id).progress) is not None and p.events > held_at)
    service.cancel(held.id)
    ended = wait_for(service, held.id)

    assert ended.state == S.CANCELLED
    assert has_results(service, held.id)
    assert held_at < ended.rows < LONG["steps"], "what it had then is kept"


@pytest.mark.parametrize("seed", range(COUNT))
def test_worker_killed_at_a_random_moment_loses_nothing_and_leaves_no_orphan(
    service: JobService, processes: Cluster, seed: int
) -> None:
    chance = random.Random(seed)
    jobs = [service.submit("walk", {"steps": chance.randint(1, 150)}, owner="ann") for _ in range(5)]
    at_work = service.submit("walk", LONG, owner="ann")
    worker = find_worker(processes, at_work.id)
    threading.Event().wait(chance.random() * 0.5)
    children = psutil.Process(worker.popen.pid).children()

    worker.popen.kill()

    assert wait_for(service, at_work.id).state == S.INTERRUPTED
    psutil.wait_procs(children, timeout=10)
    assert not [c for c in children if c.is_running()]
    for job in jobs:
        ended, directory = wait_for(service, job.id), JobDirectory(service._root / job.id)
        assert ended.state == directory.read_manifest().state
        assert ended.state in (S.COMPLETED, S.INTERRUPTED)
        assert directory.verify() == []
        if ended.state == S.COMPLETED:
            assert ended.rows == job.spec["steps"]
    again = service.requeue(at_work.id, owner="ann")
    wait_until(lambda: service.get(again.id).progress is not None)


def test_worker_told_to_go_keeps_the_results_of_its_job(service: JobService, processes: Cluster) -> None:
    job = service.submit("walk", LONG, owner="ann")
    worker = find_worker(processes, job.id)
    wait_until(lambda: service.get(job.id).progress is not None)

    worker.popen.terminate()

    ended = wait_for(service, job.id)
    assert ended.state == S.INTERRUPTED
    assert has_results(service, job.id)
    worker.popen.wait(40)


def test_server_killed_guard_ends_and_the_next_server_has_the_results(
    processes: Cluster, shared: JobService, bucket: str, tmp_path: Path
) -> None:
    arguments = [str(tmp_path), processes.address, bucket, "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.serve_cluster", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        job_id = server.stdout.readline().strip()
        server.kill()
    wait_until(lambda: not any([*w.home.rglob(job_id)] for w in processes.workers))

    with serving_cluster(tmp_path, processes.address, bucket) as heir:
        ended = heir.get(job_id)
        assert ended.state == S.INTERRUPTED
        assert has_results(heir, job_id)


def test_server_that_stops_gets_the_results_so_far(
    processes: Cluster, shared: JobService, bucket: str, tmp_path: Path
) -> None:
    with serving_cluster(tmp_path, processes.address, bucket) as service:
        job = service.submit("walk", LONG, owner="ann")
        wait_until(lambda: service.get(job.id).progress is not None)

    assert JobDirectory(tmp_path / "runs" / job.id).read_manifest().state == S.INTERRUPTED
    assert has_results(service, job.id)


def test_scheduler_killed_interrupts_and_jobs_wait_for_its_successor(bucket: str, tmp_path: Path) -> None:
    with (
        cluster(tmp_path / "cluster", workers=1) as processes,
        serving_cluster(tmp_path / "served", processes.address, bucket) as service,
    ):
        job = service.submit("walk", LONG, owner="ann")
        wait_until(lambda: service.get(job.id).progress is not None)

        processes.schedulers[0].end()

        ended = wait_for(service, job.id)
        assert ended.state == S.INTERRUPTED
        assert has_results(service, job.id), "the worker leaves, and keeps what it has"
        wait_until(lambda: service.describe_resources()["slots"] == 0)
        again = service.requeue(job.id, owner="ann")
        wait_until(lambda: "no worker" in service.get(again.id).reason)
        processes.add_scheduler(port=urlsplit(processes.address).port or 0)
        worker = processes.add_worker()
        wait_until(lambda: service.get(again.id).progress is not None)
        worker.popen.terminate()
        wait_for(service, again.id)
        assert has_results(service, again.id), "the workers of the new one know what to do"


def test_server_url_that_leads_elsewhere_fails_the_job_and_says_so(
    processes: Cluster, shared: JobService, bucket: str, tmp_path: Path
) -> None:
    elsewhere = shared._launcher._server_url  # type: ignore[attr-defined]
    with serving_cluster(tmp_path / "turned", processes.address, bucket, url=elsewhere) as service:
        ended = wait_for(service, service.submit("walk", {"steps": 3}, owner="ann").id)
        assert ended.state == S.FAILED
        assert "does WORKBENCH_URL lead to this one" in str(ended.failure)
    with serving_cluster(
        tmp_path / "lost", processes.address, bucket, url="http://127.0.0.1:9", link_secs=0.5
    ) as service:
        ended = wait_for(service, service.submit("walk", {"steps": 3}, owner="ann").id)
        assert ended.state == S.FAILED
        assert "127.0.0.1:9" in str(ended.failure)


def test_scheduler_that_is_not_there_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_CONNECT_SECS", 0.5)

    with pytest.raises(ServerError, match=r"tcp://127\.0\.0\.1:9 cannot be reached"):
        subject.DaskLauncher("tcp://127.0.0.1:9", server_url="http://127.0.0.1:1", results=bucket)


def test_results_at_an_unknown_kind_of_place_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        ResultStore("nowhere://bucket")

    assert caught.value.field == "results"
