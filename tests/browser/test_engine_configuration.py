"""The form for an engine's configuration in Voila: from a preset to a version that was checked and saved."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import Front, open_sheet, run_front, wait_until
from tests.client.conftest import make_settings
from tests.conftest import ROOT
from tests.live.engines import build_catalog
from workbench.live.engine_directory import EngineDirectory

pytestmark = pytest.mark.browser

FITS = "() => document.documentElement.scrollWidth <= window.innerWidth"
# Nothing that was typed may be left anywhere on the page.
TEXT = "() => document.body.innerHTML + [...document.querySelectorAll('input')].map(i => i.value).join()"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Front]:
    """Return a Voila of a workspace with data and without an engine."""
    folder = tmp_path_factory.mktemp("configuration")
    runtime = Path(tempfile.mkdtemp(prefix="wb"))
    # Not `load_settings`: it reads the environment once, for whichever workspace of this process came first.
    build_catalog(make_settings(folder / "workspace").catalog, count=100)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            environ = {"XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(ROOT)}
            with run_front("voila", folder, **environ) as front:
                yield front
    finally:
        shutil.rmtree(runtime)


@pytest.mark.timeout(300)
def test_engine_is_configured_from_a_preset(front: Front, browser: Any) -> None:
    directory = EngineDirectory(front.workspace / "engines" / "fresh")
    notebook = json.loads((ROOT / "dashboards" / "live.ipynb").read_text(encoding="utf-8"))
    name = front.write("live", *("".join(cell["source"]) for cell in notebook["cells"]))
    with open_sheet(browser, front, name, engine="fresh") as sheet:
        page = sheet.page
        page.set_default_timeout(60_000)

        # An engine that does not exist: the presets, and the emergency stop all the same.
        page.get_by_text("has no configuration yet. Begin with a preset").wait_for()
        assert page.locator("#wb-emergency").is_visible()
        page.locator("[data-action=preset][data-key=sandbox-replay]").click()
        page.locator("[data-key='preset.speed']").fill("20")
        page.keyboard.press("Control+Enter")
        speed = page.locator("[data-key='node.data_clients.REPLAY.config.speed']")
        speed.wait_for()
        assert speed.input_value() == "20"
        assert page.evaluate(FITS)

        # A wrong field and a pasted secret: told at once, and the secret is nowhere.
        page.locator("[data-key='risk.max_exposure']").fill("much")
        page.get_by_text("is not a decimal number").wait_for()
        page.locator("input[data-action=redis]").check()
        page.locator("[data-key='node.cache.database.password']").fill("hush-hush-hush")
        page.keyboard.press("Tab")
        page.get_by_text("it was not kept").wait_for()
        wait_until(lambda: "hush" not in page.evaluate(TEXT), "the secret to be gone")
        page.locator("input[data-action=redis]").uncheck()
        page.locator("[data-key='risk.max_exposure']").fill("500,000")
        page.get_by_text("2 places need attention").wait_for(state="detached")

        # Checked by the server, saved by keyboard.
        page.locator("[data-action=check]").click()
        page.get_by_text("Everything that can be known before a start").wait_for()
        page.locator("[data-key='currency']").focus()
        page.keyboard.press("Control+Enter")
        page.get_by_text("Saved as version 1").wait_for()
        assert directory.load_version().config["risk"] == {"max_exposure": "500000"}

        # LIVE is saved with the typed word only, and what will change is listed.
        page.locator("[data-key='environment']").select_option("LIVE")
        page.locator("[data-action=save]").click()
        page.get_by_text("environment: SANDBOX becomes LIVE").wait_for()
        page.keyboard.type("fresh")
        page.locator("#wb-ask-yes:not([disabled])").click()
        page.get_by_text("Saved as version 2").wait_for()
        assert directory.load_version().config["environment"] == "LIVE"

        page.set_viewport_size({"width": 1280, "height": 800})
        assert page.evaluate(FITS)
        page.locator("#wb-view-trading").click()
        page.locator(".wb-engine-upper").wait_for()
        assert not page.locator("[data-key='currency']").is_visible()
