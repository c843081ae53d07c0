"""One running service with users of every role, for the tests of each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import Serving, serving
from tests.backtest.tiny import build_catalog
from tests.jobs.walks import cancel_all


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("api-catalog") / "catalog")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "jobs"))
        with serving(tmp_path_factory.mktemp("api"), slots=2) as parts:
            yield parts


@pytest.fixture
def api(shared: Serving) -> Iterator[Serving]:
    """Return the service; it is left idle."""
    yield shared
    cancel_all(shared.service)
