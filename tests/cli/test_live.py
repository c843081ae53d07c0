"""``workbench live``: what it refuses; what it serves is in tests/browser."""

from __future__ import annotations

from tests.cli.conftest import Cli


def test_folder_that_does_not_exist_is_refused(cli: Cli) -> None:
    result = cli("live", "--folder", "nowhere")
    assert result.returncode != 0
    assert "there is no folder nowhere" in result.stderr
