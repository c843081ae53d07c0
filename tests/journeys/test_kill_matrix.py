"""
The kill matrix: whatever an engine depends on dies, and the engine trades on with its books in order.

A real engine trades through a real server; somebody listens from the first event on. After each death the books are
kept once more from the journal, and compared with what the engine, the listener and everybody else say.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
import pytest

from tests.client.conftest import end_server, make_settings
from tests.conftest import require_or_skip
from tests.journeys.books import Books, check_answers, check_stream, keep_books, read_journal
from tests.journeys.kernels import run_kernel, run_voila
from tests.live.engines import ROOT, build_catalog, build_config, build_strategy
from tests.redis import Redis, find_redis, start_redis
from tests.ui.engine_desks import end_engine
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.client.engine import Engine
from workbench.client.engine_events import Item, Link
from workbench.config import Settings
from workbench.engine_records import EngineEvent
from workbench.errors import ConfirmationRequiredError, WorkbenchError
from workbench.live.engine_directory import EngineDirectory

DEADLINE_SECS = 40.0
REATTACH_SECS = 2.0
SEEN_SECS = 3.0
KILLS = 1 + int(os.environ.get("WORKBENCH_COUNT") or 0) // 20
"""How often each of them dies: once, and in the soak more often."""


def wait_until(condition: Callable[[], Any], what: str, secs: float = DEADLINE_SECS) -> Any:
    deadline = time.monotonic() + secs
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)
    return found


class Desk:
    """An engine that trades, its client, and a listener that was there from the first event on."""

    def __init__(self, client: Client, directory: EngineDirectory) -> None:
        self.client = client
        self.directory = directory
        self.engine: Engine = client.engine(directory.name)
        self.items: list[Item] = []
        self._stack = contextlib.ExitStack()
        self._stack.callback(end_engine, directory)
        self._holds = 0

    def start(self) -> None:
        self.engine.start()
        self._stack.enter_context(self.engine.listen(self.items.append, after=0))
        self.wait_for_fills(3)

    def close(self) -> None:
        self._stack.close()

    @property
    def heard(self) -> list[EngineEvent]:
        return [item for item in self.items.copy() if isinstance(item, EngineEvent)]

    def count_heard(self, name: str) -> int:
        return sum(e.name == name for e in self.heard)

    def find_heard(self, name: str) -> list[Any]:
        return [msgspec.json.decode(e.body) for e in self.heard if e.name == name]

    def wait_for_fills(self, count: int) -> None:
        """Wait until so many more orders were filled, as the listener heard."""
        before = self.count_heard("OrderFilled")
        wait_until(lambda: self.count_heard("OrderFilled") >= before + count, f"{count} more fills")

    def kill(self, role: Any) -> int:
        process = wait_until(lambda: self.directory.find_process(role), f"a {role}")
        os.kill(process.pid, signal.SIGKILL)
        return int(process.pid)

    def find_pid(self, role: Any) -> int:
        process = self.directory.find_process(role)
        return 0 if process is None else process.pid

    def find_reasons(self) -> list[str]:
        return self.engine.status().status.reasons

    def check(self) -> Books:
        """Halt, keep the books, compare everybody's with them, and let the engine trade on."""
        self._holds += 1
        word = f"books {self._holds} of {os.getpid()}"
        self.engine.set_trading_state("HALTED", reason=word)
        wait_until(self._is_quiet, "orders that are settled")
        word = f"{word}, now"
        self.engine.set_trading_state("HALTED", reason=word)
        # What is heard after all that is heard after all that.
        told = wait_until(
            lambda: [e for e in self.heard if e.name == "state" and word.encode() in bytes(e.body)], word
        )
        events = [e for e in read_journal(self.directory.journal) if e.seq <= told[-1].seq]
        books = keep_books(events)
        check_stream([e for e in self.heard if e.seq <= told[-1].seq], events)
        engine = self.engine
        check_answers(
            books,
            positions=engine.positions(),
            orders=[o for o in engine.orders(is_open=True) if o.status != "INITIALIZED"],
            fills=engine.fills(),
            accounts=engine.accounts(),
        )
        return books

    def resume(self) -> None:
        """Leave HALTED, as a person does who was asked."""
        try:
            self.engine.set_trading_state("ACTIVE")
        except ConfirmationRequiredError as e:
            self.engine.set_trading_state("ACTIVE", confirm=e.confirm_token)
        self.wait_for_fills(3)

    def _is_quiet(self) -> bool:
        return all(o.status in {"ACCEPTED", "INITIALIZED"} for o in self.engine.orders(is_open=True))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Return a workspace with a catalog; whatever runs for it is ended with its tests."""
    settings = make_settings(tmp_path_factory.mktemp("matrix"))
    # The path of a socket has to be short.
    runtime = Path(tempfile.mkdtemp(prefix="wb"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        build_catalog(settings.catalog, count=30_000)
        try:
            yield settings
        finally:
            end_server(settings)
            shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    with connect(settings=settings) as client:
        yield client


@pytest.fixture(scope="module")
def desk(client: Client, settings: Settings) -> Iterator[Desk]:
    """Return the engine that outlives everybody: its tests share it, in any order."""
    restart = {"most": 1_000, "backoff_secs": 0.1}
    strategy = build_strategy(every=5, is_resting=True)
    with make_desk(client, settings, "default", strategy, restart=restart) as desk:
        yield desk


@contextlib.contextmanager
def make_desk(
    client: Client, settings: Settings, name: str, *strategies: Any, node: Any = None, **fields: Any
) -> Iterator[Desk]:
    """Start an engine, and stop it afterwards."""
    directory = EngineDirectory(settings.engines / name)
    config = build_config(settings.catalog, *strategies, health={"min_disk_free_bytes": 0}, **fields)
    config.node.update(node or {})
    directory.save_config(config, by="tester")
    desk = Desk(client, directory)
    try:
        desk.start()
        yield desk
    finally:
        desk.close()


def test_kernel_that_dies_leaves_the_engine_alone(desk: Desk, settings: Settings) -> None:
    with run_kernel(settings.workspace) as kernel:
        kernel.run(
            """
            import time, workbench
            from workbench.ui import EngineControlPanel
            from workbench.ui.engine_feed import EngineFeed
            client = workbench.connect()
            panel = EngineControlPanel(client)
            feed = EngineFeed.of(client)
            feed.subscribe(lambda: None)
            def know():
                return feed.read(lambda book: (book.seq, set(book.fills), sorted(book.positions)))
            deadline = time.monotonic() + 30
            while not know()[1]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            client.engine().set_trading_state("REDUCING", reason="from a notebook")
            client.engine().set_trading_state("ACTIVE", reason="from a notebook")
            """
        )
        known = set(msgspec.json.decode(kernel.run("import json; print(json.dumps(list(know()[1])))")))
        desk.wait_for_fills(3)
        kernel.kill()
        desk.wait_for_fills(5)
        books = desk.check()
    assert known
    assert known <= books.trades.keys()
    assert any("from a notebook" in body["reason"] for body in desk.find_heard("state"))
    desk.resume()


def test_voila_that_dies_leaves_the_engine_alone(desk: Desk, settings: Settings, tmp_path: Path) -> None:
    with run_voila(settings.workspace, tmp_path) as voila:
        page = wait_until(voila.load_page, "the page")
        assert "application/vnd.jupyter.widget-view+json" in page
        kernels = wait_until(voila.find_kernels, "the kernel of the page")
        desk.wait_for_fills(3)
        voila.kill()
        desk.wait_for_fills(5)
        desk.check()
    # Their server is gone: nobody needs them.
    _, left = psutil.wait_procs(kernels, timeout=10)
    for kernel in left:
        kernel.kill()
    assert not left
    desk.resume()


@pytest.mark.parametrize("turn", range(KILLS))
def test_server_that_dies_is_followed_by_one_that_loses_nothing(
    desk: Desk, settings: Settings, turn: int
) -> None:
    host = desk.find_pid("host")
    pid = desk.client.health()["pid"]
    lost = len(desk.items)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: any(isinstance(i, Link) and not i.is_server for i in desk.items[lost:]), "its loss")
    with connect(settings=settings) as client:
        up = time.monotonic()
        report = client.engine().status()
        fresh: list[Item] = []
        with client.engine().listen(fresh.append, after=0):
            wait_until(lambda: any(isinstance(i, EngineEvent) for i in fresh), "events", REATTACH_SECS)
        secs = time.monotonic() - up
    found = wait_until(
        lambda: [i for i in desk.items[lost:] if isinstance(i, EngineEvent)], "events for who had listened"
    )
    print(f"a new server had the engine {secs:.3f} s after it was up")  # noqa: T201
    assert secs < REATTACH_SECS
    assert report.status.is_alive
    assert report.facts is not None
    assert found
    assert desk.find_pid("host") == host
    desk.wait_for_fills(5)
    desk.check()
    desk.resume()


@pytest.mark.parametrize("turn", range(KILLS))
def test_guardian_that_dies_is_followed_by_another_that_guards(desk: Desk, turn: int) -> None:
    before = desk.kill("guardian")
    began = time.monotonic()
    after = wait_until(lambda: (pid := desk.find_pid("guardian")) != before and pid, "another guardian")
    print(f"another guardian was there after {time.monotonic() - began:.2f} s")  # noqa: T201
    assert desk.find_pid("host")
    desk.check()
    desk.resume()
    # It is as good as the one before.
    host = desk.kill("host")
    wait_until(lambda: (pid := desk.find_pid("host")) != host and pid, "another host")
    assert desk.find_pid("guardian") == after
    desk.wait_for_fills(3)
    desk.check()
    desk.resume()


@pytest.mark.parametrize("turn", range(KILLS))
def test_host_that_dies_is_followed_by_one_with_what_it_held(desk: Desk, turn: int) -> None:
    # Positions that stay, so that what comes after can be compared with what was before.
    before = desk.check()
    balances = [a.balances[0].total for a in desk.engine.accounts()]
    desk.kill("host")
    began = time.monotonic()
    wait_until(lambda: not desk.engine.status().status.is_alive, "its death to be seen", SEEN_SECS)
    seen = time.monotonic() - began
    wait_until(lambda: _find_state(desk) == "RUNNING", "another host")
    back = time.monotonic() - began
    print(f"its death was seen after {seen:.2f} s, another ran after {back:.2f} s")  # noqa: T201
    # What people asked for holds: nothing was traded meanwhile.
    assert _find_trading_state(desk) == "HALTED"
    after = desk.check()
    assert after.trades == before.trades
    assert after.held == before.held
    assert after.open_orders == set()
    assert [a.balances[0].total for a in desk.engine.accounts()] == balances
    assert any("started again" in reason for reason in desk.find_reasons())
    desk.resume()
    # In the middle of it all, and what was asked for in the last moment holds, too.
    wait_until(lambda: b"ACTIVE" in desk.directory.gate.read_bytes(), "the gate's memory")
    desk.engine.set_trading_state("HALTED", reason="the last word")
    host = desk.kill("host")
    wait_until(lambda: desk.find_pid("host") not in {0, host}, "another host")
    wait_until(lambda: _find_state(desk) == "RUNNING", "another host that runs")
    assert _find_trading_state(desk) == "HALTED"
    desk.check()
    desk.resume()


def _find_state(desk: Desk) -> str:
    return desk.engine.status().status.state


def _find_trading_state(desk: Desk) -> str:
    heartbeat = desk.engine.status().status.heartbeat
    return "" if heartbeat is None else heartbeat.trading_state


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    program = find_redis()
    if program is None:
        require_or_skip("redis", "there is no redis-server; install Debian's package redis-server")
    with start_redis(program) as server:
        yield server


def test_redis_that_dies_is_told_of_and_no_risk_is_taken_without_it(
    client: Client, settings: Settings, redis: Redis
) -> None:
    strategy = build_strategy(every=5, is_resting=True)
    policies: dict[str, Any] = {
        "restart": {"most": 1_000, "backoff_secs": 0.1},
        "stop": {"timeout_secs": 2.0, "kill_secs": 1.0},
    }
    node = {"cache": {"database": redis.build_database()}}
    with make_desk(client, settings, "redis", strategy, node=node, **policies) as desk:
        # Restarted with it: what the venue held, and what the strategy saved.
        wait_until(lambda: b"strategies" in redis.ask("KEYS", "*state"), "the state of the strategy")
        before = desk.check()
        desk.kill("host")
        wait_until(lambda: desk.count_heard("SandboxRestored") == 1, "another host")
        wait_until(lambda: _find_state(desk) == "RUNNING", "another host that runs")
        after = desk.check()
        assert (after.held, after.said, after.open_orders) == (before.held, before.said, set())
        # It was told the whole story once more, and nothing of what no venue knows any more.
        wait_until(lambda: _find_beginnings(redis) == {b"OrderInitialized"}, "orders with a beginning")
        desk.resume()

        redis.kill()
        began = time.monotonic()
        wait_until(lambda: desk.count_heard("DatabaseLost"), "the alarm", SEEN_SECS)
        print(f"the loss of Redis was told after {time.monotonic() - began:.2f} s")  # noqa: T201
        wait_until(lambda: _says(desk, "Redis"), "the light to say it")
        wait_until(lambda: _says(desk, "REDUCING"), "the gate to let no risk through")
        held = _find_exposure(desk)
        denied = desk.count_heard("OrderDenied")
        wait_until(lambda: desk.count_heard("OrderDenied") > denied + 3, "denials")
        assert _find_exposure(desk) <= held
        desk.check()

        redis.start()
        wait_until(lambda: desk.count_heard("DatabaseBack"), "its return to be told")
        desk.resume()
        wait_until(lambda: not _says(desk, "Redis"), "the light")

        # The host dies as well, after Redis has missed something: nobody believes what it says.
        desk.kill("host")
        wait_until(lambda: desk.count_heard("SandboxRestored") == 2, "another host")
        desk.wait_for_fills(3)
        desk.check()

        # Without Redis nothing is started, and that is said at once; what runs is stopped in time all the same.
        redis.kill()
        wait_until(lambda: desk.count_heard("DatabaseLost") == 2, "the alarm")
        began = time.monotonic()
        assert desk.engine.stop().state == "STOPPED"
        assert time.monotonic() - began < 10.0
        began = time.monotonic()
        with pytest.raises(WorkbenchError, match=rf"Redis at 127.0.0.1:{redis.port} does not answer"):
            desk.engine.start()
        assert time.monotonic() - began < SEEN_SECS
        assert not desk.directory.is_held("host")
        redis.start()
        desk.engine.start()
        desk.check()
        desk.resume()


def _find_beginnings(redis: Redis) -> set[bytes]:
    """Return which events the orders in Redis begin with."""
    keys = re.findall(rb"trader-REDIS-001:orders:[\w-]+", redis.ask("KEYS", "*:orders:*"))
    found = [re.search(rb"Order[A-Z][a-z]+", redis.ask("LINDEX", key.decode(), "0")) for key in keys]
    return {match[0] if match else b"" for match in found}


def _says(desk: Desk, word: str) -> bool:
    return any(word in reason for reason in desk.find_reasons())


def _find_message(desk: Desk) -> str:
    supervision = desk.engine.status().status.supervision
    return "" if supervision is None else supervision.message


def _find_exposure(desk: Desk) -> Decimal:
    return sum((Decimal(p.quantity) for p in desk.engine.positions()), Decimal(0))


def test_full_disk_lets_no_risk_through_and_loses_nothing(client: Client, settings: Settings) -> None:
    directory = EngineDirectory(settings.engines / "disk")
    strategy = build_strategy(every=5, is_resting=True)
    with SmallDisk(directory) as disk, make_desk(client, settings, "disk", strategy) as desk:
        host = desk.find_pid("host")
        disk.fill(host)
        began = time.monotonic()
        wait_until(lambda: _says(desk, "journal cannot be written"), "the light to say it")
        print(f"a full disk was told after {time.monotonic() - began:.2f} s")  # noqa: T201
        wait_until(lambda: _says(desk, "REDUCING"), "the gate to let no risk through")
        held, heard = _find_exposure(desk), len(desk.heard)
        # It lives, for seconds.
        wait_until(lambda: _count_denials(desk) > 30, "denials")
        assert _find_exposure(desk) <= held
        # Nobody is told what is not on disk.
        assert len(desk.heard) - heard <= 1
        assert desk.find_pid("host") == host

        disk.free(host)
        wait_until(lambda: desk.count_heard("JournalResumed"), "the journal to go on")
        desk.resume()
        wait_until(lambda: not _says(desk, "journal"), "the light")
        desk.check()
        assert desk.find_pid("host") == host


def _count_denials(desk: Desk) -> int:
    facts = desk.engine.status().facts
    return 0 if facts is None else sum(facts["trading"]["denials"].values())


class SmallDisk:
    """A disk for the directory of an engine; where none can be mounted, a limit to what its host may write."""

    def __init__(self, directory: EngineDirectory) -> None:
        self._path = directory.path
        self._ballast = directory.path / "ballast"
        self._is_mounted = False

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(self._path)]
        self._is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_mounted:
            subprocess.run(["umount", "--lazy", str(self._path)], check=True)

    def fill(self, pid: int) -> None:
        if not self._is_mounted:
            size = max(path.stat().st_size for path in self._path.glob("journal.sqlite*"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4_096)):
                pass

    def free(self, pid: int) -> None:
        if self._is_mounted:
            self._ballast.unlink()
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_strategy_that_loops_forever_is_seen_and_its_engine_closed_from_outside(
    client: Client, settings: Settings
) -> None:
    looper = build_strategy("LateLooper", every=5, is_resting=True)
    with make_desk(client, settings, "loop", looper) as desk:
        host = desk.find_pid("host")
        wait_until(lambda: _says(desk, "main loop has been blocked"), "the light to say it")
        wait_until(lambda: "main loop is blocked" in _find_message(desk), "the guardian to say it")
        assert desk.find_pid("host") == host
        status = desk.engine.status().status
        assert not status.is_green

        began = time.monotonic()
        desk.engine.emergency_stop(reason="it loops")
        wait_until(lambda: desk.find_pid("host") != host, "the guardian to kill it")
        print(f"an engine that loops was killed {time.monotonic() - began:.2f} s after the stop")  # noqa: T201
        wait_until(lambda: desk.directory.is_settled, "everything to be closed")
        print(f"and closed after {time.monotonic() - began:.2f} s")  # noqa: T201
        wait_until(lambda: not desk.directory.is_held("host"), "the end of what closed it")
        outcome = desk.directory.load_outcome()
        assert outcome is not None
        assert outcome.still_open == []
    events = read_journal(desk.directory.journal)
    books = keep_books(events)
    assert not any(books.held.values())
    assert books.open_orders == set()
    assert books.trades
