"""The Makefile and what it calls, with a stand-in for the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose environment is built by a script that only writes down that it was called."""
    if shutil.which("make") is None:
        pytest.skip("there is no make on PATH")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    _place(tmp_path / "tools" / "build-env", "echo built >>calls; mkdir -p $1/bin; cp tools/workbench $1/bin")
    _place(tmp_path / "tools" / "workbench", 'echo "$0 $*"')
    return tmp_path


def _place(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nset -eu\n{script}\n")
    path.chmod(0o755)


def _make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=60
    )


def test_make_called_again_builds_nothing(project: Path) -> None:
    first = _make(project, "demo")
    second = _make(project, "demo")

    assert first.stdout == second.stdout == ".venv/bin/workbench demo\n"
    assert (project / "calls").read_text() == "built\n"


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_make_after_a_change_brings_the_environment_up_to_date(project: Path, changed: str) -> None:
    _make(project)
    stamp = (project / ".venv" / ".complete").stat()
    os.utime(project / changed, (stamp.st_atime + 10, stamp.st_mtime + 10))

    _make(project)

    assert (project / "calls").read_text() == "built\nbuilt\n"


def test_make_whose_environment_failed_tries_again(project: Path) -> None:
    _place(project / "tools" / "build-env", "echo failed >>calls; exit 2")

    assert _make(project, "demo").returncode == 2
    assert _make(project, "demo").returncode == 2
    assert (project / "calls").read_text() == "failed\nfailed\n"


def test_make_help_names_every_target(project: Path) -> None:
    text = (project / "Makefile").read_text()
    (phony,) = (line.split()[1:] for line in text.splitlines() if line.startswith(".PHONY:"))

    told = [line.split()[0] for line in _make(project, "help").stdout.splitlines()]

    assert sorted(told) == sorted(phony)


def test_environment_whose_interpreter_is_gone_is_built_anew(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    _place(tmp_path / "python", 'echo "$@" >>calls; rm -f .venv/bin/python; cp python .venv/bin/python')
    _place(tmp_path / "tools" / "find-python", 'echo "$PWD/python"')
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")

    done = subprocess.run([tmp_path / "tools" / "build-env", ".venv"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    venv, lock, itself, check = (tmp_path / "calls").read_text().splitlines()
    assert venv == "-m venv --clear .venv"
    assert lock.endswith("install --require-hashes -r requirements.lock")
    assert itself.endswith("install --no-deps --no-build-isolation --no-index -e .")
    assert check.endswith("check")
