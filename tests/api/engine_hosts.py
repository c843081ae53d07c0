"""The far side of a process's edge: what a host answers on its unix socket, with a real journal, lock and files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.jobs.walks import wait_until
from workbench.engine_records import (
    AccountRow,
    Balance,
    Desired,
    DesiredState,
    EmergencyOutcome,
    FillRow,
    Heartbeat,
    HostMode,
    HostRecord,
    OrderRow,
    PositionRow,
    Supervision,
)
from workbench.live.config import EngineConfig, parse_engine_config
from workbench.live.engine_directory import EngineDirectory, make_socket_path
from workbench.live.journal import Journal
from workbench.stamps import utc_now
from workbench.states import EngineState

ORDER = OrderRow(
    client_order_id="O-1",
    strategy_id="S-1",
    instrument_id="GBP/USD.SIM",
    side="BUY",
    type="LIMIT",
    status="ACCEPTED",
    quantity="1000",
    filled_qty="0",
    price="1.50000",
    time_in_force="GTC",
    is_open=True,
    ts_init=1,
    ts_last=2,
)
POSITION = PositionRow(
    position_id="GBP/USD.SIM-S-1",
    strategy_id="S-1",
    instrument_id="GBP/USD.SIM",
    side="LONG",
    quantity="2000",
    avg_px_open="1.5",
    currency="USD",
    ts_opened=1,
)
FILL = FillRow(
    trade_id="T-1",
    client_order_id="O-0",
    strategy_id="S-1",
    instrument_id="GBP/USD.SIM",
    side="BUY",
    quantity="2000",
    price="1.50000",
    ts_event=1,
)
ACCOUNT = AccountRow(
    account_id="SIM-001",
    type="MARGIN",
    base_currency="USD",
    balances=[Balance(currency="USD", total="1000000.00", free="999000.00", locked="1000.00")],
    ts_event=1,
)
SANDBOX: dict[str, Any] = {"environment": "SANDBOX", "risk": {"max_exposure": "100000"}}
LIVE: dict[str, Any] = {**SANDBOX, "environment": "LIVE"}


def build_engine(engines: Path, name: str = "default", config: Any = None) -> EngineDirectory:
    """Write the configuration of an engine."""
    directory = EngineDirectory(engines / name)
    given: EngineConfig = parse_engine_config(SANDBOX if config is None else config)
    directory.save_config(given, by="tester")
    return directory


class Host:
    """A host that holds its lock, writes its journal and answers; `told` is all that was asked of it."""

    def __init__(self, directory: EngineDirectory, runtime: Path, *, incarnation: int = 1) -> None:
        self.directory = directory
        self.told: list[dict[str, Any]] = []
        self.trading_state = "ACTIVE"
        self.answers: dict[str, tuple[int, Any]] = {}
        self.mute = threading.Event()
        self.connections: dict[Callable[[], None], None] = {}
        self.skipped: set[int] = set()
        self.overlap = 0
        self.incarnation = incarnation
        self._runtime = runtime
        self._stack = contextlib.ExitStack()
        self._server: uvicorn.Server | None = None

    def __enter__(self) -> Self:
        directory = self.directory
        stack = self._stack
        stack.enter_context(directory.hold_lock("guardian"))
        self._lock = stack.enter_context(contextlib.ExitStack())
        self._lock.enter_context(directory.hold_lock("host"))
        self.journal = Journal.open(directory.journal, incarnation=self.incarnation)
        stack.callback(self.journal.close)
        path = make_socket_path(directory, self._runtime)
        config = directory.load_version()
        self.record = HostRecord(
            pid=os.getpid(),
            incarnation=self.incarnation,
            config_version=config.version,
            environment=config.config["environment"],
            mode=HostMode.TRADE,
            started_at=utc_now(),
            socket=str(path),
        )
        directory.write_desired(
            Desired(
                state=DesiredState.RUNNING,
                config_version=config.version,
                request=1,
                by="tester",
                at=utc_now(),
            )
        )
        directory.write_host(self.record)
        self.beat()
        self._listen(path)
        stack.enter_context(self._obeying())
        return self

    def __exit__(self, *_: object) -> None:
        self.mute.clear()
        self._stack.close()

    def beat(self, **changes: Any) -> None:
        """Write a heartbeat."""
        now = time.time_ns()
        values = {"trading_state": self.trading_state, "state": EngineState.RUNNING, **changes}
        self.directory.write_heartbeat(
            Heartbeat(ts_ns=now, incarnation=self.incarnation, pid=os.getpid(), loop_ts_ns=now, **values)
        )

    @contextlib.contextmanager
    def _obeying(self) -> Iterator[None]:
        """Do what people want, as a guardian does: go, and come again."""
        ending = threading.Event()

        def obey() -> None:
            is_up, done = True, 1
            while not ending.wait(0.01):
                self.directory.beat()
                desired = self.directory.load_desired()
                if desired is None or desired.request == done:
                    continue
                is_wanted = desired.state is DesiredState.RUNNING
                if is_up and not is_wanted:
                    self._lock.close()
                elif is_wanted and not is_up:
                    self._lock.enter_context(self.directory.hold_lock("host"))
                    self.beat()
                is_up, done = is_wanted, desired.request
                state = EngineState.RUNNING if is_up else EngineState.STOPPED
                self.directory.write_supervision(
                    Supervision(pid=os.getpid(), state=state, at=utc_now(), request=done)
                )

        thread = threading.Thread(target=obey, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(10)
            assert not thread.is_alive()

    def tell(self, count: int, *, kind: str = "order", name: str = "OrderAccepted") -> None:
        """Append events to the journal, and wait until they are on disk."""
        for number in range(count):
            self.journal.append(kind, name, msgspec.json.encode({"n": number}))
        assert self.journal.flush(20)

    def _listen(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        app = Starlette(
            routes=[
                WebSocketRoute("/events", self._stream),
                Route("/{rest:path}", self._answer, methods=["GET", "POST", "PATCH", "DELETE"]),
            ]
        )
        config = uvicorn.Config(
            app, loop="asyncio", http="h11", ws="websockets-sansio", lifespan="off", log_config=None
        )
        config.timeout_graceful_shutdown = 1
        self._server = server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)

        def end() -> None:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()

        thread.start()
        wait_until(lambda: server.started)
        self._stack.callback(end)

    async def _answer(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode()
        content = await request.body()
        self.told.append(
            {
                "method": request.method,
                "path": raw,
                "query": str(request.url.query),
                "user": request.headers.get("x-workbench-user"),
                "body": msgspec.json.decode(content) if content else None,
            }
        )
        while self.mute.is_set():
            await asyncio.sleep(0.01)
        status, body = self._find(request.method, raw, self.told[-1]["body"])
        return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")

    def _find(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if (found := self.answers.get(path)) is not None:
            return found
        if method == "GET":
            rows: dict[str, Any] = {
                "/orders": [ORDER],
                "/fills": [FILL],
                "/positions": [POSITION],
                "/accounts": [ACCOUNT],
            }
            valuation = {"gross": "3000", "net": "3000", "currency": "USD", "equity": "1000000"}
            return 200, rows.get(path, {"valuation": valuation, "strategies": []})
        if path == "/trading-state":
            self.trading_state = body["state"]
            self.beat()
            return 200, {"effective": self.trading_state}
        if path == "/emergency-stop":
            self.trading_state = "HALTED"
            self.beat()
            wait_until(lambda: self.directory.is_latched)
            latch = self.directory.load_latch()
            assert latch is not None
            outcome = EmergencyOutcome(latch=latch, shut_ns=time.time_ns(), cancelled=1)
            self.directory.write_outcome(outcome)
            return 200, outcome
        if path == "/emergency-clear":
            self.directory.clear_latch()
            return 200, {"effective": "HALTED"}
        if path == "/drills":
            return 200, {"feeds": ["REPLAY"]}
        if path.startswith("/strategies"):
            return 202, {"strategy_id": "EMACross-000", "path": "strategies:EMACross", "state": "RUNNING"}
        return 202, {"client_order_id": "O-2"}

    async def _stream(self, websocket: WebSocket) -> None:
        await websocket.accept()
        loop, bell = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(bell.set)

        after = max(int(websocket.query_params["after"]) - self.overlap, 0)
        subscription = self.journal.subscribe(wake, after=after)

        async def watch() -> None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await websocket.receive()
            bell.set()

        def hang_up() -> None:
            asyncio.run_coroutine_threadsafe(websocket.close(1011), loop).result(10)

        self.connections[hang_up] = None
        watcher = asyncio.create_task(watch())
        try:
            while not watcher.done():
                bell.clear()
                events = await asyncio.to_thread(subscription.take)
                if subscription.gap is not None:
                    await websocket.send_text(msgspec.json.encode({"gap": subscription.gap}).decode())
                    subscription.gap = None
                for event in events:
                    if event.seq in self.skipped:
                        continue
                    await websocket.send_text(msgspec.json.encode(event).decode())
                if not events:
                    await bell.wait()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            watcher.cancel()
            subscription.close()
            del self.connections[hang_up]


@contextlib.contextmanager
def hosting(
    engines: Path, runtime: Path, name: str = "default", *, config: Any = None, incarnation: int = 1
) -> Iterator[Host]:
    """Run a host of a new engine, or of one that has a configuration."""
    directory = EngineDirectory(engines / name)
    if not directory.has_config or config is not None:
        build_engine(engines, name, config)
    with Host(directory, runtime, incarnation=incarnation) as host:
        yield host
