"""A host that trades nothing: it keeps the agreements of a real one, and breaks those that its plan names."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any

from workbench.engine_records import EmergencyOutcome, Heartbeat, HostMode, HostRecord, Latch
from workbench.errors import ConflictError
from workbench.live.engine_directory import EngineDirectory, make_socket_path
from workbench.stamps import utc_now
from workbench.states import EngineState

_BEAT_SECS = 0.5
_TURN_SECS = 0.02


class FakeHost:
    def __init__(self, directory: EngineDirectory, mode: HostMode) -> None:
        self.directory = directory
        self.mode = mode
        self.plan: dict[str, Any] = json.loads((directory.path / "plan.json").read_text())
        self.state = EngineState.LIQUIDATING if mode is HostMode.LIQUIDATE else EngineState.STARTING
        self.turned_ns = 0
        self.code: int | None = None
        before = directory.load_host()
        self.socket = make_socket_path(directory, Path(self.plan["runtime"]))
        self.record = HostRecord(
            pid=os.getpid(),
            incarnation=1 if before is None else before.incarnation + 1,
            config_version=1,
            environment="SANDBOX",
            mode=mode,
            started_at=utc_now(),
            socket=str(self.socket),
        )

    def tell(self, *words: object) -> None:
        line = " ".join(map(str, (time.time(), self.record.incarnation, self.mode, *words)))
        with (self.directory.path / "events.txt").open("a") as file:
            file.write(line + "\n")

    def run(self) -> int:
        self.directory.write_host(self.record)
        self.tell("start", os.getpid())
        signal.signal(signal.SIGTERM, self._on_term)
        # The exits of the first hosts of each kind, until the list is used up.
        exits = self.plan.get("liquidations" if self.mode is HostMode.LIQUIDATE else "exits", [])
        number = self._count_starts()
        if number <= len(exits):
            if exits[number - 1] < 0:
                os.kill(os.getpid(), -exits[number - 1])
            sys.stderr.write(f"ValueError: planned exit {number}\n")
            sys.stderr.flush()
            return int(exits[number - 1])
        self._serve()
        if not self.plan.get("is_silent"):
            threading.Thread(target=self._beat, daemon=True).start()
        while self.code is None:
            self._turn()
            time.sleep(_TURN_SECS)
        self.state = EngineState.STOPPED
        self._write_heartbeat()
        return self.code

    def _count_starts(self) -> int:
        lines = (self.directory.path / "events.txt").read_text().splitlines()
        return sum(line.split()[2:4] == [self.mode, "start"] for line in lines)

    def _turn(self) -> None:
        while (self.directory.path / "block").exists() and self.mode is HostMode.TRADE:
            time.sleep(_TURN_SECS)
        self.turned_ns = time.time_ns()
        if self.state is EngineState.STARTING and not self.plan.get("is_slow"):
            self.state = EngineState.RUNNING
            self.tell("running")
        if self.directory.is_latched and not self.directory.is_settled and self.plan.get("settles", True):
            latch = self.directory.load_latch()
            assert latch is not None
            now = time.time_ns()
            outcome = EmergencyOutcome(latch=latch, shut_ns=now, settled_ns=now, attempts=1)
            self.directory.write_outcome(outcome)
            self.tell("settled")
            if self.mode is HostMode.LIQUIDATE:
                self.code = 0

    def _on_term(self, *_: object) -> None:
        self.tell("SIGTERM")
        if not self.plan.get("is_deaf"):
            self.code = 0

    def _beat(self) -> None:
        while True:
            self._write_heartbeat()
            time.sleep(_BEAT_SECS)

    def build_heartbeat(self) -> Heartbeat:
        return Heartbeat(
            ts_ns=time.time_ns(),
            incarnation=self.record.incarnation,
            pid=os.getpid(),
            state=self.state,
            loop_ts_ns=self.turned_ns,
            trading_state="HALTED" if self.directory.is_latched else "ACTIVE",
        )

    def _write_heartbeat(self) -> None:
        if not (self.directory.path / "full").exists():
            self.directory.write_heartbeat(self.build_heartbeat())

    def answer(self, target: str, body: dict[str, Any], by: str) -> object:
        import msgspec

        self.tell("called", target, json.dumps(body), by)
        if target == "/stop" and not self.plan.get("ignores_stop"):
            self.code = 0
        if target == "/emergency-stop":
            policy = self.directory.load_config().emergency
            latch = Latch(at=utc_now(), ts_ns=time.time_ns(), by=by, reason=body["reason"], policy=policy)
            self.directory.write_latch(latch)
            return msgspec.to_builtins(EmergencyOutcome(latch=latch, shut_ns=time.time_ns()))
        if target == "/emergency-clear":
            self.directory.clear_latch()
        return {"heartbeat": msgspec.to_builtins(self.build_heartbeat())}

    def _serve(self) -> None:
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                content = json.dumps(
                    host.answer(self.path, body, self.headers.get("X-Workbench-User", ""))
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.socket.unlink(missing_ok=True)
        server = socketserver.ThreadingUnixStreamServer(str(self.socket), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


def main() -> int:
    directory = EngineDirectory(Path(sys.argv[1]))
    mode = HostMode.LIQUIDATE if "--liquidate" in sys.argv else HostMode.TRADE
    try:
        with directory.hold_lock("host"):
            return FakeHost(directory, mode).run()
    except ConflictError as e:
        sys.stderr.write(f"{e}\n")
        return 3


if __name__ == "__main__":
    code = main()
    # Its threads are daemons that may hold the output.
    os._exit(code)
