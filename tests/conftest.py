"""Fixtures that more than one part of the suite uses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _require_or_skip(name: str, reason: str) -> NoReturn:
    """Skip a test that lacks something, or fail it where ``WORKBENCH_REQUIRE`` names that thing."""
    if name in os.environ.get("WORKBENCH_REQUIRE", "").split(","):
        pytest.fail(f"WORKBENCH_REQUIRE names {name!r}, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of real market data (``WORKBENCH_TEST_DATA``, default ``../shared/data``)."""
    path = Path(os.environ.get("WORKBENCH_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (path / "fxcm" / "gbpusd-m1-bid-2012.csv").is_file():
        _require_or_skip("data", f"there is no market data at {path}; set WORKBENCH_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium that the browser tests can drive."""
    path = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        _require_or_skip("browser", "there is no chromium on PATH; install Debian's package chromium")
    return path
