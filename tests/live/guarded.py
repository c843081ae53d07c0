"""An engine with a fake host and a real guardian, in processes of their own that a test kills."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from workbench.engine_records import Desired, DesiredState, EmergencyPolicy, EngineStatus, Latch, Supervision
from workbench.live import launch
from workbench.live.config import EngineConfig, RestartPolicy, StopPolicy
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine
from workbench.stamps import utc_now
from workbench.states import EngineState

GUARD = (sys.executable, "-P", str(Path(__file__).with_name("guard.py")))
CONFIG = EngineConfig(
    restart=RestartPolicy(most=3, window_secs=60.0, backoff_secs=0.1, max_backoff_secs=0.4),
    stop=StopPolicy(timeout_secs=0.3, kill_secs=0.3),
)


def wait_for[T](find: Callable[[], T], what: str = "", *, secs: float = 15.0) -> T:
    """Return the first answer that holds."""
    deadline = time.monotonic() + secs
    while True:
        if found := find():
            return found
        assert time.monotonic() < deadline, f"{what or find} did not come within {secs} s"
        time.sleep(0.01)


class GuardedEngine:
    """What a test does to an engine, and sees of it."""

    def __init__(self, directory: EngineDirectory, runtime: Path) -> None:
        self.directory = directory
        self.runtime = runtime
        self.plan()

    def plan(self, **plan: Any) -> None:
        """Tell the hosts that are started from now on what to do."""
        self._place("plan.json", json.dumps({"runtime": str(self.runtime), **plan}))

    def place(self, name: str) -> Path:
        """Put a file that the host looks for, and return it."""
        self._place(name, "")
        return self.directory.path / name

    def _place(self, name: str, text: str) -> None:
        (self.directory.path / f"{name}.new").write_text(text)
        (self.directory.path / f"{name}.new").replace(self.directory.path / name)

    def start(self, **options: Any) -> EngineStatus:
        return launch.start_engine(self.directory, by="ann", guardian=GUARD, **options)

    def stop(self, **options: Any) -> EngineStatus:
        return launch.stop_engine(self.directory, by="ann", guardian=GUARD, **options)

    def guard(self) -> bool:
        return launch.ensure_guardian(self.directory, guardian=GUARD)

    def want(self, state: DesiredState, request: int, *, is_flattening: bool = False) -> None:
        self.directory.write_desired(
            Desired(
                state=state,
                config_version=1,
                request=request,
                by="ann",
                at=utc_now(),
                is_flattening=is_flattening,
            )
        )

    def latch(self) -> Latch:
        latch = Latch(at=utc_now(), ts_ns=time.time_ns(), by="bob", reason="drill", policy=EmergencyPolicy())
        self.directory.write_latch(latch)
        return latch

    @property
    def status(self) -> EngineStatus:
        return observe_engine(self.directory)

    @property
    def supervision(self) -> Supervision:
        found = self.directory.load_supervision()
        assert found is not None
        return found

    def is_at(self, state: EngineState) -> bool:
        return self.supervision.state is state

    def find_pid(self, role: Any) -> int:
        """Return the process of the host or the guardian, once there is one."""
        return wait_for(lambda: self.directory.find_process(role), f"a {role}").pid

    def kill(self, role: Any, number: int = signal.SIGKILL) -> int:
        pid = self.find_pid(role)
        os.kill(pid, number)
        return pid

    def wait_for_next(self, pid: int) -> int:
        """Return the host that came after `pid` and runs."""

        def find() -> int:
            process = self.directory.find_process("host")
            status = self.status
            is_up = process is not None and process.pid != pid and status.state is EngineState.RUNNING
            return process.pid if process is not None and is_up else 0

        return wait_for(find, "the next host")

    @property
    def events(self) -> list[list[str]]:
        """Return what the hosts did: time, incarnation, mode, what."""
        path = self.directory.path / "events.txt"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, mode: str, what: str) -> int:
        return sum(event[2] == mode and event[3] == what for event in self.events)

    def find_calls(self, target: str) -> list[str]:
        return [" ".join(event[5:]) for event in self.events if event[3:5] == ["called", target]]

    def find_processes(self) -> list[psutil.Process]:
        """Return all that were started for this engine."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if str(self.directory.path) in (process.info["cmdline"] or [])
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def clean_up(self) -> None:
        """Kill what is left: guardians first, which would start others."""
        while found := self.find_processes():
            for process in sorted(found, key=lambda p: "guard.py" not in " ".join(p.info["cmdline"])):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(found, timeout=5)
        shutil.rmtree(self.runtime, ignore_errors=True)


@contextlib.contextmanager
def make_engine(path: Path, config: EngineConfig = CONFIG, **changes: Any) -> Iterator[GuardedEngine]:
    """Make an engine that has a configuration and nothing else; leave no process behind."""
    directory = EngineDirectory(path)
    directory.save_config(msgspec.structs.replace(config, **changes), by="ann")
    engine = GuardedEngine(directory, Path(tempfile.mkdtemp(prefix="wb-")))
    try:
        yield engine
    finally:
        engine.clean_up()
