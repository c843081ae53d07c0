"""What the store does when its database does not do its part, or its process is killed."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres
from tests.store.jobs import build_job
from workbench.errors import ConflictError, StoreError
from workbench.states import JobState
from workbench.store import JobQuery, Store


@contextmanager
def _one_line(match: str) -> Iterator[None]:
    with pytest.raises(StoreError, match=match) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_sqlite_files_are_private_and_safe(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    old = os.umask(0o022)
    try:
        store = Store.open(sqlite_url)
        store.add_job(build_job("a"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        with store._database.read() as connection:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        store.close()
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm"], 0o600)
    assert found == ["wal", 2, 1, 10_000]
    # Closed for good: everything is in the one file.
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_postgresql_connection_has_deadlines(postgresql_url: str) -> None:
    store = Store.open(postgresql_url)
    with store._database.read() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]
    store.close()

    assert found == ["30s", "10s", "1min"]


def test_postgresql_is_reached_through_its_socket(postgres: Postgres, postgresql_url: str) -> None:
    store = Store.open(postgres.socket_url(postgresql_url.rpartition("/")[2]))

    assert store.add_job(build_job("a")).seq == 1
    store.close()


def test_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()

    with _one_line("are closed"):
        store.list_jobs(JobQuery())
    with _one_line("are closed"):
        store.add_job(build_job("a"))


def test_unreachable_server_is_named_without_its_password() -> None:
    with socket.socket() as probe:  # Bound, but nobody listens
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        for url in (
            f"postgresql://ann:s3cret@127.0.0.1:{port}/records",
            f"postgresql://127.0.0.1:{port}/records?user=ann&password=s3cret",
        ):
            with _one_line(
                rf"postgresql://127\.0\.0\.1:{port}/records cannot be opened: .*refused.*PostgreSQL runs"
            ):
                Store.open(url)


def test_missing_database_and_bad_option_are_one_line(postgres: Postgres) -> None:
    with _one_line('database "no_such" does not exist'):
        Store.open(postgres.url("no_such"))
    with _one_line(r'invalid connection option "no_such_\*\*\*"'):
        Store.open(f"{postgres.url('postgres')}?no_such_s3cret=1&password=s3cret")


def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"important notes\n" * 500)

    with _one_line("file is not a database; WORKBENCH_DATABASE names another kind of file"):
        Store.open(f"sqlite:///{path}")

    assert path.read_bytes() == b"important notes\n" * 500


def test_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    for place in ("file/records.sqlite", "folder", "/proc/nowhere/records.sqlite"):
        with _one_line("cannot be opened: "):
            Store.open(f"sqlite:///{tmp_path / place}")


def _run(program: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_full_disk_is_one_line_and_keeps_what_was_there(sqlite_url: str) -> None:
    # Beyond RLIMIT_FSIZE a write fails as on a full disk, everywhere and without being root.
    program = """
import resource, signal, sys
from workbench.errors import StoreError
from workbench.records import JobRecord
from workbench.store import Store
store = Store.open(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
for number in range(1000):
    try:
        store.add_job(JobRecord(id=f"j{number}", kind="backtest", created_at="2026", spec={"x": "y" * 5000}))
    except StoreError as error:
        print(error)
        print(number, len(store.find_ids()))
        break
"""
    message, counts = _run(program, sqlite_url).splitlines()
    written, seen = map(int, counts.split())

    assert "cannot be written: " in message
    assert "disk" in message
    store = Store.open(sqlite_url)
    assert written == seen == len(store.find_ids()) == store.find_event_bounds()[1] > 0
    store.add_job(build_job("after"))
    store.close()


def test_disk_that_nobody_may_write_is_one_line(tmp_path: Path, sqlite_url: str) -> None:
    Store.open(sqlite_url).close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.chmod(0o444)
    path.parent.chmod(0o555)
    program = """
import sys
from workbench.errors import StoreError
from workbench.store import Store
try:
    Store.open(sys.argv[1])
except StoreError as error:
    print(error)
"""
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:  # Root may write everywhere: take that away
        if shutil.which("setpriv") is None:
            pytest.skip("root, and there is no setpriv")
        drop = "--bounding-set=-dac_override,-dac_read_search"
        before = ("setpriv", drop, "--inh-caps=-dac_override,-dac_read_search")
    try:
        output = _run(program, sqlite_url, before=before)
    finally:
        path.parent.chmod(0o755)

    assert "who may write the file" in output
    assert output.count("\n") == 1


def test_busy_database_is_one_line_after_its_deadline(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.address.WAIT_SECS", 0.1)
    store = Store.open(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with _one_line("database is locked; another process is writing"):
            store.add_job(build_job("a"))
        assert store.find_ids() == set()
        other.rollback()

    assert store.add_job(build_job("a")).seq == 1
    store.close()


def test_locked_row_is_one_line_after_its_deadline(postgresql_url: str) -> None:
    store = Store.open(f"{postgresql_url}?options=-c%20lock_timeout%3D100ms")
    store.add_job(build_job("a"))
    with psycopg.connect(postgresql_url) as other:
        other.execute("SELECT * FROM jobs FOR UPDATE")
        with _one_line("cannot be written: .*lock timeout"):
            store.update_job("a", state=JobState.RUNNING)
        other.rollback()

    assert store.update_job("a", state=JobState.RUNNING).seq == 2
    store.close()


def test_lost_connections_are_made_anew(postgresql_url: str) -> None:
    store = Store.open(postgresql_url)
    store.add_job(build_job("a"))
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'workbench' "
            "AND datname = current_database()"
        )

    assert store.add_job(build_job("b")).seq == 2
    assert store.find_ids() == {"a", "b"}
    store.close()


def test_killed_writer_leaves_whole_records_only(sqlite_url: str) -> None:
    program = """
import sys
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store import Store
store = Store.open(sys.argv[1])
for number in range(100_000):
    job_id = f"{sys.argv[2]}-{number}"
    store.add_job(JobRecord(id=job_id, kind="backtest", created_at="2026", spec={"x": "y" * 9000}))
    store.update_job(job_id, state=JobState.RUNNING, point={"number": number})
    print(job_id, flush=True)
"""
    told: set[str] = set()
    for turn, lines in enumerate((3, 17, 40)):
        child = subprocess.Popen(
            [sys.executable, "-c", program, sqlite_url, str(turn)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        told |= {child.stdout.readline().strip() for _ in range(lines)}
        child.kill()
        told |= {line.strip() for line in child.stdout if line.endswith("\n")}
        child.wait(30)
        child.stdout.close()

        store = Store.open(sqlite_url)
        ids = store.find_ids()
        assert told <= ids
        assert len(ids - told) <= turn + 1  # What was written, but not told any more
        events = store.find_events(0, limit=10_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        latest = {event.job.id: event.job for event in events}
        assert latest.keys() == ids
        for job_id in ids:
            job = store.get_job(job_id)
            assert job.spec == {"x": "y" * 9000}
            assert (job.state, job.seq, job.point) == (
                latest[job_id].state,
                latest[job_id].seq,
                latest[job_id].point,
            )
            assert job.state is JobState.RUNNING or job_id not in told
        with store._database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        store.close()


def test_failed_write_leaves_nothing_and_lets_the_next_one_in(store: Store) -> None:
    store.add_job(build_job("a", state=JobState.COMPLETED))

    for _ in range(20):  # More than there are connections
        with pytest.raises(ConflictError):
            store.update_job("a", state=JobState.RUNNING)

    assert store.find_event_bounds() == (1, 1)
    assert store.add_job(build_job("b")).seq == 2
