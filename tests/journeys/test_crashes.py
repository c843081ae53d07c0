"""The whole of it, with real processes killed at random moments: nothing finished is lost, nothing is left over."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.client.conftest import build_config, end_server, find_processes, make_settings
from tests.jobs.walks import wait_until
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.config import Settings
from workbench.errors import WorkbenchError
from workbench.jobs.directory import JobDirectory
from workbench.records import JobRecord
from workbench.states import JobState

ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))
S = JobState
# A notebook that submits runs for ever and watches them.
NOTEBOOK = """
import sys
from pathlib import Path
from tests.client.conftest import make_settings
from workbench.client.connection import connect
from workbench.errors import WorkbenchError

settings = make_settings(Path(sys.argv[1]))
config = sys.stdin.read()
with connect(settings=settings) as client:
    number = 0
    while True:
        number += 1
        pause = 0.015 if number % 3 == 0 else 0.0
        change = {"engine.strategies.0.config.pause_secs": pause}
        job = client.submit_backtest(config, overrides=change)
        print(job.id, flush=True)
        try:
            if number % 6 == 0:
                client.job(job.id).wait(timeout_secs=1)
        except (TimeoutError, WorkbenchError):
            pass
"""

# A client that only watches.
WATCHER = (
    NOTEBOOK.partition("config =")[0]
    + """
with connect(settings=settings) as client:
    list(client.events())
"""
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    from tests.backtest.tiny import build_catalog

    settings = make_settings(tmp_path_factory.mktemp("crashes"))
    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    yield settings
    end_server(settings)


@pytest.fixture(scope="module")
def config(settings: Settings) -> str:
    text: str = build_config(settings).json().decode()
    return text


@contextlib.contextmanager
def notebook(settings: Settings, config: str) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Run the notebook; gives its process and the ids of the jobs that were accepted so far."""
    with subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK, str(settings.workspace)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(config)
        process.stdin.close()
        accepted: list[str] = []
        output = process.stdout
        reader = threading.Thread(
            target=lambda: accepted.extend(line.strip() for line in output), daemon=True
        )
        reader.start()
        try:
            yield psutil.Process(process.pid), accepted
        finally:
            process.kill()
            process.wait()
            reader.join()


def find_victim(settings: Settings, who: str, kernel: psutil.Process) -> psutil.Process | None:
    """Return the process to kill: it may have gone by itself."""
    if who == "notebook":
        return kernel
    server = json.loads((settings.state / "server.json").read_bytes())["pid"]
    if who == "server":
        return psutil.Process(server)
    locked = [p for p in find_processes(settings.workspace) if p.ppid() == server and _works(p)]
    return locked[0] if locked else None


def _works(process: psutil.Process) -> bool:
    try:
        return any(f.path.endswith("job.json") for f in process.open_files())
    except psutil.Error:
        return False


def list_all(client: Client) -> dict[str, JobRecord]:
    return {job.id: job for job in client.list_jobs(limit=1000).items}


def settle(client: Client) -> dict[str, JobRecord]:
    """Cancel what has not ended until all has, and return it: a request may still have been on its way."""
    found: dict[str, JobRecord] = {}

    def has_ended() -> bool:
        found.clear()
        found.update(list_all(client))
        unfinished = [job for job in found.values() if not job.state.is_finished]
        for job in unfinished:
            with contextlib.suppress(WorkbenchError):  # It has ended meanwhile
                client.job(job.id).cancel()
        return not unfinished

    wait_until(has_ended)
    return found


@pytest.mark.parametrize("seed", range(COUNT))
def test_process_killed_at_a_random_moment_loses_nothing(settings: Settings, config: str, seed: int) -> None:
    chance = random.Random(seed)
    who = ("server", "child", "notebook")[seed % 3]
    with connect(settings=settings) as client:
        before = {i: job for i, job in list_all(client).items() if job.state.is_finished}
    with notebook(settings, config) as (kernel, accepted):
        wanted = chance.randint(1, 8)
        wait_until(lambda: len(accepted) >= wanted)
        threading.Event().wait(chance.random() * 0.5)
        victim = find_victim(settings, who, kernel)
        if victim is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        if who == "server":
            kernel.kill()

    with connect(settings=settings) as client:
        jobs = list_all(client)
        assert set(accepted) <= set(jobs), "what was accepted is known"
        assert {i: jobs[i] for i in before} == before, "what had ended is as it was"
        after = settle(client)
        for job in after.values():
            directory = JobDirectory(settings.runs / job.id)
            assert directory.read_manifest().state == job.state, "the index says what the directory says"
            assert directory.verify() == []
        assert {j.state for j in after.values()} <= {S.COMPLETED, S.CANCELLED, S.INTERRUPTED}
        interrupted = [i for i, j in after.items() if j.state == S.INTERRUPTED and i not in before]
        for job_id in interrupted[:1]:
            again = client.job(job_id).requeue()
            again.wait(timeout_secs=60)
            assert again.state == S.COMPLETED
        server = client.health()["pid"]
        strangers = [p for p in find_processes(settings.workspace) if p.pid != server and p.ppid() != server]
        assert [p.cmdline() for p in strangers] == [], "no orphan is left"


def test_queued_runs_with_ten_clients_attached_and_one_killed_all_end_right(
    settings: Settings, config: str
) -> None:
    """200 in the soak; as many as fit into half a minute otherwise."""
    count = 200 if COUNT > 5 else 20
    fast = {"engine.strategies.0.config.pause_secs": 0.0}
    told: list[set[str]] = [set() for _ in range(9)]
    with connect(settings=settings) as client, contextlib.ExitStack() as stack:
        start = client.list_jobs(limit=1).total
        watcher = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", WATCHER, str(settings.workspace)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        done = threading.Event()
        threads = [threading.Thread(target=follow, args=(settings, seen, done), daemon=True) for seen in told]
        for thread in threads:
            thread.start()
        jobs = [client.submit_backtest(config, overrides=fast, name=f"number {n}") for n in range(count)]
        watcher.kill()
        wait_until_finished(client, start + count, secs=30 + count)
        ended = {j.id: client.job(j.id) for j in jobs}
        wait_until(lambda: all({j.id for j in jobs} <= seen for seen in told))
        done.set()
        for thread in threads:
            thread.join(30)

    assert {j.state for j in ended.values()} == {S.COMPLETED}
    assert len({j.record.identity for j in ended.values()}) == 1, "equal runs have one identity"
    results = {
        tuple(sorted((n, f.sha256) for n, f in files.items() if n.endswith(".parquet")))
        for files in (JobDirectory(settings.runs / i).read_manifest().files for i in ended)
    }
    assert len(results) == 1, "and equal results, byte for byte"


def follow(settings: Settings, seen: set[str], done: threading.Event) -> None:
    """Note every job whose end this client is told of."""
    with connect(settings=settings, start=False) as client:
        while not done.is_set():
            for message in client.events(timeout_secs=1.0):
                if message["type"] == "job" and JobState(message["job"]["state"]).is_finished:
                    seen.add(message["job"]["id"])
                if message["type"] == "snapshot":
                    seen.update(j.id for j in client.list_jobs(limit=1000).items if j.state.is_finished)
                if done.is_set():
                    return


def wait_until_finished(client: Client, total: int, secs: float) -> None:
    """Wait for the end of all jobs."""
    pause = threading.Event()
    for _ in range(int(secs / 0.2)):
        jobs = client.list_jobs(limit=1000).items
        if len(jobs) >= total and all(j.state.is_finished for j in jobs):
            return
        pause.wait(0.2)
    pytest.fail(f"not all of {total} jobs have ended after {secs} s")
