from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from workbench.engine_records import (
    Desired,
    DesiredState,
    EmergencyOutcome,
    EmergencyPolicy,
    EngineStatus,
    Heartbeat,
    HostMode,
    HostRecord,
    LastExit,
    Latch,
    StillOpen,
    Supervision,
)
from workbench.live.config import EngineConfig
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import find_faults, find_state, observe_engine
from workbench.states import EngineState

S = EngineState
NOW = 1_800_000_000_000_000_000
_PID = os.getpid()
_AT = "2027-01-15T08:00:00.000Z"  # The same


def _want(state: DesiredState = DesiredState.RUNNING, request: int = 1) -> Desired:
    return Desired(state=state, config_version=1, request=request, by="ann", at=_AT)


def _host(mode: HostMode = HostMode.TRADE) -> HostRecord:
    return HostRecord(
        pid=_PID,
        incarnation=3,
        config_version=1,
        environment="LIVE",
        mode=mode,
        started_at=_AT,
        socket="/x",
    )


def _beat(state: EngineState = S.RUNNING, **changes: Any) -> Heartbeat:
    facts: dict[str, Any] = {
        "ts_ns": NOW,
        "incarnation": 3,
        "pid": _PID,
        "state": state,
        "loop_ts_ns": NOW,
        "trading_state": "ACTIVE",
    }
    return Heartbeat(**facts | changes)


def _sees(state: EngineState, request: int = 1, **changes: Any) -> Supervision:
    return Supervision(pid=9, state=state, at=_AT, request=request, **changes)


def _status(**changes: Any) -> EngineStatus:
    """Return the facts of an engine that runs and is well, but for some."""
    facts: dict[str, Any] = {
        "name": "one",
        "state": S.RUNNING,
        "is_alive": True,
        "is_guarded": True,
        "desired": _want(),
        "host": _host(),
        "heartbeat": _beat(),
        "heartbeat_age_secs": 0.4,
        "supervision": _sees(S.RUNNING),
    }
    return EngineStatus(**facts | changes)


_DEAD = {"is_alive": False}
_STOPPED = {"desired": _want(DesiredState.STOPPED, 2)}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, S.RUNNING),
        ({"heartbeat": _beat(S.STARTING)}, S.STARTING),
        ({"heartbeat": _beat(S.STOPPING)}, S.STOPPING),
        ({"heartbeat": _beat(S.STOPPED)}, S.STOPPING),
        ({"supervision": _sees(S.STOPPING)}, S.STOPPING),
        ({"supervision": _sees(S.STOPPING), "is_guarded": False}, S.RUNNING),
        ({"heartbeat": _beat(S.LIQUIDATING), "supervision": _sees(S.STOPPING)}, S.LIQUIDATING),
        ({"heartbeat": None}, S.STARTING),
        ({"heartbeat": _beat(incarnation=2)}, S.STARTING),
        ({"host": None}, S.STARTING),
        ({"heartbeat": None, "host": _host(HostMode.LIQUIDATE)}, S.LIQUIDATING),
        ({"heartbeat": _beat(incarnation=2), "supervision": _sees(S.LIQUIDATING)}, S.LIQUIDATING),
        (_DEAD, S.CRASHED),
        (_DEAD | {"is_guarded": False}, S.CRASHED),
        (_DEAD | {"is_guarded": False} | _STOPPED, S.STOPPED),
        (_DEAD | {"supervision": _sees(S.STARTING)}, S.STARTING),
        (_DEAD | {"supervision": _sees(S.CRASHED)}, S.CRASHED),
        (_DEAD | {"supervision": _sees(S.LIQUIDATING)}, S.LIQUIDATING),
        (_DEAD | {"supervision": _sees(S.FAILED)}, S.FAILED),
        (_DEAD | {"supervision": _sees(S.STOPPED)}, S.STOPPED),
        (_DEAD | {"supervision": _sees(S.FAILED), "desired": _want(request=2)}, S.STARTING),
        (
            _DEAD | {"supervision": _sees(S.FAILED), "desired": _want(request=2), "is_guarded": False},
            S.STOPPED,
        ),
        (_DEAD | {"supervision": _sees(S.FAILED)} | _STOPPED, S.STOPPED),
        (_DEAD | {"supervision": None}, S.STARTING),
        (_DEAD | {"supervision": None, "is_guarded": False}, S.STOPPED),
        (_DEAD | {"supervision": None, "desired": None}, S.STOPPED),
    ],
)
def test_find_state_every_case_is_told_by_who_knows(changes: dict[str, Any], state: EngineState) -> None:
    assert find_state(_status(**changes)) is state


_LATCH = Latch(at=_AT, ts_ns=5, by="bob", reason="too fast", policy=EmergencyPolicy())
_OPEN = StillOpen(kind="position", instrument_id="X", key="1", quantity="2", reason="closed market")
_EXIT = LastExit(at=_AT, incarnation=2, code=-9, reason="was killed by SIGKILL", is_expected=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heartbeat_age_secs": 3.2}, "its last heartbeat is 3 s old: it hangs, or its disk is full"),
        ({"heartbeat": _beat(ts_ns=NOW + 9_000_000_000)}, "its last heartbeat is 9 s ahead of this clock"),
        ({"heartbeat": None}, "it has not been heard yet"),
        ({"heartbeat": _beat(loop_ts_ns=NOW - 4_000_000_000)}, "its main loop has been blocked for 4 s"),
        ({"heartbeat": _beat(lag_ms=1_500.0)}, "its main loop is 1500 ms late"),
        ({"heartbeat": _beat(breach="daily loss")}, "a limit was reached: daily loss"),
        ({"heartbeat": _beat(trading_state="REDUCING")}, "its trading state is REDUCING"),
        ({"heartbeat": _beat(trading_state="")}, "its trading state is not known"),
        ({"heartbeat": _beat(journal_trouble="disk full")}, "its journal cannot be written: disk full"),
        ({"is_guarded": False}, "no guardian watches it: a crash would not be seen"),
        ({"guardian_age_secs": 4.0}, "its guardian does not answer since 4 s"),
        ({"latch": _LATCH}, f"an emergency stop by bob holds since {_AT}: too fast"),
        (
            {"supervision": _sees(S.RUNNING, restarts=["2027-01-15T07:55:00.000Z"], last_exit=_EXIT)},
            "it was started again once of late: the host before was killed by SIGKILL",
        ),
        ({"desired": _want(DesiredState.STOPPED)}, "it runs, and ann wants it to stop"),
        ({"state": S.STARTING}, "it is STARTING"),
        (
            _DEAD
            | {"state": S.FAILED, "supervision": _sees(S.FAILED, message="not started again: too often")},
            "it does not run, and ann wants it to: not started again: too often",
        ),
        (_DEAD | {"state": S.CRASHED, "is_guarded": False}, "no guardian is there to start it again"),
        (_DEAD | {"state": S.STOPPED} | _STOPPED, f"ann stopped it at {_AT}"),
        (_DEAD | {"state": S.STOPPED, "desired": None, "supervision": None}, "it was never started"),
        (
            {"state": S.STOPPING, "supervision": _sees(S.STOPPING, message="asked to end")} | _STOPPED,
            f"it is STOPPING; ann stopped it at {_AT}: asked to end",
        ),
    ],
)
def test_find_faults_each_is_told(changes: dict[str, Any], words: str) -> None:
    faults = find_faults(_status(**changes), NOW)
    assert any(fault.startswith(words) for fault in faults), faults


def test_find_faults_engine_that_is_well_has_none() -> None:
    old = _sees(S.RUNNING, restarts=["2027-01-15T07:49:00.000Z", "nonsense"], last_exit=_EXIT)
    assert find_faults(_status(), NOW) == []
    assert find_faults(_status(supervision=old), NOW) == []
    assert find_faults(_status(heartbeat=_beat(loop_ts_ns=NOW - 1_000_000_000)), NOW) == []
    assert find_faults(_status(guardian_age_secs=2.0), NOW) == []


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (None, "it is not known yet what the emergency stop closed"),
        (
            EmergencyOutcome(latch=_LATCH, shut_ns=6, still_open=[_OPEN], attempts=3),
            "the emergency stop goes on, try 3; 1 still open",
        ),
        (
            EmergencyOutcome(latch=_LATCH, shut_ns=6, settled_ns=7, still_open=[_OPEN, _OPEN]),
            "after the emergency stop 2 still open",
        ),
    ],
)
def test_find_faults_emergency_tells_what_is_open(outcome: EmergencyOutcome | None, words: str) -> None:
    assert find_faults(_status(latch=_LATCH, outcome=outcome), NOW)[1] == words


def test_find_faults_emergency_that_left_nothing_is_told_still() -> None:
    outcome = EmergencyOutcome(latch=_LATCH, shut_ns=6, settled_ns=7)
    assert len(find_faults(_status(latch=_LATCH, outcome=outcome), NOW)) == 1


def test_observe_engine_is_green_only_without_a_reason(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "one")
    never = observe_engine(directory)
    assert (never.state, never.is_green, never.reasons) == (S.STOPPED, False, ["it was never started"])
    directory.save_config(EngineConfig(), by="ann")
    directory.write_desired(_want())
    directory.write_host(_host())
    directory.write_heartbeat(_beat())
    directory.write_supervision(_sees(S.RUNNING))
    with directory.hold_lock("host"), directory.hold_lock("guardian"):
        os.utime(directory.path / "guardian.lock", ns=(NOW, NOW))
        found = observe_engine(directory, now_ns=NOW + 500_000_000)
        assert found.is_green
        assert found.reasons == []
        assert (found.state, found.environment, found.heartbeat_age_secs) == (S.RUNNING, "LIVE", 0.5)
        assert not observe_engine(directory).is_green
    assert observe_engine(directory, now_ns=NOW).state is S.CRASHED
    # The lock is taken again, and all that lies there is still of the host before.
    directory.write_heartbeat(_beat(pid=1))
    with directory.hold_lock("host"):
        found = observe_engine(directory, now_ns=NOW)
        assert (found.state, found.heartbeat) == (S.STARTING, None)


def test_observe_engine_what_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "one")
    directory.save_config(EngineConfig(), by="ann")
    names = ["desired", "host", "heartbeat", "supervision", "latch", "outcome"]
    for name in names:
        (directory.path / f"{name}.json").write_text("{")
    found = observe_engine(directory, now_ns=time.time_ns())
    for name in names:
        assert any(f"{name}.json" in reason for reason in found.reasons), name
    assert any("an emergency stop holds that cannot be read" in reason for reason in found.reasons)
    assert not found.is_green


def test_observe_engine_that_cannot_write_its_heartbeat_is_believed_when_it_is_asked(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "one")
    directory.write_host(_host())
    directory.write_heartbeat(_beat(ts_ns=NOW - 60_000_000_000, pid=os.getpid()))
    told = _beat(journal_trouble="disk full", pid=os.getpid())
    with directory.hold_lock("host"):
        found = observe_engine(directory, now_ns=NOW, told=told)
        other = observe_engine(directory, now_ns=NOW, told=msgspec.structs.replace(told, incarnation=99))
    assert "it answers, but cannot write its heartbeat: its disk may be full" in found.reasons
    assert "its journal cannot be written: disk full" in found.reasons
    assert found.heartbeat == told
    assert any("60 s old" in reason for reason in other.reasons)
