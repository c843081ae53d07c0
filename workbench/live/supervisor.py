"""What a guardian knows, decides and does: one turn of it at a time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from workbench.engine_records import Desired, DesiredState, EmergencyScope, HostMode, LastExit, Supervision
from workbench.errors import WorkbenchError
from workbench.live.config import EngineConfig
from workbench.live.engine_directory import EngineDirectory
from workbench.live.exits import HostExit
from workbench.live.host_process import HostProcess, StopLadder
from workbench.live.output_log import bound_output
from workbench.live.pending_restart import PendingRestart, has_restart
from workbench.live.pulse import Limits, judge_pulse
from workbench.live.restarts import GiveUp, describe_exit, keep_recent, plan_liquidation, plan_restart
from workbench.stamps import utc_now
from workbench.states import EngineState, EngineTrigger, advance_engine

__all__ = ["Supervisor"]

_BOUND_SECS = 30.0

S, T = EngineState, EngineTrigger
# What happened, when a host is found alive that another guardian started, or a person.
_FOUND_TRADING: dict[EngineState, tuple[EngineTrigger, ...]] = {
    S.STOPPED: (T.START,),
    S.FAILED: (T.START,),
    S.CRASHED: (T.RESTART,),
    S.LIQUIDATING: (T.END, T.START),
}
_FOUND_LIQUIDATING: dict[EngineState, tuple[EngineTrigger, ...]] = {
    S.STOPPED: (T.LIQUIDATE,),
    S.FAILED: (T.LIQUIDATE,),
    S.CRASHED: (T.LIQUIDATE,),
    S.STARTING: (T.CRASH, T.LIQUIDATE),
    S.RUNNING: (T.CRASH, T.LIQUIDATE),
    S.STOPPING: (T.END, T.LIQUIDATE),
}


class Supervisor:
    """
    What one guardian knows and does; whoever calls it holds the guardian's lock.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    host : Sequence[str]
        The command that starts a host; the directory follows it, and ``--liquidate``.
    limits : Limits
        What is put up with.

    """

    def __init__(
        self, directory: EngineDirectory, *, host: Sequence[str], limits: Limits | None = None
    ) -> None:
        self._directory = directory
        self._command = tuple(host)
        self._limits = limits or Limits()
        self._host: HostProcess | None = None
        self._ladder: tuple[int, StopLadder] | None = None
        self._desired: Desired | None = None
        self._is_latched = False
        self._is_urgent = False
        self._due: float | None = None
        self._liquidation_due = 0.0
        self._liquidation_deaths = 0
        self._bound_at = 0.0
        self._note = self._words = self._trouble = ""
        self._written: Supervision | None = None
        self._said: Supervision | None = None
        self._config: tuple[int, EngineConfig] | None = None
        self._pending = PendingRestart(directory)
        self._resume()

    @property
    def is_done(self) -> bool:
        """Return whether there is nothing to watch, to start or to close."""
        if self._host is not None or self._is_urgent or not self._state.is_down:
            return False
        desired = self._desired
        is_handled = (
            desired is None or desired.state is DesiredState.STOPPED or desired.request == self._request
        )
        return is_handled and not has_restart(desired) and not self._directory.is_held("host")

    def tick(self) -> None:
        """Look at everything once, and do what is due; what cannot be read or written is told, and tried again."""
        now = time.monotonic()
        self._trouble = ""
        try:
            self._look(now)
        except (WorkbenchError, OSError) as e:
            self._trouble = str(e)
        self._publish()

    def _look(self, now: float) -> None:
        self._read()
        if self._host is not None and not self._host.is_alive():
            self._bury(self._host, now)
        if self._host is None and self._directory.is_held("host"):
            self._adopt()
        elif self._host is None:
            if not self._state.is_down and self._state is not S.CRASHED:
                # It died while no guardian was there, or before it could be told who it was.
                mode = HostMode.LIQUIDATE if self._state is S.LIQUIDATING else HostMode.TRADE
                self._bury(HostProcess(self._directory, 0, mode), now)
            self._fill(now)
        if self._host is not None:
            self._watch(self._host, now)
        if now - self._bound_at > _BOUND_SECS:
            self._bound_at = now
            bound_output(self._directory.output)

    def _read(self) -> None:
        directory = self._directory
        self._is_latched = directory.is_latched
        self._is_urgent = self._is_latched and not directory.is_settled and self._may_be_open()
        if not self._is_latched:
            self._liquidation_deaths = 0
            self._liquidation_due = 0.0
        try:
            self._desired = directory.load_desired()
        except WorkbenchError as e:  # What people wanted last holds.
            self._trouble = str(e)

    def _may_be_open(self) -> bool:
        """Return whether something can be open at all: an engine that never ran has nothing of its own."""
        if self._host is not None:
            return True
        try:
            has_run = self._directory.load_host() is not None
        except WorkbenchError:
            has_run = True
        return has_run or self._load_config().emergency.scope is EmergencyScope.ACCOUNT

    def _resume(self) -> None:
        """Take over from the guardian before: a restart of it forgets nothing, and gives nothing up twice."""
        try:
            left = self._directory.load_supervision()
        except WorkbenchError:
            left = None
        left = left or Supervision(pid=0, state=EngineState.STOPPED, at="")
        self._state = left.state
        self._request = left.request
        self._last_exit = left.last_exit
        self._restarts = [_parse(at) for at in left.restarts]
        self._next_restart_at = left.next_restart_at
        self._note = left.message
        self._read()
        if self._state is EngineState.CRASHED and self._next_restart_at:
            wait = _parse(self._next_restart_at) - time.time()
            policy = self._load_config().restart
            self._due = time.monotonic() + min(max(wait, 0.0), policy.max_backoff_secs)

    def _adopt(self) -> None:
        self._host = HostProcess.adopt(self._directory)
        if self._host is None:
            self._note = "a host holds its lock, but it cannot be told which process it is"
            return
        self._due, self._next_restart_at, self._ladder = None, "", None
        if self._desired is not None and self._desired.state is DesiredState.RUNNING:
            self._request = self._desired.request
        self._note = f"watches the host that it found, process {self._host.pid}"
        self._follow_mode(self._host)

    def _fill(self, now: float) -> None:
        """Start a host where one is due."""
        desired = self._desired
        if self._is_urgent:
            if now >= self._liquidation_due:
                self._spawn(
                    HostMode.LIQUIDATE, (T.LIQUIDATE,), "closes what is open: an emergency stop holds"
                )
        elif desired is None or desired.state is DesiredState.STOPPED:
            if self._state is EngineState.CRASHED:
                self._advance(T.STOP)
                self._note = "stopped; it was not running"
            if desired is not None:
                self._request = desired.request
            self._due, self._next_restart_at = None, ""
            self._pending.look(desired, now)
        elif desired.request != self._request:
            self._request, self._restarts, self._last_exit = desired.request, [], None
            is_crashed = self._state is EngineState.CRASHED
            self._spawn(HostMode.TRADE, (T.RESTART if is_crashed else T.START,), f"started by {desired.by}")
        elif self._state is EngineState.CRASHED and self._due is None:
            self._advance(T.STOP)
            self._note = "the emergency stop was cleared; start the engine to trade again"
        elif self._due is not None and now >= self._due:
            self._restarts.append(time.time())
            self._spawn(HostMode.TRADE, (T.RESTART,), f"started again, {_count(len(self._restarts))}")

    def _spawn(self, mode: HostMode, triggers: Sequence[EngineTrigger], note: str) -> None:
        self._due, self._next_restart_at, self._ladder = None, "", None
        self._advance(*triggers)
        self._note = note
        self._publish()
        try:
            self._host = HostProcess.spawn(self._directory, self._command, mode)
        except OSError as e:
            corpse = HostProcess(self._directory, 0, mode)
            corpse.doom = f"could not be started: {e.strerror}"
            self._bury(corpse, time.monotonic())

    def _watch(self, host: HostProcess, now: float) -> None:
        self._trouble = host.look(now) or self._trouble
        self._follow_mode(host)
        last = host.pulse.last
        if last is not None and self._state is S.STARTING and last.state is S.RUNNING:
            self._advance(T.READY)
        is_ending = last is not None and last.state in {S.STOPPING, S.STOPPED}
        if is_ending and self._state in {S.STARTING, S.RUNNING}:
            self._advance(T.STOP)
        verdict = judge_pulse(host.pulse, now, mode=host.mode, is_urgent=self._is_urgent, limits=self._limits)
        self._words = verdict.words
        if verdict.must_die:
            host.kill(verdict.words, now)
        elif self._is_stop_wanted(host):
            self._stop(host, now)

    def _follow_mode(self, host: HostProcess) -> None:
        found = _FOUND_LIQUIDATING if host.mode is HostMode.LIQUIDATE else _FOUND_TRADING
        self._advance(*found.get(self._state, ()))

    def _is_stop_wanted(self, host: HostProcess) -> bool:
        if host.mode is HostMode.LIQUIDATE:
            return not self._is_urgent
        return self._desired is not None and self._desired.state is DesiredState.STOPPED

    def _stop(self, host: HostProcess, now: float) -> None:
        desired = self._desired
        request = 0 if desired is None else desired.request
        if self._ladder is None or self._ladder[0] != request:
            policy = self._load_config().stop
            is_trading = desired is not None and host.mode is HostMode.TRADE
            is_flattening = desired is not None and is_trading and desired.is_flattening
            by = desired.by if desired is not None and is_trading else "guardian"
            self._ladder = request, StopLadder(policy, is_flattening=is_flattening, by=by, now=now)
            if self._state in {S.STARTING, S.RUNNING}:
                self._advance(T.STOP)
            self._note = f"{by} stops it" if is_trading else "nothing is left to close"
        self._words = self._ladder[1].step(host, now)

    def _bury(self, host: HostProcess, now: float) -> None:
        """Write down how a host ended, and decide what follows."""
        with contextlib.suppress(WorkbenchError):
            host.identify()
        self._host, self._words = None, ""
        code = host.code
        if code == HostExit.BUSY and self._directory.is_held("host"):
            return
        is_stopping = self._state is S.STOPPING or self._ladder is not None
        is_orderly = code == HostExit.ORDERLY or (code is None and not host.doom and self._was_orderly())
        if code is None and is_orderly:
            code = HostExit.ORDERLY
        reason = host.doom or describe_exit(code)
        if not host.doom and code is not None and code > 0:
            reason = ": ".join(filter(None, (reason, host.read_last_line())))
        self._last_exit = LastExit(
            at=utc_now(),
            incarnation=host.incarnation,
            code=code,
            reason=reason,
            is_expected=is_stopping or is_orderly,
        )
        self._ladder = None
        # What happened to it may be the last thing that it wrote.
        self._read()
        if host.mode is HostMode.LIQUIDATE:
            self._end_liquidation(reason, now)
        elif self._is_urgent:
            self._advance(T.END if self._state is S.STOPPING else T.CRASH)
            self._note = f"the host {_as_past(reason)} while an emergency stop holds"
        elif is_stopping:
            self._advance(*([] if self._state is S.STOPPING else [T.STOP]), T.END)
            self._note = f"stopped; the host {_as_past(reason)}"
        else:
            self._plan(code, reason, now)

    def _end_liquidation(self, reason: str, now: float) -> None:
        if self._desired is not None:
            self._request = self._desired.request
        if self._state is not S.LIQUIDATING:
            self._advance(*_FOUND_LIQUIDATING[self._state])
        if self._is_urgent:
            self._advance(T.CRASH)
            self._liquidation_deaths += 1
            delay = plan_liquidation(self._load_config().restart, self._liquidation_deaths)
            self._liquidation_due = now + delay
            self._note = f"the host that closes what is open {_as_past(reason)}; again in {delay:g} s"
            return
        self._advance(T.END)
        what = (
            "the emergency stop has done what it can"
            if self._is_latched
            else "the emergency stop was cleared"
        )
        self._note = f"{what}; the engine stays stopped until somebody starts it"

    def _plan(self, code: int | None, reason: str, now: float) -> None:
        policy = self._load_config().restart
        plan = plan_restart(policy, self._restarts, died_at=time.time(), code=code)
        self._restarts = keep_recent(policy, self._restarts, time.time())
        if code in {HostExit.ORDERLY, HostExit.FORCED}:
            self._advance(T.STOP, T.END)
        else:
            self._advance(T.CRASH)
        if isinstance(plan, GiveUp):
            if self._state is S.CRASHED:
                self._advance(T.GIVE_UP)
            self._note = f"not started again: {plan.reason} ({reason})"
            return
        self._due = now + plan.delay_secs
        self._next_restart_at = _format(time.time() + plan.delay_secs)
        self._note = (
            f"the host {_as_past(reason)}; started again in {plan.delay_secs:g} s, {_count(plan.number)}"
        )

    def _was_orderly(self) -> bool:
        """Return whether the last heartbeat of the last host was the one of an orderly end."""
        try:
            last, record = self._directory.load_heartbeat(), self._directory.load_host()
        except WorkbenchError:
            return False
        if last is None or record is None:
            return False
        return last.pid == record.pid and last.state is S.STOPPED

    def _advance(self, *triggers: EngineTrigger) -> None:
        for trigger in triggers:
            self._state = advance_engine(self._state, trigger)

    def _load_config(self) -> EngineConfig:
        """Return the configuration that runs, for its policies; the defaults if it cannot be read."""
        version = 0 if self._desired is None else self._desired.config_version
        if self._config is None or self._config[0] != version:
            try:
                config = self._directory.load_config(version or None)
            except WorkbenchError:
                return EngineConfig()
            self._config = version, config
        return self._config[1]

    def _publish(self) -> None:
        """Write what changed, for people and for the guardian that comes after."""
        found = Supervision(
            pid=os.getpid(),
            state=self._state,
            at="",
            restarts=[_format(at) for at in self._restarts],
            next_restart_at=self._next_restart_at,
            last_exit=self._last_exit,
            message="; ".join(filter(None, (self._note, self._words, self._trouble))),
            request=self._request,
        )
        if found == self._written:
            return
        with contextlib.suppress(WorkbenchError):  # A full disk: it is tried again at every turn.
            self._directory.write_supervision(msgspec.structs.replace(found, at=utc_now()))
            self._written = found
        if found == self._said:
            return
        self._said = found
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{utc_now()} guardian {os.getpid()}: {found.state}: {found.message}\n")
            sys.stderr.flush()


def _as_past(reason: str) -> str:
    return reason if reason.startswith(("was ", "ended", "died", "could")) else f"was killed: {reason}"


def _count(number: int) -> str:
    return f"restart {number}"


def _format(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parse(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
