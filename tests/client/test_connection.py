"""Finding, starting and stopping the workspace's server."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.client.conftest import find_processes, make_settings, wait_until
from workbench import __version__
from workbench.client import local_server
from workbench.client.connection import connect, stop_server
from workbench.config import Settings
from workbench.errors import AuthenticationError, ServerError

CONNECT = """
import sys
from pathlib import Path
from tests.client.conftest import make_settings
from workbench.client.connection import connect
with connect(settings=make_settings(Path(sys.argv[1]))) as client:
    print(client.health()["pid"])
"""
# A server of another version: its own number is all that it says about that.
FOREIGN = """
import sys
import workbench
workbench.__version__ = "9.9.9"
from workbench.cli.main import main
sys.argv = ["workbench", "serve", "--idle-secs", "60"]
main()
"""
ROOT = Path(__file__).resolve().parent.parent.parent


def read_pid(settings: Settings) -> int:
    pid: int = json.loads((settings.state / "server.json").read_bytes())["pid"]
    return pid


def test_connect_starts_one_detached_server_and_finds_it_again(settings: Settings) -> None:
    with connect(settings=settings) as first, connect(settings=settings) as second:
        pid = first.health()["pid"]
        assert second.health()["pid"] == pid
        assert first.whoami()["role"] == "admin"
        assert first.is_local

    process = psutil.Process(pid)
    assert os.getsid(pid) == pid
    assert process.cwd() == str(settings.workspace)
    assert stat.S_IMODE(settings.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.state / "server.log").stat().st_mode) == 0o600
    command = " ".join(process.cmdline())
    assert (settings.state / "token").read_text().strip() not in command
    assert settings.database not in command


def test_two_processes_that_race_get_the_same_one_server(settings: Settings) -> None:
    command = [sys.executable, "-c", CONNECT, str(settings.workspace)]
    racers = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [racer.communicate(timeout=60) for racer in racers]

    pids = {out.strip() for out, _ in answers}
    assert [racer.returncode for racer in racers] == [0, 0], answers
    assert pids == {str(read_pid(settings))}
    log = (settings.state / "server.log").read_text()
    assert log.count("Started server process") == 1
    assert "has a server already" not in log


def test_killed_server_is_replaced_and_the_old_client_finds_the_new_one(settings: Settings) -> None:
    with connect(settings=settings) as old:
        pid = old.health()["pid"]
        os.kill(pid, signal.SIGKILL)
        with connect(settings=settings) as new:
            assert new.health()["pid"] not in {pid, None}
            assert old.health()["pid"] == new.health()["pid"]


def test_server_outlives_the_process_that_started_it(settings: Settings) -> None:
    command = [sys.executable, "-c", CONNECT, str(settings.workspace)]
    pid = int(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    )

    with connect(settings=settings, start=False) as client:
        assert client.health()["pid"] == pid


def test_connect_without_start_says_that_none_runs(settings: Settings) -> None:
    with pytest.raises(ServerError, match="does not run"):
        connect(settings=settings, start=False)
    assert not settings.state.exists()


def test_server_of_another_version_is_named_and_can_be_stopped(settings: Settings) -> None:
    environment = {**os.environ, "WORKBENCH_HOME": str(settings.workspace)}
    foreign = subprocess.Popen([sys.executable, "-c", FOREIGN], cwd=ROOT, env=environment)
    wait_until(settings.state / "server.json")

    with pytest.raises(ServerError) as caught:
        connect(settings=settings)

    assert "9.9.9" in str(caught.value)
    assert __version__ in str(caught.value)
    assert "workbench serve --stop" in str(caught.value)
    assert stop_server(settings)
    assert foreign.wait(10) == 0


def test_server_that_ends_at_its_start_says_why(settings: Settings) -> None:
    settings.state.mkdir(parents=True)
    (settings.state / "records.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)

    with pytest.raises(ServerError, match="ended at its start") as caught:
        connect(settings=settings)

    assert "error: " in str(caught.value)
    assert "records.sqlite" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert find_processes(settings.workspace) == []


def test_server_that_cannot_be_started_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(ServerError, match="cannot be started"):
        connect(settings=make_settings(tmp_path / "file"))


def test_stop_leaves_a_process_alone_that_only_has_the_number(settings: Settings) -> None:
    """A server that was killed left its number, and by now the number is somebody else's."""
    with subprocess.Popen(["sleep", "60"]) as innocent:
        settings.state.mkdir(parents=True)
        left = {"url": "http://127.0.0.1:9", "pid": innocent.pid, "version": __version__, "api": 1}
        (settings.state / "server.json").write_text(json.dumps(left))

        assert stop_server(settings) is False
        with connect(settings=settings) as client:
            assert client.health()["pid"] != innocent.pid
        assert stop_server(settings) is True

        assert innocent.poll() is None
        innocent.kill()


def test_stop_signals_nobody_who_does_not_hold_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "_KILL_SECS", 0.3)
    connect(settings=settings).close()
    path = settings.state / "server.json"
    left = path.read_bytes()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        path.write_text(json.dumps({**json.loads(left), "pid": innocent.pid}))

        with pytest.raises(ServerError, match="cannot be ended"):
            stop_server(settings, timeout_secs=0.3)

        assert innocent.poll() is None
        innocent.kill()
    path.write_bytes(left)


def test_stop_kills_a_server_that_does_not_hear(settings: Settings) -> None:
    connect(settings=settings).close()
    pid = read_pid(settings)
    os.kill(pid, signal.SIGSTOP)

    assert stop_server(settings, timeout_secs=0.5) is True

    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_server_that_does_not_answer_is_said_in_time(settings: Settings) -> None:
    connect(settings=settings).close()
    pid = read_pid(settings)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerError, match="does not answer"):
            connect(settings=settings, timeout_secs=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_server_by_url_needs_its_token(stocked: Settings, tmp_path: Path) -> None:
    with connect(settings=stocked) as local:
        url = local.url
    (tmp_path / "token").write_text("wb_wrong\n")
    (tmp_path / "empty").write_text("")

    by_url = make_settings(tmp_path, server=f"{url}/", token_file=stocked.token_file)
    with connect(settings=by_url) as client:
        assert not client.is_local
        assert client.whoami()["role"] == "admin"
    with (
        connect(settings=make_settings(tmp_path, server=url, token_file=tmp_path / "token")) as wrong,
        pytest.raises(AuthenticationError),
    ):
        wrong.jobs()
    for name in ("missing", "empty"):
        with pytest.raises(AuthenticationError, match=name):
            connect(settings=make_settings(tmp_path, server=url, token_file=tmp_path / name))
    with pytest.raises(ServerError, match="cannot be reached"):
        connect(settings=make_settings(tmp_path, server="http://127.0.0.1:9", token_file=stocked.token_file))
    assert not (tmp_path / ".workbench").exists()
