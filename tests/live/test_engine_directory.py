from __future__ import annotations

import os
import shutil
import signal
import string
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine_records import (
    Desired,
    DesiredState,
    EmergencyOutcome,
    EmergencyPolicy,
    Heartbeat,
    HostMode,
    HostRecord,
    Latch,
    Supervision,
)
from workbench.errors import ConflictError, InputError, NotFoundError, ServerError
from workbench.live import engine_directory
from workbench.live.config import EngineConfig
from workbench.live.engine_directory import EngineDirectory, find_engines, make_socket_path
from workbench.states import EngineState

_HOLD = """
import sys
from pathlib import Path
from workbench.live.engine_directory import EngineDirectory
with EngineDirectory(Path(sys.argv[1])).hold_lock(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> EngineDirectory:
    made = EngineDirectory(tmp_path / "one")
    made.create()
    return made


def _latch(ts_ns: int = 1, by: str = "bob") -> Latch:
    return Latch(at="2026-01-01T00:00:00.000Z", ts_ns=ts_ns, by=by, reason="drill", policy=EmergencyPolicy())


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=45)
)  # A path has no slash in a name
def test_engine_directory_takes_plain_names_only(name: str) -> None:
    allowed = set(string.ascii_lowercase + string.digits + "-_")
    is_fine = 0 < len(name) <= 40 and set(name) <= allowed and name[0] not in "-_"
    try:
        found = EngineDirectory(Path("/nowhere") / name if name not in {"", "."} else Path("/"))
    except InputError as e:
        assert not is_fine
        assert e.field == "name"
    except ValueError:
        assert "\0" in name
    else:
        assert is_fine
        assert found.path.parent == Path("/nowhere")


@pytest.mark.parametrize("name", ["..", "a/../..", "é", "A", "-a", "a" * 41, "a\n", "٣"])
def test_engine_directory_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        EngineDirectory(tmp_path / "ENGINES" / "x" / name)


def test_hold_lock_is_one_process_for_its_life_and_asking_disturbs_nobody(directory: EngineDirectory) -> None:
    assert not directory.is_held("host")
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _HOLD, str(directory.path), "host"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child:
        try:
            assert child.stdout.readline() == b"held\n"
            assert directory.is_held("host")
            assert not directory.is_held("guardian")
            process = directory.find_process("host")
            assert process is not None
            assert process.pid == child.pid
            with pytest.raises(ConflictError, match="has a host already"), directory.hold_lock("host"):
                pass
        finally:
            child.send_signal(signal.SIGKILL)
        child.wait()
    assert not directory.is_held("host")
    assert directory.find_process("host") is None
    with directory.hold_lock("host"):
        assert directory.is_held("host")


def test_hold_lock_is_not_missed_because_somebody_asks(directory: EngineDirectory) -> None:
    with directory.hold_lock("host"):
        pass
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            directory.is_held("host")

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(20):
            with directory.hold_lock("host", timeout_secs=5.0):
                pass
    finally:
        is_over.set()
        for asker in askers:
            asker.join()


def test_find_process_of_a_number_that_is_anothers_by_now_is_nobody(directory: EngineDirectory) -> None:
    for content in (f"{os.getpid()}\n", "1\n", "", "x", "9" * 19):
        (directory.path / "host.lock").write_text(content)
        assert directory.find_process("host") is None


def test_hold_lock_without_a_directory_is_an_error(tmp_path: Path) -> None:
    missing = EngineDirectory(tmp_path / "none")
    assert not missing.is_held("host")
    with pytest.raises(ServerError, match="cannot be locked"), missing.hold_lock("host"):
        pass


def test_save_config_versions_have_no_holes_and_never_change(directory: EngineDirectory) -> None:
    assert not directory.has_config
    with pytest.raises(NotFoundError, match="no configuration"):
        directory.load_version()
    currencies = [f"C{i}" for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        numbers = list(
            pool.map(
                lambda c: directory.save_config(EngineConfig(currency=c), by="ann", comment=c), currencies
            )
        )
    assert sorted(numbers) == list(range(1, 13))
    for number, currency in zip(numbers, currencies, strict=True):
        assert directory.load_config(number).currency == currency
        assert directory.load_version(number).comment == currency
    assert [v.version for v in directory.list_versions()] == list(range(12, 0, -1))
    assert directory.load_version().version == 12
    with pytest.raises(NotFoundError, match="no version 13"):
        directory.load_version(13)


def test_load_version_looks_past_what_is_no_version(directory: EngineDirectory) -> None:
    directory.save_config(EngineConfig(), by="ann")
    for name in ("7.json", "0000008.json", "٣٣٣٣٣٣.json", "notes.json", ".000009.json.1-1.tmp"):
        (directory.path / "configs" / name).write_text("{}")
    assert directory.load_version().version == 1
    assert directory.save_config(EngineConfig(), by="ann") == 2


def test_records_come_back_as_they_were_written(directory: EngineDirectory) -> None:
    desired = Desired(state=DesiredState.RUNNING, config_version=1, request=3, by="ann", at="now")
    host = HostRecord(
        pid=1,
        incarnation=2,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="now",
        socket="/x",
    )
    beat = Heartbeat(ts_ns=1, incarnation=2, pid=1, state=EngineState.RUNNING, loop_ts_ns=1)
    supervision = Supervision(pid=1, state=EngineState.CRASHED, at="now", restarts=["now"], request=3)
    outcome = EmergencyOutcome(latch=_latch(), shut_ns=1)
    for load in (
        directory.load_desired,
        directory.load_host,
        directory.load_heartbeat,
        directory.load_supervision,
        directory.load_outcome,
        directory.load_latch,
    ):
        assert load() is None
    directory.write_desired(desired)
    directory.write_host(host)
    directory.write_heartbeat(beat)
    directory.write_supervision(supervision)
    directory.write_outcome(outcome)
    assert directory.load_desired() == desired
    assert directory.load_host() == host
    assert directory.load_heartbeat() == beat
    assert directory.load_supervision() == supervision
    assert directory.load_outcome() == outcome


@given(content=st.binary(max_size=40))
def test_records_that_are_damaged_are_told_from_those_that_are_not_there(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    made = EngineDirectory(tmp_path_factory.getbasetemp() / "damaged")
    made.create()
    (made.path / "latch.json").write_bytes(content)
    with pytest.raises(ServerError, match=r"latch\.json of the engine damaged cannot be read"):
        made.load_latch()
    assert made.is_latched
    assert not made.is_settled


def test_write_latch_of_many_at_once_is_one_and_stays(directory: EngineDirectory) -> None:
    gate = threading.Barrier(8)

    def pull(number: int) -> None:
        gate.wait()
        directory.write_latch(_latch(number, f"trader {number}"))

    for _ in range(10):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(pull, range(1, 9)))
        first = directory.load_latch()
        directory.write_latch(_latch(99))
        assert first is not None
        assert directory.load_latch() == first
        directory.clear_latch()
        assert not directory.is_latched
    assert [p.name for p in directory.path.iterdir()] == []


def test_write_latch_without_room_leaves_one_that_holds(
    directory: EngineDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes, *, is_durable: bool = True) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_directory, "write_atomically", refuse)
    with pytest.raises(ServerError, match="No space left"):
        directory.write_latch(_latch())
    assert directory.is_latched
    assert not directory.is_settled
    directory.clear_latch()
    assert not directory.is_latched


def test_is_settled_is_that_of_this_latch_alone(directory: EngineDirectory) -> None:
    assert not directory.is_settled
    directory.write_outcome(EmergencyOutcome(latch=_latch(1), shut_ns=1, settled_ns=2))
    assert not directory.is_settled
    directory.write_latch(_latch(2))
    assert not directory.is_settled
    directory.write_outcome(EmergencyOutcome(latch=_latch(2), shut_ns=1))
    assert not directory.is_settled
    directory.write_outcome(EmergencyOutcome(latch=_latch(2), shut_ns=1, settled_ns=2))
    assert directory.is_settled
    directory.clear_latch()
    assert directory.load_outcome() is None


def test_create_is_private(directory: EngineDirectory) -> None:
    directory.path.chmod(0o755)
    directory.create()
    assert directory.path.stat().st_mode & 0o777 == 0o700


def test_find_engines_lists_those_with_a_configuration_by_name(tmp_path: Path) -> None:
    assert find_engines(tmp_path / "none") == []
    for name in ("b", "a"):
        EngineDirectory(tmp_path / "engines" / name).save_config(EngineConfig(), by="ann")
    (tmp_path / "engines" / "empty").mkdir()
    (tmp_path / "engines" / "Not One").mkdir()
    (tmp_path / "engines" / "file").write_text("")
    (tmp_path / "elsewhere" / "NO").mkdir(parents=True)
    (tmp_path / "engines" / "link").symlink_to(tmp_path / "elsewhere" / "NO")
    (tmp_path / "engines" / "twice").symlink_to(tmp_path / "engines" / "a")
    assert [d.name for d in find_engines(tmp_path / "engines")] == ["a", "b"]


def test_make_socket_path_is_private_short_and_each_engines_own(tmp_path: Path) -> None:
    runtime = Path("/tmp") / f"wb-{os.getpid()}-{time.time_ns()}"
    deep = tmp_path / ("d" * 60) / ("e" * 60) / ("f" * 60)
    try:
        first = make_socket_path(EngineDirectory(deep / "one"), runtime)
        assert first == make_socket_path(EngineDirectory(deep / "one"), runtime)
        assert first != make_socket_path(EngineDirectory(deep / "two"), runtime)
        assert len(os.fsencode(first)) <= 100
        assert first.parent.stat().st_mode & 0o777 == 0o700
        first.parent.rmdir()
        first.parent.symlink_to(tmp_path)
        with pytest.raises(ServerError, match="not a directory of yours"):
            make_socket_path(EngineDirectory(deep / "one"), runtime)
        first.parent.unlink()
        with pytest.raises(ServerError, match="too long for a socket"):
            make_socket_path(EngineDirectory(deep / "one"), deep)
    finally:
        shutil.rmtree(runtime)
