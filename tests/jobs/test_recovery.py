from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.jobs.walks import DEADLINE_SECS, cancel_all, running_service, wait_for
from workbench.jobs.directory import JobDirectory
from workbench.jobs.orphans import find_orphans
from workbench.states import JobState
from workbench.store.query import JobQuery

ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))


def kill_a_service_at_work(root: Path, jobs: int, delay_secs: float) -> list[str]:
    """Start a service, kill it a moment after it has accepted so many jobs, and return their ids."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.serve_walks", str(root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        accepted = [process.stdout.readline().strip() for _ in range(jobs)]
        threading.Event().wait(delay_secs)
        process.kill()
        accepted += process.stdout.read().split()
    return accepted


@pytest.mark.parametrize("seed", range(COUNT))
def test_service_killed_at_a_random_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    accepted = kill_a_service_at_work(tmp_path, chance.randint(1, 15), chance.random() * 0.5)
    killed_at = time.monotonic()

    with running_service(tmp_path, slots=2) as service:
        assert find_orphans(f"test-{tmp_path}") == [], "an heir begins when the last orphan is gone"
        assert time.monotonic() - killed_at < DEADLINE_SECS
        jobs = {j.id: j for j in service.list_jobs(JobQuery(limit=1000)).items}
        assert set(accepted) <= set(jobs), "what was accepted is known"
        for job in jobs.values():
            directory = JobDirectory(tmp_path / "runs" / job.id)
            if job.state in (JobState.RUNNING, JobState.PENDING):  # Waited, and has its turn now
                continue
            assert job.state.is_finished
            assert directory.read_manifest().state == job.state, "the index says what the directory says"
            assert directory.verify() == []
        interrupted = [j for j in jobs.values() if j.state == JobState.INTERRUPTED]
        for job in interrupted[:2]:
            again = service.requeue(job.id, owner="ann")
            wait_for(service, again.id, JobState.PENDING, JobState.RUNNING, JobState.COMPLETED)
        cancel_all(service)
    assert not any(
        f"test-{tmp_path}" in p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]
    )
