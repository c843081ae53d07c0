"""The search for an interpreter, with interpreters that are shell scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Machine:
    """A machine with nothing but the tools of POSIX and the interpreters that a test puts on it."""

    def __init__(self, root: Path) -> None:
        self.project = root / "a project"
        self.bin, self.late_bin, self.pyenv = root / "bin", root / "late bin", root / "pyenv"
        (self.project / "tools").mkdir(parents=True)
        shutil.copy2(ROOT / "tools" / "find-python", self.project / "tools")
        for name in ("sed", "dirname", "ls", "sort", "sh"):
            found = shutil.which(name)
            assert found is not None
            self._place(self.bin / name, f'exec {found} "$@"')

    def _place(self, path: Path, script: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def add(self, name: str, version: str, state: str = "good", *, late: bool = False) -> Path:
        """Put an interpreter on PATH that answers the probe as one of that version does."""
        path = (self.late_bin if late else self.bin) / name
        return self._place(path, f'echo "{state} {version} $0"')

    def add_shim(self, name: str) -> None:
        """Put a pyenv shim of a version that is not selected on PATH."""
        self._place(self.bin / name, f'echo "pyenv: {name}: command not found" >&2; exit 127')

    def add_pyenv(self, version: str, state: str = "good") -> Path:
        path = self.pyenv / "versions" / version / "bin" / "python3"
        return self._place(path, f'echo "{state} {version} $0"')

    def want(self, version: str) -> None:
        (self.project / ".python-version").write_text(f"{version}\n")

    def find(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.project / "tools" / "find-python")],
            env={"PATH": f"{self.bin}:{self.late_bin}", "PYENV_ROOT": str(self.pyenv), **environment},
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_search_prefers_the_version_that_the_project_names(machine: Machine) -> None:
    machine.want("3.12.4")
    machine.add("python3.13", "3.13.0")
    wanted = machine.add("python3.12", "3.12.9")

    assert machine.find().stdout == f"{wanted}\n"


def test_search_without_a_wanted_version_goes_by_name(machine: Machine) -> None:
    machine.add("python3", "3.14.0")
    machine.add("python3.12", "3.12.9")
    newest = machine.add("python3.13", "3.13.0")

    assert machine.find().stdout == f"{newest}\n"


def test_search_skips_a_shim_of_a_version_that_is_not_selected(machine: Machine) -> None:
    machine.want("3.13")
    machine.add_shim("python3.13")
    machine.add_shim("python3.12")
    good = machine.add("python3", "3.12.3")

    found = machine.find()

    assert (found.stdout, found.stderr, found.returncode) == (f"{good}\n", "", 0)


def test_search_finds_the_real_one_behind_a_shim(machine: Machine) -> None:
    machine.add_shim("python3.13")
    real = machine.add("python3.13", "3.13.2", late=True)

    assert machine.find().stdout == f"{real}\n"


def test_search_ends_with_what_pyenv_has_installed(machine: Machine) -> None:
    machine.add("python3", "3.11.2", "version")
    machine.add_pyenv("3.9.1", "version")
    machine.add_pyenv("3.12.1")
    machine.add_pyenv("3.13.9")
    newest = machine.add_pyenv("3.13.10")

    assert machine.find().stdout == f"{newest}\n"


def test_search_takes_the_wanted_version_of_pyenv_before_a_newer_one(machine: Machine) -> None:
    machine.want("3.12")
    machine.add_pyenv("3.14.0")
    wanted = machine.add_pyenv("3.12.1")

    assert machine.find().stdout == f"{wanted}\n"


def test_search_with_nothing_good_says_what_was_found_and_what_is_needed(machine: Machine) -> None:
    old = machine.add("python3", "3.11.2", "version")

    found = machine.find()

    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert f"found Python 3.11.2 at {old}" in found.stderr
    assert "needed is Python 3.12, 3.13 or 3.14" in found.stderr


def test_search_with_nothing_at_all_says_none(machine: Machine) -> None:
    assert "found none, needed" in machine.find().stderr


def test_search_names_the_package_where_venv_is_missing(machine: Machine) -> None:
    machine.add("python3", "3.13.5", "no-venv")

    found = machine.find()

    assert found.returncode == 2
    assert "python3.13-venv" in found.stderr


def test_search_with_python_set_takes_that_or_nothing(machine: Machine) -> None:
    machine.add("python3.13", "3.13.0")
    old = machine.add("old", "3.11.2", "version")
    chosen = machine.add("chosen", "3.12.0")

    assert machine.find(PYTHON=str(chosen)).stdout == f"{chosen}\n"
    assert machine.find(PYTHON="chosen").stdout == f"{chosen}\n"
    refused = machine.find(PYTHON=str(old))
    assert refused.returncode == 2
    assert "3.11.2" in refused.stderr
    assert "no working Python" in machine.find(PYTHON="missing").stderr


def test_search_on_this_machine_finds_an_interpreter_that_makes_environments() -> None:
    found = subprocess.run([ROOT / "tools" / "find-python"], capture_output=True, text=True)

    assert found.returncode == 0, found.stderr
    assert os.access(found.stdout.strip(), os.X_OK)
    subprocess.run([found.stdout.strip(), "-c", "import ensurepip, venv"], check=True)


def test_search_says_no_to_what_a_real_interpreter_lacks(machine: Machine) -> None:
    # The probe itself, in a real interpreter without ensurepip.
    real = subprocess.run([ROOT / "tools" / "find-python"], capture_output=True, text=True).stdout.strip()
    machine._place(
        machine.bin / "python3",
        f'shift 2; exec "{real}" -c "import sys; sys.modules[\'ensurepip\'] = None\n$1"',
    )

    assert "without the module venv" in machine.find().stderr
