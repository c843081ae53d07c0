"""
How long a reader waits for the backtests dashboard: from the request until the list of runs is on the screen.

Each round is a browser that has never seen the page and is signed in by a link on the way, and a kernel that was
preheated: it has imported what the page needs, and waits to hear whose page it is. What a view costs without one is in
the detail. Needs chromium.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rounds import build_row, run_script

__all__ = ["measure"]

TARGET_SECS = 4.0
ROOT = Path(__file__).resolve().parent.parent
SHOWN = ".wb-card .wb-empty, .wb-card tr[data-action=open]"


def measure(rounds: int = 5, quick: bool = False) -> list[dict[str, Any]]:
    """Measure the first view of ``dashboards/backtests.ipynb``."""
    rounds = 1 if quick else rounds
    with _chromium() as browser:
        warm = _measure_views(browser, rounds, preheated=1)
        cold = _measure_views(browser, 1 if quick else 2, preheated=0)
    detail = f"{statistics.median(warm):.1f} s; without a preheated kernel {statistics.median(cold):.1f} s"
    return [build_row("first view of a dashboard, seconds", warm, TARGET_SECS, detail)]


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    from tests.conftest import CHROMIUM_FLAGS

    path = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def _measure_views(browser: Any, rounds: int, *, preheated: int) -> list[float]:
    from tests.browser.pages import open_sheet, run_front, wait_until

    taken = []
    arguments = (f"--preheated={preheated}",)
    with (
        tempfile.TemporaryDirectory() as name,
        run_front("voila", Path(name), root=ROOT / "dashboards", arguments=arguments) as front,
    ):
        for k in range(rounds):
            wait_until(
                lambda n=k + 1: (
                    front.log.read_text().count("Kernel pool of backtests.ipynb is filled") >= n
                    or not preheated
                ),
                "a preheated kernel",
            )
            # Filled means started: the notebook's cells still run in it.
            wait_until(lambda: _are_idle(front.find_kernels()), "kernels at rest")
            with open_sheet(browser, front) as sheet:
                began = time.perf_counter()
                sheet.page.goto(front.build_url("backtests.ipynb"), wait_until="commit")
                sheet.page.locator(SHOWN).first.wait_for(timeout=60_000)
                taken.append(time.perf_counter() - began)
    return taken


def _are_idle(kernels: list[Any]) -> bool:
    """Return whether the kernels need next to no processor for a second."""
    before = sum(sum(kernel.cpu_times()[:2]) for kernel in kernels)
    time.sleep(1.0)
    return sum(sum(kernel.cpu_times()[:2]) for kernel in kernels) - before < 0.05


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    run_script(measure, __doc__)
