"""The emergency stop from outside: with the host dead or alive, wedged or well, server or no server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from workbench.engine_records import EmergencyOutcome, EmergencyPolicy, Latch
from workbench.errors import ConflictError, InputError, NotFoundError, ServerError, WorkbenchError
from workbench.live.clearings import Clearing, write_clearing
from workbench.live.engine_directory import EngineDirectory, find_engines
from workbench.live.guardian_beat import end_frozen_guardian
from workbench.live.host_call import call_host
from workbench.live.launch import GUARDIAN, spawn_guardian
from workbench.stamps import utc_now

__all__ = ["clear_emergency", "stop_emergency", "stop_every_engine"]

_ANSWER_SECS = 1.0
_TURN_SECS = 2.0
_CLEAR_SECS = 5.0


def stop_emergency(
    directory: EngineDirectory, *, by: str, reason: str, guardian: Sequence[str] = GUARDIAN
) -> EmergencyOutcome:
    """
    Stop an engine at once: shut its gate, latch the stop on disk, and have closed what is open.

    It may be repeated. A host that answers shuts its gate first of all; one that does not, or is dead, is the
    guardian's, which is started if it is not there, and replaced if it does not turn: there is one that acts, always.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    by, reason : str
        Who pulls it, and why.
    guardian : Sequence[str]
        The command that starts a guardian.

    Returns
    -------
    EmergencyOutcome
        How far it has come; `shut_ns` is 0 where no host could tell that.

    Raises
    ------
    NotFoundError
        If there is no such engine.
    ServerError
        If neither the host heard of it nor the latch could be written, or nobody is there to act on it.

    """
    if not directory.has_config:
        raise NotFoundError(f"there is no engine {directory.name}")
    began_ns = time.time_ns()
    told = _Call(directory, by, reason)
    told.start()
    error: WorkbenchError | None = None
    latch = Latch(
        at=utc_now(), ts_ns=time.time_ns(), by=by, reason=reason, policy=_load_emergency_policy(directory)
    )
    try:
        directory.write_latch(latch)
    except WorkbenchError as e:
        error = e
    told.join()
    if error is not None and told.outcome is None and not directory.is_latched:
        raise error
    if end_frozen_guardian(directory, since_ns=began_ns):
        _rescue(directory, guardian, is_heard=told.outcome is not None)
    return told.outcome or _load_outcome(directory, latch)


def stop_every_engine(
    engines: Path, *, by: str, reason: str, guardian: Sequence[str] = GUARDIAN
) -> dict[str, EmergencyOutcome | WorkbenchError]:
    """
    Pull the emergency stop of every engine of a workspace at once; what one cannot do does not keep the others.

    Parameters
    ----------
    engines : Path
        The workspace's directory of engines.
    by, reason : str
        Who pulls it, and why.
    guardian : Sequence[str]
        The command that starts a guardian.

    Returns
    -------
    dict[str, EmergencyOutcome | WorkbenchError]
        By engine: how far it has come, or why it could not be done.

    """
    found = find_engines(engines)

    def stop(directory: EngineDirectory) -> EmergencyOutcome | WorkbenchError:
        try:
            return stop_emergency(directory, by=by, reason=reason, guardian=guardian)
        except WorkbenchError as e:
            return e

    if not found:
        return {}
    # One thread for each: nobody waits behind an engine that does not answer.
    with ThreadPoolExecutor(len(found), thread_name_prefix="emergency") as pool:
        return dict(zip((d.name for d in found), pool.map(stop, found), strict=True))


def clear_emergency(directory: EngineDirectory, *, by: str, reason: str) -> None:
    """
    Take the emergency stop away. The gate of a host that runs stays HALTED until its trading state is set.

    Raises
    ------
    InputError
        If there is no reason.
    ConflictError
        If no emergency stop holds.
    ServerError
        If the host does not answer: it has to know.

    """
    if not reason.strip():
        raise InputError("an emergency stop is cleared for a reason", field="reason")
    if not directory.is_latched:
        raise ConflictError(f"no emergency stop of the engine {directory.name} holds")
    if directory.is_held("host"):
        host = directory.load_host()
        if host is None:
            raise ServerError(f"the engine {directory.name} is starting", advice="try it again")
        call_host(host.socket, "/emergency-clear", {"reason": reason}, by=by, timeout_secs=_CLEAR_SECS)
        return
    # Nobody lives who could tell the journal: the next host does.
    latch = None
    with contextlib.suppress(ServerError):
        latch = directory.load_latch()
    write_clearing(directory, Clearing(at=utc_now(), by=by, reason=reason, latch=latch))
    directory.clear_latch()


class _Call(threading.Thread):
    """Tells the host of an emergency while the latch is written: neither waits for the other."""

    def __init__(self, directory: EngineDirectory, by: str, reason: str) -> None:
        super().__init__(name="emergency-call", daemon=True)
        self._directory = directory
        self._by = by
        self._reason = reason
        self.outcome: EmergencyOutcome | None = None

    def run(self) -> None:
        with contextlib.suppress(WorkbenchError, msgspec.ValidationError):
            host = self._directory.load_host() if self._directory.is_held("host") else None
            if host is not None:
                answer = call_host(
                    host.socket,
                    "/emergency-stop",
                    {"reason": self._reason},
                    by=self._by,
                    timeout_secs=_ANSWER_SECS,
                )
                self.outcome = msgspec.convert(answer, EmergencyOutcome)


def _rescue(directory: EngineDirectory, guardian: Sequence[str], *, is_heard: bool) -> None:
    """Start a guardian in an emergency: in turn, if that is soon, and else out of turn."""
    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ConflictError):
                stack.enter_context(directory.hold_lock("launcher", timeout_secs=_TURN_SECS))
            spawn_guardian(directory, guardian)
    except ServerError:
        # A host that heard closes by itself, and looks for a guardian by itself.
        if not is_heard:
            raise


def _load_emergency_policy(directory: EngineDirectory) -> EmergencyPolicy:
    try:
        host = directory.load_host()
        return directory.load_config(None if host is None else host.config_version).emergency
    except WorkbenchError:
        return EmergencyPolicy()


def _load_outcome(directory: EngineDirectory, latch: Latch) -> EmergencyOutcome:
    with contextlib.suppress(ServerError):
        latch = directory.load_latch() or latch
        outcome = directory.load_outcome()
        if outcome is not None and outcome.latch.ts_ns == latch.ts_ns:
            return outcome
    return EmergencyOutcome(latch=latch, shut_ns=0)
