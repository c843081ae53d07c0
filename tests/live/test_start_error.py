"""What is told of a start that fails: its reason, as the host told it, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.engines import build_config
from workbench.engine_records import Desired, DesiredState
from workbench.errors import RunError, StartError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.launch import _build_start_error


def test_error_of_a_start_has_the_last_words_of_the_host_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_TEST_SECRET", "s3cr3t-word")
    directory = EngineDirectory(tmp_path / "demo")
    directory.create()
    config = build_config(tmp_path)
    config.node["exec_clients"]["SIM"]["config"]["api_key"] = "env:WORKBENCH_TEST_SECRET"
    directory.save_config(config, by="ann")
    directory.output.write_text("first\nValueError: the key s3cr3t-word is wrong\n")
    log = tmp_path / "demo" / "log_2026.jsonl"
    log.write_text('{"level":"ERROR","component":"ExecClient","message":"refused s3cr3t-word"}\n')
    desired = Desired(
        state=DesiredState.RUNNING, config_version=1, request=1, by="ann", at="2020-01-01T00:00:00.000Z"
    )

    error = _build_start_error(directory, "it did not come up: s3cr3t-word", desired)

    assert isinstance(error, StartError | RunError)
    assert (error.code, error.exit_code) == ("start_failed", 1)
    assert "s3cr3t-word" not in str(error)
    assert "ExecClient: refused ***" in error.advice
    assert "the key *** is wrong" in error.advice
    assert str(tmp_path) not in str(error)
    # What was logged before this start is no reason of it.
    late = _build_start_error(
        directory,
        "x",
        Desired(state=DesiredState.RUNNING, config_version=1, request=1, by="a", at="2999-01-01T00:00:00Z"),
    )
    assert "refused" not in late.advice
