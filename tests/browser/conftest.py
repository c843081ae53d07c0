"""One JupyterLab and one Voila for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.pages import FRONTS, Front, run_front


@pytest.fixture(scope="session", params=FRONTS)
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, chromium: str
) -> Iterator[Front]:
    """Return a front end: the tests that ask for it run once in each."""
    with run_front(request.param, tmp_path_factory.mktemp(request.param)) as front:
        yield front


@pytest.fixture(scope="session")
def voila(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Front]:
    """Return a Voila whose views end soon after their page."""
    with run_front("voila", tmp_path_factory.mktemp("tabs"), WORKBENCH_VIEW_SECS="5") as front:
        yield front


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Front]:
    """Return a JupyterLab, for what only it has."""
    with run_front("lab", tmp_path_factory.mktemp("cells")) as front:
        yield front
