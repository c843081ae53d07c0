from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.live.engines import wait_for
from workbench.live.engine_directory import EngineDirectory
from workbench.live.guardian_beat import end_frozen_guardian, is_guardian_turning
from workbench.live.heartbeat import _guard as guard
from workbench.states import EngineState

_HOLD = """
import sys, time
from pathlib import Path
from workbench.live.engine_directory import EngineDirectory
directory = EngineDirectory(Path(sys.argv[1]))
with directory.hold_lock("guardian"):
    while True:
        directory.beat()
        time.sleep(0.05)
"""


@pytest.fixture
def directory(tmp_path: Path) -> EngineDirectory:
    made = EngineDirectory(tmp_path / "one")
    made.create()
    return made


@pytest.fixture
def holder(directory: EngineDirectory) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(directory.path)])
    try:
        wait_for(lambda: directory.is_held("guardian"), "the lock")
        yield process
    finally:
        process.kill()
        process.wait()


def test_frozen_guardian_is_told_from_one_that_turns_and_ended(
    directory: EngineDirectory, holder: subprocess.Popen[bytes]
) -> None:
    assert is_guardian_turning(directory)
    assert not end_frozen_guardian(directory)
    # What matters is the next beat, where a clock was put right since the last one.
    os.utime(directory.path / "guardian.lock", ns=(0, 0))
    assert is_guardian_turning(directory)
    assert holder.poll() is None

    holder.send_signal(signal.SIGSTOP)
    stopped_ns = time.time_ns()
    assert is_guardian_turning(directory), "a beat of a moment ago is enough"
    assert end_frozen_guardian(directory, since_ns=stopped_ns + 100_000_000)
    assert holder.wait(5) == -signal.SIGKILL
    assert not directory.is_held("guardian")
    assert end_frozen_guardian(directory)


def test_lock_that_is_not_held_by_a_guardian_costs_nobody_its_life(directory: EngineDirectory) -> None:
    assert directory.find_beat() == 0
    with directory.hold_lock("guardian"):
        os.utime(directory.path / "guardian.lock", ns=(0, 0))
        assert not is_guardian_turning(directory, patience_secs=0.1)
        assert not end_frozen_guardian(directory)


def test_host_asks_for_another_guardian_where_the_beat_is_old(directory: EngineDirectory) -> None:
    context = SimpleNamespace(state=EngineState.RUNNING, directory=directory)
    asked: list[float] = []

    def look() -> int:
        asyncio.run(guard(context, lambda: asked.append(time.monotonic())))  # type: ignore[arg-type]
        return len(asked)

    assert look() == 1, "there is none"
    with directory.hold_lock("guardian"):
        directory.beat()
        assert look() == 1
        os.utime(directory.path / "guardian.lock", ns=(0, 0))
        assert look() == 2
    context.state = EngineState.STOPPED
    assert look() == 2
