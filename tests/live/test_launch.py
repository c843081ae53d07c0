from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.live.guarded import CONFIG, GUARD, GuardedEngine, make_engine, wait_for
from workbench.engine_records import DesiredState
from workbench.errors import ConflictError, NotFoundError, RunError, ServerError
from workbench.live import launch
from workbench.live.config import StopPolicy
from workbench.live.engine_directory import EngineDirectory
from workbench.states import EngineState

S = EngineState


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[GuardedEngine]:
    with make_engine(tmp_path / "one") as made:
        yield made


def test_start_engine_twenty_at_once_make_one_host_and_one_guardian(engine: GuardedEngine) -> None:
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: engine.start(), range(20)))
    assert {s.state for s in found} == {S.RUNNING}
    assert engine.count("TRADE", "start") == 1
    assert len(engine.find_processes()) == 2
    desired = engine.directory.load_desired()
    assert desired is not None
    assert (desired.state, desired.request, desired.by, desired.config_version) == (
        DesiredState.RUNNING,
        1,
        "ann",
        1,
    )


def test_start_engine_that_runs_another_version_is_refused(engine: GuardedEngine) -> None:
    engine.start(config_version=1)
    engine.directory.save_config(CONFIG, by="ann")
    assert engine.start().state is S.RUNNING
    assert engine.start(config_version=1).state is S.RUNNING
    with pytest.raises(ConflictError, match="runs version 1") as caught:
        engine.start(config_version=2)
    assert "restart" in caught.value.advice
    assert engine.count("TRADE", "start") == 1


def test_start_engine_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no configuration"):
        launch.start_engine(EngineDirectory(tmp_path / "one"), by="ann")


def test_start_engine_that_cannot_come_up_tells_what_it_printed(engine: GuardedEngine) -> None:
    engine.plan(exits=[2])
    with pytest.raises(RunError, match="planned exit 1") as caught:
        engine.start()
    assert "output.log" in caught.value.advice
    assert "ValueError: planned exit 1" in caught.value.advice


def test_start_engine_that_takes_too_long_goes_on_starting(engine: GuardedEngine) -> None:
    engine.plan(is_slow=True)
    with pytest.raises(RunError, match="not up yet: it is STARTING"):
        engine.start(timeout_secs=1.0)
    assert engine.status.state is S.STARTING


def test_start_engine_whose_guardian_cannot_start_tells_why(engine: GuardedEngine) -> None:
    with pytest.raises(ServerError, match="No such file"):
        launch.start_engine(engine.directory, by="ann", guardian=("/nonexistent/guardian",))
    broken = (sys.executable, "-P", "-c", "raise SystemExit('no luck')")
    with pytest.raises(ServerError, match="no luck"):
        launch.start_engine(engine.directory, by="ann", guardian=broken)


def test_start_engine_goes_on_when_its_guardian_is_killed(engine: GuardedEngine) -> None:
    engine.plan(is_slow=True)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(engine.start)
        engine.kill("guardian")
        wait_for(lambda: engine.directory.is_held("guardian"))
        engine.plan()
        wait_for(lambda: engine.directory.is_held("host"))
        engine.kill("host")
        assert started.result(timeout=20).state is S.RUNNING


def test_start_engine_in_an_emergency_is_refused_until_it_has_settled(engine: GuardedEngine) -> None:
    engine.start()
    engine.plan(settles=False)
    engine.stop()
    engine.latch()
    with pytest.raises(ConflictError, match="has not settled"):
        engine.start()
    assert not engine.directory.is_held("host")


def test_start_engine_while_it_is_stopped_is_refused(engine: GuardedEngine) -> None:
    engine.plan(ignores_stop=True)
    engine.start()
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(engine.stop)
        wait_for(lambda: engine.find_calls("/stop"))
        with pytest.raises(ConflictError, match="just being stopped"):
            engine.start()
        assert stopped.result().state is S.STOPPED


def test_stop_engine_with_its_guardian_dead_is_stopped_by_another(tmp_path: Path) -> None:
    with make_engine(tmp_path / "one", stop=StopPolicy()) as engine:
        engine.start()
        engine.kill("guardian")
        assert engine.stop(is_flattening=True).state is S.STOPPED
        assert engine.find_calls("/stop")[0] == '{"is_flattening": true} ann'


def test_stop_engine_with_its_guardian_frozen_is_stopped_by_another(engine: GuardedEngine) -> None:
    engine.plan(ignores_stop=True, is_deaf=True)
    engine.start()
    frozen = engine.kill("guardian", signal.SIGSTOP)
    found = engine.stop()
    assert found.state is S.STOPPED
    assert engine.supervision.pid != frozen
    assert (
        len(engine.find_processes()) <= 1
    )  # The frozen one is gone; the one that followed may be about to leave


def test_stop_engine_that_does_not_run_is_done_at_once(engine: GuardedEngine) -> None:
    assert engine.stop().reasons == ["it was never started"]
    assert engine.directory.load_desired() is None
    engine.start()
    first = engine.stop()
    assert engine.stop().desired == first.desired
    assert first.reasons[0].startswith("ann stopped it at ")
    assert engine.count("TRADE", "start") == 1


def test_stop_engine_that_is_asked_to_flatten_later_is_told_again(tmp_path: Path) -> None:
    patient = StopPolicy(timeout_secs=20.0, kill_secs=1.0)
    with make_engine(tmp_path / "one", stop=patient) as engine:
        engine.plan(ignores_stop=True)
        engine.start()
        with pytest.raises(ServerError, match="not down yet"):
            engine.stop(timeout_secs=0.2)
        wait_for(lambda: engine.find_calls("/stop"))
        with pytest.raises(ServerError, match="STOPPING"):
            engine.stop(timeout_secs=0.2, is_flattening=True)
        wait_for(lambda: len(engine.find_calls("/stop")) == 2)
        assert "true" in engine.find_calls("/stop")[1]


def test_restart_engine_runs_the_last_version_in_a_new_host(engine: GuardedEngine) -> None:
    engine.start()
    pid = engine.find_pid("host")
    number = engine.directory.save_config(msgspec.structs.replace(CONFIG, currency="EUR"), by="ann")
    status = launch.restart_engine(engine.directory, by="bob", guardian=GUARD)
    assert status.state is S.RUNNING
    assert status.desired is not None
    assert (status.desired.config_version, status.desired.by) == (number, "bob")
    assert engine.find_pid("host") != pid
    with pytest.raises(NotFoundError, match="no version 9"):
        launch.restart_engine(engine.directory, by="bob", config_version=9, guardian=GUARD)
    assert engine.directory.is_held("host")


def test_ensure_guardian_for_an_engine_that_is_stopped_leaves_nothing(engine: GuardedEngine) -> None:
    assert engine.guard()
    wait_for(lambda: not engine.directory.is_held("guardian"))
    wait_for(lambda: not engine.find_processes())  # It lets go of the lock before it ends
