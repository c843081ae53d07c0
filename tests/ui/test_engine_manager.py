"""The page of an engine on a real one: its numbers are those of the engine's journal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.jobs.walks import wait_until
from tests.live.engines import build_catalog, build_config, build_strategy, find_events, read_events
from tests.ui.engine_desks import end_engine, short_folder
from tests.ui.walking import Page, Walks
from workbench.live.engine_directory import EngineDirectory
from workbench.ui import NautilusEngineManager, ResourceMonitor
from workbench.ui.live_html import Action


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with short_folder() as runtime, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
        walks = Walks(tmp_path_factory.mktemp("manager"))
        yield walks
        walks.stop()


def test_page_of_a_running_engine_agrees_with_its_journal(walks: Walks, tmp_path: Path) -> None:
    config = build_config(build_catalog(tmp_path / "catalog"), build_strategy(is_resting=True))
    directory = EngineDirectory(walks.serving.settings.engines / "default")
    with walks.connect("trader") as client:
        engine = client.engine()
        engine.set_config(msgspec.to_builtins(config))
        manager, monitor = NautilusEngineManager(client), ResourceMonitor(client)
        page = manager.widget
        feed, header = manager._header._feed, manager._header
        try:
            wait_until(lambda: "data-action='start'" in header.widget.html)
            header._on_action(Action("start"))
            wait_until(lambda: "RUNNING" in header.widget.html)
            wait_until(lambda: feed.read(lambda b: len(b.fills) >= 5 and len(b.equity) > 2))
            assert "QuoteTrader-001" in manager._strategies.widget.html
            assert "Event loop lag" in manager._health.widget.html
            assert "Memory" in monitor.build_html()
            assert len(page.children) == 6

            header._on_action(Action("trading-state", "HALTED"))
            wait_until(lambda: feed.read(lambda b: b.report is not None and _is_halted(b.report.status)))
            wait_until(lambda: feed.read(lambda b: b.seq) >= _find_last_order(directory))
            rows = {row.client_order_id: row for row in engine.orders()}
            wait_until(lambda: feed.read(lambda b: _is_same(b.orders, rows)))
            told = {body["trade_id"] for body in find_events(directory, "OrderFilled")}
            assert feed.read(lambda b: set(b.fills)) == told

            html = manager.build_html()
            Page(html)
            assert "data-action" not in html
            wait_until(lambda: "HALTED" in manager._health.widget.html)

            header._on_action(Action("emergency-stop"))
            wait_until(lambda: "nothing is open" in header.widget.html)
            balance = find_events(directory, "AccountState")[-1]["balances"][0]["total"]
            wait_until(lambda: f"{Decimal(balance):,.2f}" in header.widget.html)
            wait_until(lambda: "Flat" in manager._positions.widget.html)
        finally:
            manager.close()
            monitor.close()
            feed.close()
            end_engine(directory)
            shutil.rmtree(directory.path)


def test_engine_that_does_not_exist_begins_with_its_configuration(walks: Walks) -> None:
    with walks.connect("trader") as client:
        manager = NautilusEngineManager(client, "fresh")
        page = manager.widget
        tabs = page.children[1]
        try:
            wait_until(lambda: "is-configuring" in page._dom_classes)
            assert "Sandbox, fed by a replay" in manager._configuration.widget.html
            manager._act(Action("view-of", "trading"))
            assert "is-configuring" not in page._dom_classes
            manager._act(Action("view-of", "configuration"))
            selected = [e.text for e in Page(tabs.html).find("button", aria_selected="true")]
            assert selected == ["Configuration"]
            manager._configuration._on_action(Action("load", "", '{"currency": "EUR"}'))
            manager._act(Action("view-of", "configuration"))
            assert "edited" in tabs.html
        finally:
            manager.close()
            manager._feed.close()


def _is_halted(status: object) -> bool:
    heartbeat = status.heartbeat  # type: ignore[attr-defined]
    return heartbeat is not None and heartbeat.trading_state == "HALTED"


def _find_last_order(directory: EngineDirectory) -> int:
    return max(event.seq for event in read_events(directory) if event.kind == "order")


def _is_same(shown: dict[str, object], rows: dict[str, object]) -> bool:
    """Return whether the page has each order as the engine has it; prices that are averages may differ in their end."""
    known = {key: shown.get(key) for key in rows}
    return all(
        row is not None
        and msgspec.structs.replace(row, avg_px="") == msgspec.structs.replace(rows[key], avg_px="")
        for key, row in known.items()
    )
