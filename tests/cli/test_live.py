"""``workbench live``: what it refuses; what it serves is in tests/browser."""

from __future__ import annotations

from tests.cli.conftest import Cli


def test_folder_that_does_not_exist_is_refused(cli: Cli) -> None:
    result = cli("live", "--folder", "nowhere")
    assert result.returncode != 0
    assert "there is no folder nowhere" in result.stderr


def test_link_for_an_app_that_does_not_run_is_refused(cli: Cli) -> None:
    result = cli("live", "--sign-in", "--port", "1")
    assert result.returncode != 0
    assert "no app of yours is served at port 1" in result.stderr
    assert "workbench live" in result.stderr
