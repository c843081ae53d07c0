"""A file is there whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench.files import write_atomically


def test_write_makes_directories_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from workbench.files import write_atomically;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000));"
        "write_atomically(Path(sys.argv[1]), bytes(100_000))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert "OSError" in result.stderr
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("attempt", range(5))
def test_write_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "file"
    script = (
        "import sys; from pathlib import Path; from workbench.files import write_atomically\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1; write_atomically(Path(sys.argv[1]), bytes([n % 256]) * 300_000)\n"
        "    if n == 3: print('going', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        for _ in range(attempt * 3):  # Another moment each time
            path.read_bytes()
        process.send_signal(signal.SIGKILL)
        process.wait()
    content = path.read_bytes()
    assert len(content) == 300_000
    assert len(set(content)) == 1


def test_writers_in_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    errors: list[BaseException] = []

    def write(letter: bytes) -> None:
        try:
            for _ in range(50):
                write_atomically(path, letter * 10_000)
        except BaseException as e:  # noqa: BLE001 - asserted below
            errors.append(e)

    threads = [threading.Thread(target=write, args=(bytes([65 + i]),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(path.read_bytes())) == 1
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
