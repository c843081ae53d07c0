"""Random valid configurations run to their end; random invalid ones are refused with the field named."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.config_cases import build_invalid, build_valid, write_catalog
from workbench.backtest.kind import BacktestKind
from workbench.backtest.rundir import RunDirectory
from workbench.jobs.failures import build_error
from workbench.jobs.kinds import Prepared
from workbench.jobs.worker import Worker
from workbench.records import JobRecord
from workbench.states import JobState

COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))
# The same configurations every time; another seed looks elsewhere.
SEED = int(os.environ.get("WORKBENCH_SEED", "0"))
KIND = BacktestKind()

pytestmark = pytest.mark.timeout(300 + 10 * COUNT)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalog(tmp_path_factory.mktemp("cases") / "catalog")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


def _run(worker: Worker, runs: Path, number: int, wish: dict[str, Any]) -> str:
    """Prepare a run, make it, and return what is wrong with its end."""
    prepared = worker.run(KIND.preparation, {**wish, "runs": str(runs)})
    if prepared.failure is not None:
        return f"refused: {prepared.failure.detail or prepared.failure}"
    found = Prepared(**prepared.result)
    directory = RunDirectory(runs / f"run-{number}")
    directory.create()
    for name, text in found.files.items():
        directory.write_bytes(name, text.encode())
    job = JobRecord(id=directory.run_id, kind=KIND.name, created_at="", spec=found.spec)
    outcome = worker.run(*KIND.build_task(job, directory.path))
    end = KIND.read_end(directory.path)
    if outcome.state != JobState.COMPLETED or end is None:
        return f"{outcome.state}: {outcome.failure}"
    if (end.rows, end.lineage, end.dataset) != (found.rows, found.lineage, found.dataset) or end.rows == 0:
        return f"the preparation said {found}, the end {end}"
    return ""


def test_valid_configurations_are_prepared_and_complete(catalog: Path, runs: Path, worker: Worker) -> None:
    wrong = {}
    for number in range(COUNT):
        case = build_valid(random.Random(f"{SEED}-{number}"), catalog)
        problem = _run(worker, runs, number, {"config": case.config, "sources": case.sources})
        if problem:
            wrong[number] = f"{problem}\n{case.config}"
    assert len(wrong) <= COUNT // 100, "\n".join(f"{n}: {text}" for n, text in wrong.items())


def test_invalid_configurations_are_refused_with_the_field_and_without_a_directory(
    catalog: Path, runs: Path, worker: Worker
) -> None:
    wrong = {}
    for number in range(COUNT):
        case = build_invalid(random.Random(f"{SEED}-{number}"), catalog)
        sources = build_valid(random.Random(f"{SEED}-{number}"), catalog).sources
        pid = worker.pid
        outcome = worker.run(
            # As text: not all that JSON can hold can be sent as values
            KIND.preparation,
            {"config": json.dumps(case.config), "sources": sources, "runs": str(runs)},
        )
        failure = outcome.failure
        if failure is None:
            wrong[number] = f"accepted: {case.what} at {case.field}"
        elif failure.kind != "input":
            wrong[number] = f"{failure.kind} {failure.message}: {case.what} at {case.field}"
        elif not _is_near(build_error(failure).field, case.field):
            wrong[number] = f"{failure.detail}: {case.what} at {case.field}"
        elif "\n" in failure.message or (pid is not None and worker.pid != pid):
            wrong[number] = f"{failure.message!r} in process {worker.pid} after {pid}"
    assert not wrong, "\n".join(f"{n}: {text}" for n, text in wrong.items())
    assert not runs.exists() or [p.name for p in runs.iterdir()] == ["_strategies"]


def _is_near(found: str, place: str) -> bool:
    """Return whether `found` is the place, or lies inside it, or is what directly holds it."""
    if not found:
        return False
    parts, wanted = found.split("."), place.split(".") if place else []
    common = min(len(parts), len(wanted))
    return parts[:common] == wanted[:common] and len(parts) >= len(wanted) - 1
