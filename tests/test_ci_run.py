"""What continuous integration runs, with stand-ins for the package manager and for make."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Clone:
    """A clone with ``.ci/run`` and a PATH where a test decides what is installed and what works."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root / "clone", root / "bin"
        (self.root / ".ci").mkdir(parents=True)
        shutil.copy2(ROOT / ".ci" / "run", self.root / ".ci")
        self.bin.mkdir()
        for name in ("bash", "cat", "dirname", "env", "mktemp", "rm"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.place("id", "echo 0")
        self.place("sleep", "true")
        self.place("make", 'echo "make $*; require $WORKBENCH_REQUIRE; data $WORKBENCH_TEST_DATA"')

    def place(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.root / ".ci" / "run")],
            env={"PATH": str(self.bin), "CI": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_ci_with_everything_there_only_runs_the_tests(clone: Clone) -> None:
    clone.place("dpkg-query", "echo installed")
    clone.place("apt-get", "echo $* >>calls; exit 1")

    done = clone.run()

    data = clone.root.parent / "shared" / "data"
    assert (done.returncode, done.stdout) == (
        0,
        f"make test; require browser,data,postgres,redis,root; data {data}\n",
    )
    assert clone.calls == []


def test_ci_installs_what_is_missing_after_an_update(clone: Clone) -> None:
    clone.place("dpkg-query", 'case "$*" in *chromium*) exit 1 ;; *) echo installed ;; esac')
    clone.place("apt-get", "echo $* >>calls")

    assert clone.run().returncode == 0
    update, install = clone.calls
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends chromium")


def test_ci_whose_package_source_stutters_tries_again(clone: Clone) -> None:
    clone.place("dpkg-query", "exit 1")
    clone.place("apt-get", 'echo $* >>calls; [ "$(cat calls | wc -l)" -ge 3 ]')
    (clone.bin / "wc").symlink_to(shutil.which("wc") or "wc")

    assert clone.run().returncode == 0
    assert len(clone.calls) == 4


def test_ci_that_cannot_install_says_so_and_runs_no_test(clone: Clone) -> None:
    clone.place("dpkg-query", "exit 1")
    clone.place("apt-get", "echo 'E: no network' >&2; exit 100")

    done = clone.run()

    assert done.returncode == 1
    assert "E: no network" in done.stderr
    assert "could not install make chromium fonts-dejavu-core" in done.stderr
    assert "make test" not in done.stdout


def test_ci_fails_when_the_tests_fail(clone: Clone) -> None:
    clone.place("dpkg-query", "echo installed")
    clone.place("make", "echo '1 failed'; exit 2")

    assert clone.run().returncode == 2
