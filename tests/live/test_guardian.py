from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live.guarded import CONFIG, GUARD, GuardedEngine, make_engine, wait_for
from workbench.engine_records import DesiredState
from workbench.errors import ConflictError, RunError
from workbench.live.config import RestartPolicy, StopPolicy
from workbench.states import EngineState

S = EngineState


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[GuardedEngine]:
    with make_engine(tmp_path / "one") as made:
        yield made


def test_guardian_killed_host_is_seen_within_a_second_and_started_again(engine: GuardedEngine) -> None:
    assert engine.start().is_green
    pid = engine.kill("host")
    killed = time.monotonic()
    wait_for(lambda: not engine.is_at(S.RUNNING))
    assert time.monotonic() - killed < 1.0
    assert engine.wait_for_next(pid) != pid
    wait_for(lambda: engine.is_at(S.RUNNING))
    found = engine.supervision
    assert len(found.restarts) == 1
    assert found.last_exit is not None
    assert (found.last_exit.code, found.last_exit.incarnation) == (-signal.SIGKILL, 1)
    assert not found.last_exit.is_expected
    assert engine.count("TRADE", "start") == 2


def test_guardian_killed_one_is_followed_by_one_that_takes_over_what_it_knew(engine: GuardedEngine) -> None:
    engine.start()
    first = engine.kill("host")
    host = engine.wait_for_next(first)
    guardian = engine.kill("guardian")
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.directory.is_held("host")
    assert engine.guard()
    assert not engine.guard()
    wait_for(lambda: engine.supervision.pid not in {0, guardian} and engine.is_at(S.RUNNING))
    assert engine.find_pid("host") == host
    assert len(engine.supervision.restarts) == 1
    # It is no child of the new one: its lock tells.
    engine.kill("host")
    killed = time.monotonic()
    wait_for(lambda: not engine.is_at(S.RUNNING))
    assert time.monotonic() - killed < 1.0
    engine.wait_for_next(host)
    assert len(engine.supervision.restarts) == 2
    last = engine.supervision.last_exit
    assert last is not None
    assert last.code is None


def test_guardian_after_both_were_killed_counts_the_death_that_nobody_saw(engine: GuardedEngine) -> None:
    engine.start()
    engine.kill("guardian")
    pid = engine.kill("host")
    wait_for(lambda: engine.status.state is S.CRASHED)
    assert engine.guard()
    engine.wait_for_next(pid)
    assert len(engine.supervision.restarts) == 1


def test_guardian_interrupt_is_nothing_and_terminate_ends_it_alone(engine: GuardedEngine) -> None:
    engine.start()
    guardian = engine.kill("guardian", signal.SIGINT)
    engine.kill("guardian", signal.SIGHUP)
    pid = engine.kill("host")
    host = engine.wait_for_next(pid)
    assert engine.find_pid("guardian") == guardian
    engine.kill("guardian", signal.SIGTERM)
    wait_for(lambda: not psutil.pid_exists(guardian) or not engine.directory.is_held("guardian"))
    assert engine.find_pid("host") == host
    # What a guardian does with signals is not handed down.
    assert "SIGINT" not in _read_ignored(host)


def _read_ignored(pid: int) -> set[str]:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("SigIgn"))
    mask = int(line.split()[1], 16)
    return {s.name for s in signal.Signals if mask & 1 << (s - 1)}


def test_guardian_crash_loop_is_given_up_and_stays_so_until_the_next_command(engine: GuardedEngine) -> None:
    engine.plan(exits=[1] * 9)
    with pytest.raises(RunError, match="started again 3 times within 60 s, and died again") as caught:
        engine.start()
    assert "planned exit 4" in caught.value.message
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.count("TRADE", "start") == 4
    assert engine.status.state is S.FAILED
    # A guardian that comes by gives up what was given up.
    engine.guard()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.count("TRADE", "start") == 4
    engine.plan(exits=[1] * 5)
    engine.start()
    assert engine.count("TRADE", "start") == 6
    assert len(engine.supervision.restarts) == 1


def test_guardian_wrong_configuration_is_not_tried_twice(engine: GuardedEngine) -> None:
    engine.plan(exits=[2])
    with pytest.raises(RunError, match="its configuration cannot be used"):
        engine.start()
    assert engine.count("TRADE", "start") == 1
    assert engine.supervision.state is S.FAILED


def test_guardian_host_that_ends_by_itself_is_not_started_again(engine: GuardedEngine) -> None:
    engine.start()
    engine.kill("host", signal.SIGTERM)
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.status.state is S.STOPPED
    assert engine.supervision.last_exit.is_expected
    # The guardian may see it stop, or only that it is gone.
    assert "orderly" in engine.supervision.message or engine.supervision.message.startswith("stopped;")
    assert not engine.status.is_green
    assert engine.count("TRADE", "start") == 1


def test_guardian_orderly_end_that_nobody_saw_is_told_from_a_crash(engine: GuardedEngine) -> None:
    engine.start()
    engine.kill("guardian")
    engine.kill("host", signal.SIGTERM)
    wait_for(lambda: not engine.directory.is_held("host"))
    engine.guard()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.status.state is S.STOPPED
    assert engine.count("TRADE", "start") == 1


def test_guardian_host_started_by_hand_is_adopted(engine: GuardedEngine) -> None:
    fake = Path(__file__).with_name("fake_host.py")
    child = subprocess.Popen([sys.executable, "-P", str(fake), str(engine.directory.path)])
    try:
        wait_for(lambda: engine.status.state is S.RUNNING)
        engine.start()
        assert engine.find_pid("host") == child.pid
        wait_for(lambda: engine.is_at(S.RUNNING))
        assert engine.count("TRADE", "start") == 1
        engine.stop()
    finally:
        child.kill()
        child.wait()


def test_guardian_lock_that_was_taken_is_a_crash_once_it_is_free(engine: GuardedEngine) -> None:
    engine.plan(exits=[3])
    engine.start()
    assert engine.count("TRADE", "start") == 2


def test_guardian_blocked_loop_in_an_emergency_is_killed_within_two_seconds_and_liquidated(
    engine: GuardedEngine,
) -> None:
    engine.start()
    pid = engine.find_pid("host")
    block = engine.place("block")
    blocked = time.monotonic()
    wait_for(lambda: "main loop is blocked" in engine.supervision.message)
    assert time.monotonic() - blocked < 3.0
    assert psutil.pid_exists(pid)  # Without an emergency it is told, and left alone
    engine.latch()
    latched = time.monotonic()
    wait_for(lambda: engine.supervision.last_exit is not None)
    assert time.monotonic() - latched < 2.0
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.directory.is_settled
    assert engine.count("LIQUIDATE", "settled") == 1
    assert engine.supervision.state is S.STOPPED
    assert engine.count("TRADE", "start") == 1
    # It stays so: only a person starts it.
    engine.guard()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.count("TRADE", "start") == 1
    block.unlink()
    assert engine.start().latch is not None


def test_guardian_loop_blocked_by_the_emergency_itself_is_killed_within_two_seconds(
    engine: GuardedEngine,
) -> None:
    engine.plan(settles=False)
    engine.start()
    engine.place("block")
    engine.latch()
    latched = time.monotonic()
    wait_for(lambda: engine.supervision.last_exit is not None)
    assert time.monotonic() - latched < 2.0


def test_guardian_frozen_host_in_an_emergency_is_killed_within_two_seconds(engine: GuardedEngine) -> None:
    engine.plan(settles=False)
    engine.start()
    engine.kill("host", signal.SIGSTOP)
    engine.latch()
    latched = time.monotonic()
    wait_for(lambda: engine.supervision.last_exit is not None)
    assert time.monotonic() - latched < 2.0
    last = engine.supervision.last_exit
    assert last is not None
    assert "no heartbeat" in last.reason
    wait_for(lambda: engine.count("LIQUIDATE", "start"))


def test_guardian_host_that_settles_by_itself_is_left_alone(engine: GuardedEngine) -> None:
    engine.start()
    pid = engine.find_pid("host")
    engine.latch()
    wait_for(lambda: engine.directory.is_settled)
    beat = engine.directory.load_heartbeat()
    assert beat is not None
    wait_for(lambda: engine.directory.load_heartbeat() != beat)
    assert engine.find_pid("host") == pid
    # A crash after that is restarted, under the latch.
    engine.kill("host")
    engine.wait_for_next(pid)
    assert engine.count("LIQUIDATE", "start") == 0


def test_guardian_dead_host_in_an_emergency_is_liquidated_again_until_it_settles(
    engine: GuardedEngine,
) -> None:
    engine.start()
    engine.stop()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    engine.plan(liquidations=[-9, 1, 2, 0])
    engine.latch()
    # A start that came at the same moment is not one after the emergency.
    engine.want(DesiredState.RUNNING, 99)
    engine.guard()
    wait_for(lambda: engine.count("LIQUIDATE", "settled"))
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.count("LIQUIDATE", "start") == 5
    assert engine.count("TRADE", "start") == 1
    assert engine.supervision.state is S.STOPPED
    starts = [float(e[0]) for e in engine.events if e[2:4] == ["LIQUIDATE", "start"]]
    assert starts[3] - starts[2] > 0.4  # The back-off grew, 0.1, 0.2, 0.4


def test_guardian_liquidating_host_that_hangs_is_replaced(engine: GuardedEngine) -> None:
    engine.start()
    engine.plan(settles=False)
    engine.stop()
    engine.latch()
    engine.guard()
    wait_for(lambda: engine.count("LIQUIDATE", "start"))
    wait_for(lambda: engine.status.heartbeat_age_secs is not None)
    with pytest.raises(ConflictError, match="goes on closing"):
        engine.stop()
    engine.plan()
    engine.kill("host", signal.SIGSTOP)
    wait_for(lambda: engine.directory.is_settled)
    assert engine.count("LIQUIDATE", "start") == 2


def test_guardian_cleared_emergency_ends_the_liquidation(engine: GuardedEngine) -> None:
    engine.start()
    engine.plan(settles=False)
    engine.stop()
    engine.latch()
    engine.guard()
    wait_for(lambda: engine.status.state is S.LIQUIDATING and engine.status.is_alive)
    engine.directory.clear_latch()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.status.state is S.STOPPED
    assert not engine.directory.is_held("host")


def test_guardian_engine_that_never_ran_is_not_started_by_an_emergency(engine: GuardedEngine) -> None:
    engine.latch()
    engine.guard()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.events == []


def test_guardian_frozen_host_without_emergency_is_told_then_killed_at_the_deadline(
    engine: GuardedEngine,
) -> None:
    engine.start()
    pid = engine.kill("host", signal.SIGSTOP)
    frozen = time.monotonic()
    wait_for(lambda: "it is killed when that lasts 2 s" in engine.supervision.message)
    engine.wait_for_next(pid)
    assert time.monotonic() - frozen > 1.5
    assert len(engine.supervision.restarts) == 1


def test_guardian_host_that_cannot_write_its_heartbeat_but_answers_is_left_alone(
    engine: GuardedEngine,
) -> None:
    engine.start()
    pid = engine.find_pid("host")
    engine.place("full")
    # Older than what a host is killed for.
    wait_for(lambda: (engine.status.heartbeat_age_secs or 0.0) > 2.8)
    assert engine.find_pid("host") == pid
    assert engine.supervision.restarts == []


def test_guardian_host_without_a_first_heartbeat_is_killed(engine: GuardedEngine) -> None:
    engine.plan(is_silent=True)
    engine.want(DesiredState.RUNNING, 1)
    engine.guard()
    wait_for(lambda: engine.count("TRADE", "start"))
    engine.plan()
    engine.start()
    last = engine.supervision.last_exit
    assert last is not None
    assert "no first heartbeat" in last.reason


def test_guardian_deaf_host_is_asked_told_and_killed_in_this_order(tmp_path: Path) -> None:
    policy = StopPolicy(timeout_secs=1.5, kill_secs=0.5)
    with make_engine(tmp_path / "one", stop=policy) as engine:
        _stop_deaf(engine)


def _stop_deaf(engine: GuardedEngine) -> None:
    engine.plan(is_deaf=True, ignores_stop=True)
    engine.start()
    began = time.monotonic()
    engine.stop(is_flattening=True)
    assert time.monotonic() - began >= 2.0
    done = [e[3] for e in engine.events if e[3] in {"called", "SIGTERM"} and e[3:5] != ["called", "/status"]]
    assert (done[0], done[-1], done.count("SIGTERM")) == ("called", "SIGTERM", 1)
    assert engine.find_calls("/stop")[0] == '{"is_flattening": true} ann'
    last = engine.supervision.last_exit
    assert last is not None
    assert (last.code, last.is_expected) == (-signal.SIGKILL, True)
    assert engine.status.state is S.STOPPED


def test_guardian_stop_while_it_waits_to_start_again_needs_no_host(tmp_path: Path) -> None:
    slow = RestartPolicy(most=3, backoff_secs=60.0)
    with make_engine(tmp_path / "one", CONFIG, restart=slow) as engine:
        engine.start()
        engine.kill("host")
        wait_for(lambda: engine.supervision.next_restart_at)
        assert engine.status.state is S.CRASHED
        assert engine.stop().state is S.STOPPED


def test_guardian_two_at_once_leave_one(engine: GuardedEngine) -> None:
    engine.want(DesiredState.RUNNING, 1)
    command = [*GUARD, str(engine.directory.path)]
    both = [subprocess.Popen(command, start_new_session=True) for _ in range(2)]
    try:
        wait_for(lambda: engine.status.state is S.RUNNING)
        wait_for(lambda: any(p.poll() is not None for p in both))
        assert sorted(str(p.poll()) for p in both) == ["3", "None"]
        assert engine.count("TRADE", "start") == 1
    finally:
        for process in both:
            process.kill()
            process.wait()


def test_guardian_what_it_cannot_read_is_told_and_does_not_end_it(engine: GuardedEngine) -> None:
    engine.start()
    desired = engine.directory.path / "desired.json"
    content = desired.read_bytes()
    desired.write_bytes(b"{")
    wait_for(lambda: "desired.json" in engine.supervision.message)
    pid = engine.kill("host")
    engine.wait_for_next(pid)
    desired.write_bytes(content)
    wait_for(lambda: "desired.json" not in engine.supervision.message)


def test_guardian_writes_only_what_changed(engine: GuardedEngine) -> None:
    engine.start()
    wait_for(lambda: engine.is_at(S.RUNNING))
    path = engine.directory.path / "supervision.json"
    written = path.stat()
    for _ in range(2):
        beat = engine.directory.load_heartbeat()
        wait_for(lambda beat=beat: engine.directory.load_heartbeat() != beat)
    assert path.stat().st_ino == written.st_ino


def test_guardian_starts_at_once_and_stays_small(engine: GuardedEngine) -> None:
    engine.plan(is_slow=True)
    engine.want(DesiredState.RUNNING, 1)
    command = [sys.executable, "-P", "-X", "importtime", *GUARD[2:], str(engine.directory.path)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(lambda: engine.count("TRADE", "start"))
        process = psutil.Process(child.pid)
        assert process.memory_info().rss < 40_000_000
        # By processor time: a busy machine is not its fault.
        assert sum(process.cpu_times()[:2]) < 0.5
    finally:
        child.terminate()
        imported = child.communicate()[1]
    for name in ("nautilus_trader", "pandas", "numpy", "starlette", "httpx", "asyncio"):
        assert not any(line.rpartition("|")[2].strip() == name for line in imported.splitlines()), name
    assert "workbench.live.supervisor" in imported


def test_guardian_wrong_directory_is_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "workbench.live.guardian"]
    for flags in ([], ["--detach"]):
        done = subprocess.run(
            [*command, *flags, str(tmp_path / "none")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "cannot be locked" in done.stderr


def test_guardian_forgets_no_host_that_its_killer_left_starting(engine: GuardedEngine) -> None:
    engine.plan(is_slow=True)
    engine.want(DesiredState.RUNNING, 1)
    engine.guard()
    wait_for(lambda: engine.is_at(S.STARTING))
    os.kill(engine.supervision.pid, signal.SIGKILL)
    wait_for(lambda: not engine.directory.is_held("guardian"))
    engine.plan()
    engine.guard()
    wait_for(lambda: engine.directory.is_held("host"))
    engine.stop()
    assert len([p for p in engine.find_processes() if "fake_host.py" in " ".join(p.info["cmdline"])]) == 0


def test_guardian_after_a_cleared_emergency_trades_only_on_a_command(tmp_path: Path) -> None:
    slow = RestartPolicy(most=3, backoff_secs=60.0)
    with make_engine(tmp_path / "one", CONFIG, restart=slow) as engine:
        engine.start()
        engine.plan(liquidations=[-9])
        engine.latch()
        engine.kill("host", signal.SIGSTOP)
        wait_for(lambda: "again in 60 s" in engine.supervision.message)
        # Whoever guards it, and however it came to guard.
        engine.kill("guardian")
        wait_for(lambda: not engine.directory.is_held("guardian"))
        engine.directory.clear_latch()
        engine.guard()
        wait_for(lambda: not engine.directory.is_held("guardian"))
        assert engine.status.state is S.STOPPED
        assert engine.count("TRADE", "start") == 1
