"""Fixtures that more than one part of the suite uses."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hypothesis
import pytest

from workbench.notebook_imports import quick_imports

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Schemathesis and nbformat take it as it is then.
with quick_imports():
    import jsonschema  # noqa: F401

# A shell starts what is in the background deaf to interrupts, which some tests send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A loaded machine is slow at any example.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

# Without these Chromium looks for its maker's hosts at every start.
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).resolve().parent.parent


def require_or_skip(name: str, reason: str) -> NoReturn:
    """Skip a test that lacks something, or fail it where ``WORKBENCH_REQUIRE`` names that thing."""
    if name in os.environ.get("WORKBENCH_REQUIRE", "").split(","):
        pytest.fail(f"WORKBENCH_REQUIRE names {name!r}, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of real market data (``WORKBENCH_TEST_DATA``, default ``../shared/data``)."""
    path = Path(os.environ.get("WORKBENCH_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (path / "fxcm" / "gbpusd-m1-bid-2012.csv").is_file():
        require_or_skip("data", f"there is no market data at {path}; set WORKBENCH_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium that the browser tests can drive."""
    path = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        require_or_skip("browser", "there is no chromium on PATH; install Debian's package chromium")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """
    Return one Chromium for the tests of a module; playwright allows no second one beside it.

    It keeps an event loop running on this thread as long as it is there: other modules have loops of their own.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield instance
        instance.close()
