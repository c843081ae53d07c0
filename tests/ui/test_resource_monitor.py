"""The resources of an engine: what they are now, how they went, and what is too much."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jobs.walks import wait_until
from tests.ui.engine_desks import running_host, shown
from tests.ui.walking import Page, Walks
from workbench.ui import ResourceMonitor

RESOURCES = {
    "cpu_percent": 97.0,
    "memory_bytes": 413_000_000,
    "threads": 16,
    "descriptors": 31,
    "disk_free_bytes": 1_000_000_000,
    "disk_total_bytes": 100_000_000_000,
}


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("resources"))
    yield walks
    walks.stop()


def test_resources_are_shown_with_their_past_and_what_is_too_much(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect() as client, shown(ResourceMonitor, client) as screen:
        screen.wait_for("The host says nothing")
        facts = {"resources": RESOURCES, "heartbeat": {"lag_ms": 900.0}, "queues": {"data": 3, "risk": 4}}
        host.answers["/status"] = (200, facts)
        screen.wait_for("413 MB")
        page = Page(screen.html)
        lines = {e.text for e in page.has_class("wb-resource")}
        assert any(line.startswith("Queued messages") and line.endswith("7") for line in lines)
        high = {e.parents[-1].text.split(",")[0] for e in page.has_class("warn")}
        assert {name[:3] for name in high} == {"CPU", "Dis", "Eve"}
        wait_until(lambda: "<svg" in screen.html)
