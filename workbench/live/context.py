"""What the two threads of a host share: its state, its journal, its board, and the way from one to the other."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.engine_records import EmergencyOutcome, HostMode, HostRecord, Latch
from workbench.errors import ServerError, WorkbenchError
from workbench.files import write_atomically
from workbench.gate.rules import TradingState
from workbench.gate.switch import Stand, Switch
from workbench.live.board import Board
from workbench.live.config import EngineConfig
from workbench.live.engine_directory import EngineDirectory
from workbench.live.host_output import HostOutput
from workbench.live.journal import Journal
from workbench.live.node_log import ErrorCount
from workbench.live.resources import ResourceMeter
from workbench.stamps import utc_now
from workbench.states import EngineState, EngineTrigger, advance_engine

if TYPE_CHECKING:
    from workbench.gate.gate import Gate

__all__ = ["HostContext", "LoopProbe"]

_PROBE_SECS = 0.05
# So late, and a caller is told that the loop is blocked.
_BLOCKED_SECS = 1.0
_LATCH_SECS = 0.5


class LoopProbe:
    """
    A timer in the main loop: how late it is tells how busy the loop is, and its silence that something blocks it.

    Attributes
    ----------
    lag_ms : float
        How late the last turn was.
    turned_ns : int
        When that was, wall clock; 0 before the loop runs.

    """

    def __init__(self) -> None:
        self.lag_ms = 0.0
        self.turned_ns = 0
        self._due = 0.0
        self._turned = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to measure; in the loop."""
        now = time.monotonic()
        self.lag_ms = max(0.0, now - self._due) * 1_000 if self._due else 0.0
        self.turned_ns, self._turned = time.time_ns(), now
        self._due = now + _PROBE_SECS
        loop.call_later(_PROBE_SECS, self.start, loop)

    @property
    def silent_secs(self) -> float:
        """Return for how long the loop has not turned; 0 before it runs."""
        return time.monotonic() - self._turned if self._turned else 0.0


class HostContext:
    """
    One host, seen from both of its threads.

    Parameters
    ----------
    directory : EngineDirectory
        The engine's files.
    config : EngineConfig
        What it runs.
    record : HostRecord
        What it is.
    journal : Journal
        Where events go.

    Attributes
    ----------
    gate : Gate, optional
        What stands before the venue, once it does: before that nothing can be sent.
    loop : asyncio.AbstractEventLoop, optional
        The main loop, once it runs.
    shut_ns : int
        When an emergency stop shut the gate, 0 for never.
    outcome : EmergencyOutcome, optional
        How far it has come.
    is_settled : bool
        Whether closing has done all that it can.
    facts : dict
        What the main thread keeps for the status: valuation, clients, feeds. It is replaced, never changed.
    resources : ResourceMeter
        What this process takes of its machine; measured by the watch of the service's thread.
    errors : ErrorCount
        How many errors nautilus has logged; counted by the same.
    alarms : int
        How many alarms this host has raised.
    output : HostOutput, optional
        What this process prints; nothing while its disk is full.
    ask_database : Callable[[], str], optional
        Asks the node's database whether it is there: what is wrong with it, or nothing.
    problems : dict[str, str]
        What is wrong with the engine, in words, by what it is.
    database_trouble : str
        What was wrong with it last.
    stop_asked, has_ended : Event
        Set when the host is to end, and when it has.

    """

    def __init__(
        self, directory: EngineDirectory, config: EngineConfig, record: HostRecord, journal: Journal
    ) -> None:
        self.directory = directory
        self.config = config
        self.record = record
        self.journal = journal
        self.board = Board()
        self.probe = LoopProbe()
        self.gate: Gate | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.outcome: EmergencyOutcome | None = None
        self.is_settled = False
        self.shut_ns = 0
        self.facts: dict[str, Any] = {}
        self.resources = ResourceMeter(directory.path)
        self.errors = ErrorCount(directory.log)
        self.alarms = 0
        self.output: HostOutput | None = None
        self.ask_database: Callable[[], str] | None = None
        self.database_trouble = ""
        self.problems: dict[str, str] = {}
        self.on_emergency: Callable[[Latch], None] | None = None
        self.on_clear: Callable[[], None] | None = None
        self.stop_asked = threading.Event()
        self.has_ended = threading.Event()
        self.is_flattening = False
        self.stop_reason = ""
        self._early = Switch()
        # Not the other one: that is never held while the disk is waited for.
        self._outcome_lock = threading.Lock()
        self._lock = threading.RLock()
        self._gate_lock = threading.Lock()
        self._gate_saved = b""
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        is_trading = record.mode == HostMode.TRADE
        self._state = EngineState.STARTING if is_trading else EngineState.LIQUIDATING

    @property
    def state(self) -> EngineState:
        """Return where the engine stands."""
        return self._state

    def advance(self, trigger: EngineTrigger) -> None:
        """Go on to the next state, and tell of it."""
        with self._lock:
            before = self._state
            if before == EngineState.LIQUIDATING and trigger in {EngineTrigger.READY, EngineTrigger.STOP}:
                return  # It is one state from beginning to end
            self._state = advance_engine(before, trigger)
        self.tell("engine", "StateChanged", {"before": before, "state": self._state})

    def fail(self) -> None:
        """Go on to the state of a host that did not come to an orderly end."""
        is_start = self._state == EngineState.STARTING
        if self._state in {EngineState.STARTING, EngineState.RUNNING, EngineState.LIQUIDATING}:
            self.advance(EngineTrigger.GIVE_UP if is_start else EngineTrigger.CRASH)

    def tell(self, kind: str, name: str, body: Any = None, *, is_essential: bool = True) -> None:
        """Write an event."""
        if kind == "alarm":
            self.alarms += 1
        # The last ones of an ending host may come after its journal is closed.
        with contextlib.suppress(WorkbenchError):
            self.journal.append(
                kind, name, self._encoder.encode({} if body is None else body), is_essential=is_essential
            )

    def attach_gate(self, gate: Gate) -> None:
        """Take the gate, and shut it as far as was asked before it stood there."""
        gate.listen(lambda event: self.tell("gate", event.kind, event))
        with self._lock:
            for source, stand in self._early.restrictions.items():
                gate.restrict(source, stand.state, stand.why)
            self.gate = gate

    def save_gate(self) -> None:
        """
        Write what the gate must remember, if it has changed; any thread, and it may wait for the disk.

        Raises
        ------
        OSError
            If it cannot be written.

        """
        gate = self.gate
        if gate is None:
            return
        with self._gate_lock:  # What is written last is what was asked last
            content = gate.export_state()
            if content != self._gate_saved:
                write_atomically(self.directory.gate, content, is_durable=False)
                self._gate_saved = content

    @property
    def stand(self) -> Stand:
        """Return the trading state that holds, and why; before the gate stands, nothing can be sent."""
        gate = self.gate
        return Stand(TradingState.HALTED, "the engine is starting") if gate is None else gate.stand

    @property
    def restrictions(self) -> dict[str, Stand]:
        """Return what keeps the gate shut besides what people asked for, by its source."""
        gate = self.gate
        return self._early.restrictions if gate is None else gate.restrictions

    def restrict(self, source: str, state: TradingState, why: str) -> None:
        """Keep the gate at `state` at least until `source` lifts it; any thread, at once."""
        with self._lock:  # Never held for longer than this takes
            (self._early if self.gate is None else self.gate).restrict(source, state, why)

    def lift(self, source: str, why: str) -> None:
        """Take a restriction away."""
        with self._lock:
            if self.gate is None:
                self._early.lift(source)
            else:
                self.gate.lift(source, why)

    def shut(self, why: str) -> int:
        """Shut the gate for an emergency stop, and return when that was; any thread, at once."""
        self.restrict("emergency", TradingState.HALTED, why)
        self.shut_ns = self.shut_ns or time.time_ns()
        return self.shut_ns

    def begin_emergency(self, by: str, reason: str) -> EmergencyOutcome:
        """
        Shut the gate, latch the stop on disk, and let the main loop close what is open; any thread.

        A stop that holds already stays as it is.
        """
        shut_ns = self.shut(f"emergency stop by {by}: {reason}")
        latch = self._find_latch() or Latch(
            at=utc_now(), ts_ns=shut_ns, by=by, reason=reason, policy=self.config.emergency
        )
        # A disk that hangs must not keep the engine from closing.
        writer = threading.Thread(target=self._write_latch, args=(latch,), name="latch", daemon=True)
        writer.start()
        writer.join(_LATCH_SECS)
        # The first to write it is right: it may have been somebody else, from outside.
        self._take(self._find_latch() or latch)
        return self.outcome or EmergencyOutcome(latch=latch, shut_ns=shut_ns)

    def obey_latch(self) -> None:
        """Shut the gate because a latch lies on the disk; any thread."""
        if self.outcome is not None:
            return
        shut_ns = self.shut("an emergency stop is latched")
        latch = self._find_latch() or Latch(
            at=utc_now(),
            ts_ns=shut_ns,
            by="unknown",
            reason="the latch cannot be read",
            policy=self.config.emergency,
        )
        self._take(latch)

    def end_emergency(self, by: str, reason: str) -> None:
        """Take the latch away. What is let through stays HALTED until somebody changes it."""
        if self.gate is not None:
            self.gate.set_trading_state(
                TradingState.HALTED, f"the emergency stop was cleared by {by}: {reason}"
            )
        with self._outcome_lock:
            self.directory.clear_latch()
            self.outcome, self.is_settled, self.shut_ns = None, False, 0
        self.lift("emergency", reason)
        self.tell("engine", "EmergencyCleared", {"by": by, "reason": reason})
        self.post(self.on_clear)

    def report(self, outcome: EmergencyOutcome) -> None:
        """Take and write how far an emergency stop has come, unless it was cleared; it may wait for the disk."""
        with self._outcome_lock:
            if self.outcome is None or self.outcome.latch != outcome.latch:
                return
            self.outcome = outcome
            try:
                self.directory.write_outcome(outcome)
            except ServerError as e:
                self.tell("alarm", "OutcomeNotWritten", {"error": str(e)})
            self.is_settled = outcome.settled_ns is not None
        self.tell("engine", "EmergencySettled" if self.is_settled else "EmergencyProgress", outcome)

    def _write_latch(self, latch: Latch) -> None:
        try:
            self.directory.write_latch(latch)
        except ServerError as e:  # It holds in this process all the same
            self.tell("alarm", "LatchNotWritten", {"error": str(e)})

    def _find_latch(self) -> Latch | None:
        try:
            return self.directory.load_latch()
        except ServerError:
            return None

    def _take(self, latch: Latch) -> None:
        with self._lock:
            if self.outcome is not None:
                return
            self.outcome = EmergencyOutcome(latch=latch, shut_ns=self.shut_ns)
            self.is_settled = False
        self.tell("engine", "EmergencyStop", latch)
        on_emergency = self.on_emergency
        self.post(None if on_emergency is None else lambda: on_emergency(latch))

    def ask_to_stop(self, by: str, *, is_flattening: bool = False) -> None:
        """Let the host end in an orderly way; any thread, also a handler of a signal."""
        if is_flattening:
            self.is_flattening = True
        self.stop_reason = self.stop_reason or by
        self.stop_asked.set()

    def post(self, function: Callable[[], Any] | None) -> None:
        """Run a function in the main loop, when it turns."""
        if function is not None and self.loop is not None:
            with contextlib.suppress(RuntimeError):  # Closed: there is nothing to do any more
                self.loop.call_soon_threadsafe(function)

    async def call(self, function: Callable[[], Any], *, timeout_secs: float = 2.0) -> Any:
        """
        Run a function in the main loop, and return what it returns; from the service's loop.

        Raises
        ------
        ServerError
            If the main loop does not come to it in time: then it is not run later either.

        """
        if self.loop is None or self.state == EngineState.STARTING:
            raise ServerError("the engine is still starting", advice="try again in a moment")
        if self.probe.silent_secs > _BLOCKED_SECS:
            raise self._build_blocked()
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except Exception as e:  # noqa: BLE001 - the caller is told
                future.set_exception(e)

        self.post(run)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout_secs)
        except TimeoutError:
            raise self._build_blocked() from None

    def _build_blocked(self) -> ServerError:
        return ServerError(
            f"the main loop is blocked since {self.probe.silent_secs:.1f} s",
            advice="an emergency stop works all the same; a strategy may be looping",
        )
