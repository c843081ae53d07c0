"""``workbench jobs``: lists, one job, events as they come, and steering."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, build_environment
from tests.client.conftest import build_config, make_settings
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.config import Settings
from workbench.states import JobState


@pytest.fixture(scope="module")
def stocked(workspace: Path) -> Settings:
    from tests.backtest.tiny import build_catalog

    settings = make_settings(workspace)
    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    return settings


@pytest.fixture
def client(stocked: Settings) -> Iterator[Client]:
    with connect(settings=stocked) as client:
        yield client


def test_empty_list_says_how_to_start(cli: Cli) -> None:
    result = cli("jobs", "ls")
    assert result.returncode == 0
    assert "workbench backtest run" in result.stdout
    assert json.loads(cli("jobs", "ls", "--json").stdout) == []


def test_jobs_are_listed_shown_and_queued_again(cli: Cli, client: Client, stocked: Settings) -> None:
    done = client.submit_backtest(build_config(stocked, pause_secs=0.0), name="quick").wait(120)
    failed = client.submit_backtest(build_config(stocked, pause_secs=-1.0), name="broken").wait(120)
    assert failed.record.state == JobState.FAILED

    listed = cli("jobs", "ls", "--kind", "backtest").stdout
    assert done.id in listed
    assert failed.id in listed
    (record,) = json.loads(cli("jobs", "ls", "--state", "FAILED", "--name", "bro", "--json").stdout)
    assert record["id"] == failed.id
    shown = cli("jobs", "show", failed.id).stdout
    assert "sleep length must be non-negative" in shown
    assert "in on_bar" in shown
    assert json.loads(cli("jobs", "show", done.id, "--json").stdout)["headline"]

    again = json.loads(cli("jobs", "requeue", done.id, "--json").stdout)
    assert again["requeued_from"] == done.id
    assert client.job(again["id"]).wait(120).record.identity == done.record.identity


def test_several_jobs_are_cancelled_at_once(cli: Cli, client: Client, stocked: Settings) -> None:
    jobs = [client.submit_backtest(build_config(stocked, pause_secs=0.5)) for _ in range(2)]
    result = cli("jobs", "cancel", *(job.id for job in jobs))
    assert result.returncode == 0, result.stderr
    assert {job.wait(60).record.state for job in jobs} == {JobState.CANCELLED}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "20120101-000000-abcdef"), "20120101-000000-abcdef"),
        (("cancel", "20120101-000000-abcdef"), "20120101-000000-abcdef"),
        (("cancel",), "JOB_ID"),
        (("ls", "--state", "happy"), "happy"),
        (("ls", "--sort", "colour"), "colour"),
        (("ls", "--limit", "0"), "--limit"),
        (("watch", "--after", "-1"), "--after"),
    ],
)
def test_wrong_input_is_refused(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli("jobs", *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_records_are_brought_in_line_with_the_directories(
    cli: Cli, client: Client, stocked: Settings
) -> None:
    job = client.submit_backtest(build_config(stocked, pause_secs=0.0)).wait(120)
    result = cli("jobs", "reindex", "--rebuild")
    assert result.returncode == 0, result.stderr
    assert client.job(job.id).record.state == JobState.COMPLETED
    assert isinstance(json.loads(cli("jobs", "reindex", "--json").stdout), dict)


def watch(workspace: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "jobs", "watch", *options],
        cwd=workspace,
        env={**build_environment(workspace), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "cancelled"


def test_watch_follows_a_job_as_it_goes(client: Client, stocked: Settings) -> None:
    job = client.submit_backtest(build_config(stocked, pause_secs=0.5), name="seen")
    process = watch(stocked.workspace)
    assert process.stdout is not None
    first = next(line for line in process.stdout if job.id in line)
    job.cancel()
    last = next(line for line in process.stdout if job.id in line and "CANCELLED" in line)
    interrupt(process)
    assert "seen" in first
    assert last.startswith("20")


def test_watch_with_json_tells_all_messages_from_a_number_on(client: Client, stocked: Settings) -> None:
    job = client.submit_backtest(build_config(stocked, pause_secs=0.0)).wait(120)
    messages: list[dict[str, Any]] = []
    process = watch(stocked.workspace, "--json", "--after", str(job.record.seq - 3))
    assert process.stdout is not None
    for line in process.stdout:
        messages.append(json.loads(line))
        if messages[-1].get("seq") == job.record.seq and messages[-1]["type"] == "job":
            break
    interrupt(process)
    assert [m["type"] for m in messages] == ["hello", "job", "job", "job"]
    assert {m["job"]["id"] for m in messages[1:]} == {job.id}
