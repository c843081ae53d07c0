"""A kernel that was started ahead waits for its page, and then knows what it is asked for, and by whom."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from tests.client.conftest import make_settings
from workbench.client.page import read_query, wait_for_page


def test_page_is_waited_for_until_its_file_is_there(tmp_path: Path) -> None:
    page = tmp_path / "page"
    settings = msgspec.structs.replace(make_settings(tmp_path), page_file=page, query="engine=elsewhere")
    found: list[dict[str, str]] = []
    thread = threading.Thread(target=lambda: found.append(read_query(settings)))
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()

    page.write_text("engine=momentum&theme=dark")
    thread.join(10)

    assert found == [{"engine": "momentum", "theme": "dark"}]


def test_kernel_that_no_app_started_waits_for_nothing(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)

    wait_for_page(settings)

    assert read_query(settings) == {}
    assert read_query(msgspec.structs.replace(settings, query="engine=a%20b")) == {"engine": "a b"}
