"""A worker whose child finds the tasks that lie beside these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.jobs.worker import Worker


@pytest.fixture(autouse=True)
def _task_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """Return a worker that the tests of a module share: each must find it usable."""
    with Worker() as shared:
        yield shared
