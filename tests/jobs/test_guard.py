from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.api.serving import build_settings
from tests.jobs.walks import wait_until
from workbench.api.app import build_app
from workbench.api.backtests import PREFIX
from workbench.api.server import _configure
from workbench.errors import ServerError
from workbench.jobs.channel import Finished, Message
from workbench.jobs.directory import JobDirectory
from workbench.jobs.guard import RemoteOrder, guard, interrupt_all
from workbench.jobs.links import Call, Links
from workbench.jobs.pool import LocalPool, Order
from workbench.jobs.results import ResultStore
from workbench.jobs.switch import Switch
from workbench.jobs.watch import Limits
from workbench.jobs.worker import Outcome
from workbench.records import Inspection, Progress
from workbench.states import JobState
from workbench.store.store import Store

HERE = Path(__file__).parent
JOB = "20261122-101010-abcdef"
LONG = 1_000_000


class Ear:
    """Keeps what is heard of a job."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.inspections: list[Inspection] = []

    def note_progress(self, job_id: str, progress: Progress) -> None:
        self.progress.append(progress)

    def note_inspection(self, job_id: str, inspection: Inspection) -> None:
        self.inspections.append(inspection)

    def note_end(self, job_id: str, outcome: Outcome) -> None:
        raise AssertionError("a launcher tells this, not the lines")


class Side:
    """A server that waits for guards, and one guard at a time on a thread."""

    def __init__(self, root: Path, store: Store, pool: LocalPool, threads: ThreadPoolExecutor) -> None:
        self.root = root
        self.results = f"file://{root}/results"
        self.ends: SimpleQueue[tuple[str, Outcome]] = SimpleQueue()
        self.links = Links(self._note_end, deadline_secs=30)
        self.asides: list[bool] = []
        self._pool = pool
        self._threads = threads
        self._app = build_app(None, store, build_settings(root), links=self.links)  # type: ignore[arg-type]
        self._stack = contextlib.ExitStack()
        self.port = 0
        self.listen()

    def _note_end(self, call: Call, outcome: Outcome) -> None:
        self.ends.put((call.job_id, outcome))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}/jobs/{JOB}/channel"

    def listen(self) -> None:
        """Serve, at the same address as before."""
        listener = self._stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        server = uvicorn.Server(_configure(self._app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()

        self._stack.callback(stop)
        wait_until(lambda: server.started)

    def vanish(self) -> None:
        """Break all lines, and listen no more."""
        self._stack.close()

    def send(
        self, token: str, *, task: str = "job_tasks:walk", link_secs: float = 30.0, **spec: object
    ) -> Future[None]:
        """Have a guard work on the job."""
        order = Order(
            job_id=JOB,
            task=task,
            spec={"path": "/of/the/server", **spec},
            limits=Limits(cancel_secs=10),
            search_path=[str(HERE)],
        )
        remote = RemoteOrder(
            order=order,
            files={"job.json": b"{}", "strategies/one.py": b"# text\n"},
            url=self.url,
            token=token,
            results=self.results,
            link_secs=link_secs,
        )
        home = self.root / "scratch"
        home.mkdir(exist_ok=True)
        return self._threads.submit(
            guard, remote, pool=self._pool, root=home, step_aside=lambda: self.asides.append(True)
        )

    def home(self) -> JobDirectory:
        """Return the job's directory with what the guard has put into the store."""
        directory = JobDirectory(self.root / "runs" / JOB)
        directory.path.mkdir(parents=True, exist_ok=True)
        ResultStore(self.results).fetch(directory)
        return directory

    def has_left_something(self) -> bool:
        return any((self.root / "scratch").iterdir())


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    shared = LocalPool(2)
    yield shared
    shared.close()


@pytest.fixture
def side(tmp_path: Path, pool: LocalPool) -> Iterator[Side]:
    store = Store.open(f"sqlite:///{tmp_path / 'records.sqlite'}")
    with ThreadPoolExecutor(2) as threads:
        parts = Side(tmp_path, store, pool, threads)
        yield parts
        for job_id in parts.links.open:
            parts.links.end(job_id, Outcome(state=JobState.CANCELLED, result={}))
        parts.vanish()
    store.close()


def test_guard_does_the_job_puts_the_results_away_and_leaves_nothing(side: Side) -> None:
    ear = Ear()
    token = side.links.expect(JOB, Switch(), ear)

    side.send(token, steps=20).result(30)

    job_id, outcome = side.ends.get(timeout=10)
    assert (job_id, outcome.state) == (JOB, JobState.COMPLETED)
    assert outcome.peak_rss_bytes > 0
    assert ear.progress
    directory = side.home()
    assert directory.read_manifest().run_id == JOB
    assert directory.verify() == []
    assert (directory.path / "strategies/one.py").read_text() == "# text\n"
    assert not side.has_left_something()
    assert side.ends.empty()


def test_guard_is_paused_resumed_and_cancelled_over_its_line(side: Side) -> None:
    ear, switch = Ear(), Switch()
    future = side.send(side.links.expect(JOB, switch, ear), steps=LONG)
    wait_until(lambda: bool(ear.progress))

    for _ in range(2):
        switch.pause()
        wait_until(lambda: ear.progress[-1].state == JobState.PAUSED)
        assert ear.inspections, "what is held is known before it is known to be held"
        switch.resume()
        wait_until(lambda: ear.progress[-1].state == JobState.RUNNING)
    switch.cancel()
    future.result(30)

    assert side.ends.get(timeout=10)[1].state == JobState.CANCELLED
    assert side.asides == [True], "a thread is given away once"
    assert side.home().read_manifest().rows > 0


def test_job_cancelled_before_a_guard_dials_ends_at_once(side: Side) -> None:
    switch = Switch()
    token = side.links.expect(JOB, switch, Ear())

    switch.cancel()

    assert side.ends.get(timeout=10)[1].state == JobState.CANCELLED
    side.send(token, steps=LONG).result(30)
    assert not side.has_left_something()


def test_lost_line_is_dialled_again_and_the_guard_hears_what_it_missed(side: Side) -> None:
    ear, switch = Ear(), Switch()
    future = side.send(side.links.expect(JOB, switch, ear), steps=LONG)
    wait_until(lambda: bool(ear.progress))
    switch.pause()
    wait_until(lambda: ear.progress[-1].state == JobState.PAUSED)

    side.vanish()
    switch.resume()
    side.listen()

    wait_until(lambda: ear.progress[-1].state == JobState.RUNNING)
    switch.cancel()
    future.result(30)
    assert side.ends.get(timeout=10)[1].state == JobState.CANCELLED


def test_server_lost_for_too_long_ends_the_task_and_keeps_its_results(side: Side) -> None:
    ear = Ear()
    future = side.send(side.links.expect(JOB, Switch(), ear), steps=LONG, link_secs=0.5)
    wait_until(lambda: bool(ear.progress))

    side.vanish()
    future.result(30)

    record = side.home().read_manifest()
    assert (record.state, record.rows > 0) == (JobState.INTERRUPTED, True)
    assert side.ends.empty()


def test_job_that_ended_while_the_server_was_lost_is_told_later(side: Side) -> None:
    ear = Ear()
    future = side.send(side.links.expect(JOB, Switch(), ear), steps=300)
    wait_until(lambda: bool(ear.progress))

    side.vanish()
    wait_until(lambda: (side.root / "results" / JOB / "manifest.json").is_file())
    side.listen()

    future.result(30)
    assert side.ends.get(timeout=10)[1].state == JobState.COMPLETED


def test_end_is_told_again_when_the_server_died_having_heard_it(side: Side) -> None:
    heard: list[bool] = []

    def hear(line: ServerConnection) -> None:
        while not isinstance(msgspec.msgpack.decode(line.recv(), type=Message), Finished):
            pass
        heard.append(True)
        line.close(1000 if len(heard) == 2 else 1012)

    token = side.links.expect(JOB, Switch(), Ear())
    side.vanish()
    with serve(hear, "127.0.0.1", side.port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        side.send(token, steps=3).result(30)
        server.shutdown()
        thread.join(10)

    assert heard == [True, True]


def test_second_guard_of_a_job_returns_and_the_first_goes_on(side: Side) -> None:
    ear, switch = Ear(), Switch()
    token = side.links.expect(JOB, switch, ear)
    first = side.send(token, steps=LONG)
    wait_until(lambda: bool(ear.progress))

    side.send(token, steps=LONG).result(30)

    assert not first.done()
    assert side.ends.empty()
    switch.cancel()
    first.result(30)


def test_job_that_the_server_has_given_up_stops_and_puts_nothing_away(side: Side) -> None:
    ear = Ear()
    future = side.send(side.links.expect(JOB, Switch(), ear), steps=LONG)
    wait_until(lambda: bool(ear.progress))

    side.links.end(JOB, Outcome(state=JobState.INTERRUPTED, result={}))

    future.result(30)
    assert not (side.root / "results" / JOB).exists()
    assert not side.has_left_something()


def test_child_that_is_killed_interrupts_the_job(side: Side) -> None:
    side.send(side.links.expect(JOB, Switch(), Ear()), task="job_tasks:kill_itself").result(30)

    assert side.ends.get(timeout=10)[1].state == JobState.INTERRUPTED
    assert not side.home().is_finished


def test_process_that_goes_interrupts_its_tasks_and_says_so(side: Side) -> None:
    ear = Ear()
    future = side.send(side.links.expect(JOB, Switch(), ear), steps=LONG)
    wait_until(lambda: bool(ear.progress))

    interrupt_all()

    future.result(30)
    assert side.ends.get(timeout=10)[1].state == JobState.INTERRUPTED
    assert side.home().read_manifest().rows > 0


def test_results_that_cannot_be_put_away_fail_the_job(side: Side) -> None:
    (side.root / "results").write_text("a file where a directory should be")

    side.send(side.links.expect(JOB, Switch(), Ear()), steps=3).result(30)

    outcome = side.ends.get(timeout=10)[1]
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert "COMPLETED, and its results are lost" in outcome.failure.message


def test_server_that_cannot_be_reached_is_named(side: Side) -> None:
    token = side.links.expect(JOB, Switch(), Ear())
    side.vanish()

    with pytest.raises(ServerError, match=f"{side.port}.*was lost for 0.3 s"):
        side.send(token, steps=3, link_secs=0.3).result(30)


def dial(url: str, token: str, guard: str | None = None) -> int:
    """Return how the server answers a guard: 101 or a refusal."""
    try:
        with connect(
            f"ws{url.removeprefix('http')}?guard={guard or secrets.token_hex(16)}",
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
        ):
            return 101
    except InvalidStatus as e:
        return e.response.status_code


def test_channel_lets_in_the_token_of_its_job_alone(side: Side) -> None:
    mine = side.links.expect(JOB, Switch(), Ear())
    other = side.links.expect("20261122-101010-fedcba", Switch(), Ear())

    assert [dial(side.url, token) for token in (other, "", "x" * 5_000)] == [403] * 3
    assert dial(side.url.replace(JOB, "nothing"), mine) == 403
    guard = secrets.token_hex(16)
    assert [dial(side.url, mine, guard) for _ in range(2)] == [101, 101]
    assert dial(side.url, mine) == 403, "it has a guard"


def test_channel_closes_on_nonsense(side: Side) -> None:
    token = side.links.expect(JOB, Switch(), Ear())
    for nonsense in (b"\xc1 nonsense", "text"):
        with connect(
            f"ws{side.url.removeprefix('http')}?guard={'g' * 20}",
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
        ) as line:
            line.send(nonsense)
            with pytest.raises(Exception, match="1008"):
                while True:
                    line.recv(timeout=10)


def test_line_that_stays_lost_ends_the_job_once(side: Side) -> None:
    side.links = Links(side._note_end, deadline_secs=0.0)
    token, link = side.links.expect(JOB, Switch(), Ear()), Recorder()
    side.links.connect(JOB, token, "one", link)
    side.links.end_lost()
    assert side.ends.empty(), "it is up"

    side.links.lose(JOB, link)
    side.links.end_lost()
    side.links.end_lost()
    side.links.note_gone(JOB, Outcome(state=JobState.FAILED, result={}))

    assert side.ends.get(timeout=10)[1].state == JobState.INTERRUPTED
    assert side.ends.empty()


def test_guard_that_the_cluster_has_lost_may_go_on_as_long_as_its_line_is_up(side: Side) -> None:
    token, link = side.links.expect(JOB, Switch(), Ear()), Recorder()
    side.links.connect(JOB, token, "one", link)

    side.links.note_gone(JOB, Outcome(state=JobState.FAILED, result={}))
    assert side.ends.empty()
    side.links.lose(JOB, link)

    assert side.ends.get(timeout=10)[1].state == JobState.FAILED


class Recorder:
    """A line that goes nowhere."""

    def send(self, message: object) -> None:
        pass

    def close(self, reason: str) -> None:
        pass
