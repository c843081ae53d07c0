"""A restart whose caller dies between the stop and the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.guarded import GUARD, GuardedEngine, make_engine, wait_for
from workbench.engine_records import Desired, DesiredState
from workbench.live import launch
from workbench.live.engine_directory import EngineDirectory
from workbench.live.pending_restart import PendingRestart, has_restart
from workbench.states import EngineState


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[GuardedEngine]:
    with make_engine(tmp_path) as engine:
        yield engine


def test_guardian_starts_what_was_to_be_started_again(engine: GuardedEngine) -> None:
    before = engine.start().host
    assert before is not None
    # As far as it comes before whoever asked for the restart is killed.
    assert engine.stop(restart_version=1).state is EngineState.STOPPED
    engine.kill("guardian")  # And the guardian of that time with it
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.guard()
    wait_for(lambda: engine.status.state is EngineState.RUNNING)
    desired, host = engine.directory.load_desired(), engine.directory.load_host()
    assert desired is not None
    assert host is not None
    assert (desired.by, desired.restart_version) == ("ann", 0)
    assert host.incarnation == before.incarnation + 1


def test_stop_that_comes_after_a_restart_is_the_last_word(engine: GuardedEngine) -> None:
    engine.start()
    engine.stop(restart_version=1)
    assert has_restart(engine.directory.load_desired())
    assert engine.stop().state is EngineState.STOPPED
    wait_for(lambda: not engine.directory.is_held("guardian"))
    assert engine.status.state is EngineState.STOPPED


def test_restart_that_is_seen_through_leaves_nothing_pending(engine: GuardedEngine) -> None:
    engine.start()
    status = launch.restart_engine(engine.directory, by="bob", guardian=GUARD)
    assert status.state is EngineState.RUNNING
    desired = engine.directory.load_desired()
    assert desired is not None
    assert (desired.state, desired.restart_version, desired.by) == (DesiredState.RUNNING, 0, "bob")


def test_start_is_due_five_seconds_later_and_only_if_nothing_else_is_wanted(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "demo")
    directory.create()
    wanted = Desired(
        state=DesiredState.STOPPED,
        config_version=1,
        request=4,
        restart_version=2,
        is_flattening=True,
        by="ann",
        at="",
    )
    directory.write_desired(wanted)
    pending = PendingRestart(directory)
    pending.look(None, 0.0)
    pending.look(wanted, 100.0)
    pending.look(wanted, 104.9)
    with directory.hold_lock("launcher"):
        pending.look(wanted, 105.0)
    assert directory.load_desired() == wanted
    pending.look(wanted, 105.1)
    found = directory.load_desired()
    assert found is not None
    assert (found.state, found.config_version, found.request) == (DesiredState.RUNNING, 2, 5)
    assert not found.is_flattening
    assert not has_restart(found)
    pending.look(wanted, 106.0)  # Of before: it is not given twice
    assert directory.load_desired() == found
