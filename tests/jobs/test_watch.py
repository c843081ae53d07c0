"""The watch over a process: what it says about its CPU time."""

from __future__ import annotations

import os
import time

from tests.jobs.walks import wait_until
from workbench.jobs.watch import Limits, Watch
from workbench.jobs.worker import Worker
from workbench.records import Progress


def test_busy_process_is_seen_to_take_its_core() -> None:
    watch = Watch(os.getpid(), Limits())
    assert watch.cpu_percent == 0.0  # Nothing is known before some time has passed
    until = time.thread_time() + 0.3

    def has_been_measured() -> bool:
        while time.thread_time() < until:
            sum(range(1_000))
        watch.measure()
        return watch.cpu_percent > 0

    wait_until(has_been_measured)
    assert 1 < watch.cpu_percent < 100 * (os.cpu_count() or 1) + 20


def test_process_that_nobody_knows_takes_nothing() -> None:
    watch = Watch(None, Limits())
    watch.measure()

    assert watch.cpu_percent == 0.0


def test_progress_of_a_task_says_what_it_takes() -> None:
    seen: list[Progress] = []
    with Worker() as worker:

        def note(progress: Progress) -> None:
            seen.append(progress)
            if progress.cpu_percent > 0:
                worker.cancel()

        worker.run("tests.jobs.job_tasks:work_until_cancelled", {}, on_progress=note)

    assert seen[-1].cpu_percent > 0
    assert seen[-1].rss_bytes > 0
