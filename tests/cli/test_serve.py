"""``workbench serve``: in the foreground, refused where it would be unsafe, and stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Cli, build_environment
from tests.client.conftest import make_settings, wait_until


def start(workspace: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "serve", *options],
        cwd=workspace,
        env=build_environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(make_settings(workspace).state / "server.json")
    return process


def test_stop_without_a_server_says_so(cli: Cli, workspace: Path) -> None:
    result = cli("serve", "--stop")
    assert result.returncode == 0
    assert result.stdout == f"no server of {workspace} runs\n"
    assert json.loads(cli("serve", "--stop", "--json").stdout)["is_stopped"] is False


def test_server_in_the_foreground_is_used_and_stopped(cli: Cli, workspace: Path) -> None:
    process = start(workspace, "--slots", "1", "--memory-mb", "500")
    assert cli("jobs", "ls").returncode == 0

    second = cli("serve")
    assert second.returncode == 1
    assert "has a server already" in second.stderr
    assert "workbench serve --stop" in second.stderr

    assert cli("serve", "--stop").stdout == f"the server of {workspace} has ended\n"
    assert process.wait(20) == 0
    process.communicate()


def test_interrupt_ends_the_server_in_the_foreground(workspace: Path) -> None:
    process = start(workspace)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert not (make_settings(workspace).state / "server.json").exists()


def test_address_beyond_this_machine_without_tls_is_refused(cli: Cli) -> None:
    result = cli("serve", "--host", "0.0.0.0")
    assert result.returncode == 2
    assert "in the clear" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
