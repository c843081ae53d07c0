from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.live.guarded import GUARD, GuardedEngine, make_engine, wait_for
from workbench.engine_records import EmergencyOutcome, EmergencyPolicy, EmergencyScope
from workbench.errors import ConflictError, InputError, NotFoundError, ServerError
from workbench.live import engine_directory
from workbench.live.emergency import clear_emergency, stop_emergency, stop_every_engine
from workbench.live.engine_directory import EngineDirectory
from workbench.states import EngineState

S = EngineState


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[GuardedEngine]:
    with make_engine(tmp_path / "engines" / "one") as made:
        yield made


def _pull(engine: GuardedEngine, reason: str = "drill") -> EmergencyOutcome:
    return stop_emergency(engine.directory, by="bob", reason=reason, guardian=GUARD)


def test_stop_emergency_host_that_answers_tells_when_its_gate_was_shut(engine: GuardedEngine) -> None:
    engine.start()
    before = time.time_ns()
    outcome = _pull(engine)
    assert before < outcome.shut_ns < time.time_ns()
    assert engine.find_calls("/emergency-stop") == ['{"reason": "drill"} bob']
    latch = engine.directory.load_latch()
    assert latch is not None
    assert (latch.by, latch.reason) == ("bob", "drill")
    wait_for(lambda: engine.directory.is_settled)
    # Again: the first one stays.
    again = _pull(engine, "again")
    assert engine.directory.load_latch() == latch
    assert again is not None
    assert any("an emergency stop by bob holds" in r for r in engine.status.reasons)
    assert not engine.status.is_green


def test_stop_emergency_frozen_host_is_latched_at_once_and_liquidated(engine: GuardedEngine) -> None:
    engine.start()
    engine.kill("host", signal.SIGSTOP)
    pulled = time.monotonic()
    outcome = _pull(engine)
    assert outcome.shut_ns == 0
    assert engine.directory.is_latched
    wait_for(lambda: engine.supervision.last_exit is not None)
    assert time.monotonic() - pulled < 2.0
    wait_for(lambda: engine.directory.is_settled)
    assert engine.count("LIQUIDATE", "settled") == 1


def test_stop_emergency_with_host_and_guardian_frozen_has_one_actor(engine: GuardedEngine) -> None:
    engine.start()
    frozen = engine.kill("guardian", signal.SIGSTOP)
    engine.kill("host", signal.SIGSTOP)
    wait_for(lambda: any(r.startswith("its guardian does not answer") for r in engine.status.reasons))
    pulled = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: _pull(engine), range(3)))
    wait_for(lambda: engine.directory.is_settled)
    assert time.monotonic() - pulled < 8.0
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert not psutil.pid_exists(frozen)
    assert engine.supervision.pid != frozen
    assert (engine.count("LIQUIDATE", "start"), engine.count("LIQUIDATE", "settled")) == (1, 1)
    assert engine.status.state is S.STOPPED


def test_stop_emergency_with_host_and_guardian_dead_closes_what_was_left(engine: GuardedEngine) -> None:
    engine.start()
    engine.kill("guardian")
    engine.kill("host")
    wait_for(lambda: not engine.directory.is_held("host"))
    outcome = _pull(engine)
    assert outcome.latch == engine.directory.load_latch()
    wait_for(lambda: engine.directory.is_settled)
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.status.state is S.STOPPED
    assert engine.count("TRADE", "start") == 1
    settled = _pull(engine)
    assert settled.settled_ns is not None


def test_stop_emergency_without_an_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        stop_emergency(EngineDirectory(tmp_path / "one"), by="bob", reason="drill")
    assert not (tmp_path / "one").exists()


def test_stop_emergency_on_a_full_disk_leaves_an_empty_latch_that_holds(
    engine: GuardedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.start()

    def refuse(path: Path, content: bytes, *, is_durable: bool = True) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(engine_directory, "write_atomically", refuse)
        engine.kill("host", signal.SIGSTOP)
        outcome = _pull(engine)
    assert outcome.latch.by == "bob"
    assert engine.directory.is_latched
    assert not engine.directory.is_settled
    assert any("cannot be read" in r for r in engine.status.reasons)
    wait_for(lambda: engine.count("LIQUIDATE", "start"))


def test_stop_emergency_that_can_be_left_nowhere_raises(
    engine: GuardedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(directory: EngineDirectory, latch: object) -> None:
        raise ServerError("latch.json cannot be written")

    monkeypatch.setattr(EngineDirectory, "write_latch", refuse)
    with pytest.raises(ServerError, match=r"latch\.json"):
        _pull(engine)


def test_stop_emergency_whole_account_of_an_engine_that_never_ran_is_liquidated(tmp_path: Path) -> None:
    policy = EmergencyPolicy(scope=EmergencyScope.ACCOUNT)
    with make_engine(tmp_path / "one", emergency=policy) as engine:
        outcome = _pull(engine)
        assert outcome.latch.policy == policy
        wait_for(lambda: engine.count("LIQUIDATE", "settled"))


def test_stop_every_engine_reaches_all_and_one_failure_keeps_no_other(
    tmp_path: Path, engine: GuardedEngine
) -> None:
    engine.start()
    with make_engine(tmp_path / "engines" / "two") as two:
        two.start()
        two.kill("host", signal.SIGSTOP)
        pulled = time.monotonic()
        found = stop_every_engine(tmp_path / "engines", by="bob", reason="drill", guardian=GUARD)
        assert time.monotonic() - pulled < 3.0
        assert {name: getattr(o, "shut_ns", 0) > 0 for name, o in found.items()} == {
            "one": True,
            "two": False,
        }
        assert two.directory.is_latched
    assert stop_every_engine(tmp_path / "none", by="bob", reason="drill") == {}


def test_clear_emergency_needs_a_reason_and_a_latch(engine: GuardedEngine) -> None:
    with pytest.raises(InputError, match="for a reason"):
        clear_emergency(engine.directory, by="bob", reason=" ")
    with pytest.raises(ConflictError, match="no emergency stop"):
        clear_emergency(engine.directory, by="bob", reason="over")
    engine.latch()
    clear_emergency(engine.directory, by="bob", reason="over")
    assert not engine.directory.is_latched
    line = msgspec.json.decode((engine.directory.path / "cleared.jsonl").read_bytes())
    assert (line["by"], line["reason"], line["latch"]["reason"]) == ("bob", "over", "drill")


def test_clear_emergency_of_a_host_that_lives_is_its_own_affair(engine: GuardedEngine) -> None:
    engine.start()
    _pull(engine)
    wait_for(lambda: engine.directory.is_settled)
    clear_emergency(engine.directory, by="bob", reason="over")
    assert engine.find_calls("/emergency-clear") == ['{"reason": "over"} bob']
    assert not engine.directory.is_latched
