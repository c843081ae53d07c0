"""Start and stop an engine from outside, by its files and its socket: server or no server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psutil

from workbench.engine_records import (
    Desired,
    DesiredState,
    EngineStatus,
)
from workbench.errors import ConflictError, ServerError, StartError, WorkbenchError
from workbench.live.config import StopPolicy
from workbench.live.databases import check_engine_database
from workbench.live.engine_directory import EngineDirectory
from workbench.live.exits import HostExit
from workbench.live.guardian_beat import end_frozen_guardian
from workbench.live.node_log import build_scrubber, read_errors
from workbench.live.observation import observe_engine
from workbench.live.output_log import find_size, open_output, read_output_end
from workbench.stamps import utc_now
from workbench.states import EngineState

__all__ = [
    "GUARDIAN",
    "ensure_guardian",
    "restart_engine",
    "spawn_guardian",
    "start_engine",
    "stop_engine",
]

# -P: a file of the user's, such as select.py, takes no module's place in it.
GUARDIAN = (sys.executable, "-P", "-m", "workbench.live.guardian")
_POLL_SECS = 0.05
_START_SECS = 60.0
_GUARDIAN_SECS = 15.0
_TURN_SECS = 30.0
# How much longer than the policy of a stop a guardian may take before its work is done for it.
_GRACE_SECS = 2.0
# How old the beat of a guardian may be before it is looked at closely.
_OLD_BEAT_SECS = 1.5


def ensure_guardian(directory: EngineDirectory, *, guardian: Sequence[str] = GUARDIAN) -> bool:
    """
    Start a guardian unless one is there and turns; return whether one was started.

    One that does not turn is killed: it can do nothing, and nobody else can while it holds the lock.

    Raises
    ------
    ServerError
        If it cannot be started.

    """
    if not end_frozen_guardian(directory):
        return False
    with directory.hold_lock("launcher", timeout_secs=_TURN_SECS):
        return spawn_guardian(directory, guardian)


def start_engine(
    directory: EngineDirectory,
    *,
    by: str,
    config_version: int | None = None,
    timeout_secs: float = _START_SECS,
    guardian: Sequence[str] = GUARDIAN,
) -> EngineStatus:
    """
    Start an engine and wait until it runs. One that runs is left as it is.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    by : str
        Who wants it.
    config_version : int, optional
        What it is to run; default: the last version, or what it runs.
    timeout_secs : float
        How long to wait. The engine goes on starting after that.
    guardian : Sequence[str]
        The command that starts a guardian.

    Raises
    ------
    NotFoundError
        If there is no such configuration.
    ConfigError
        If it cannot be read.
    ConflictError
        If the engine runs another version, is just being stopped, or an emergency stop closes what it has open.
    StartError
        If it does not come up, with what it logged and printed last.
    ServerError
        If its directory cannot be written, no guardian started, or a database that it needs does not answer.

    """
    version = directory.load_version(config_version).version
    config = directory.load_config(version)
    if not directory.is_held("host"):
        check_engine_database(config)
    with directory.hold_lock("launcher", timeout_secs=_TURN_SECS):
        request = _want_running(directory, version, config_version is not None, by)
        spawn_guardian(directory, guardian)
    return _wait_for_running(directory, request, time.monotonic() + timeout_secs, guardian)


def stop_engine(
    directory: EngineDirectory,
    *,
    by: str,
    is_flattening: bool = False,
    restart_version: int = 0,
    timeout_secs: float | None = None,
    guardian: Sequence[str] = GUARDIAN,
) -> EngineStatus:
    """
    Stop an engine and wait until its host is gone. One that is stopped is left as it is.

    It is asked, then told (SIGTERM), then killed, as the policy in its configuration says: by its guardian, or from
    here should that not do it.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    by : str
        Who wants it.
    is_flattening : bool
        Whether it closes what is open first. A later call may ask for that while it stops.
    restart_version : int
        The version of the configuration that the guardian starts then, should the caller not live to do it; 0: none.
    timeout_secs : float, optional
        How long to wait; default: as long as its policy may take. The engine goes on stopping after that.
    guardian : Sequence[str]
        The command that starts a guardian.

    Raises
    ------
    ConflictError
        If it trades no more, but goes on closing what an emergency stop wants closed, or was started meanwhile.
    ServerError
        If its directory cannot be written, or it is still there.

    """
    policy = _load_stop_policy(directory)
    most = policy.timeout_secs + policy.kill_secs + _GRACE_SECS
    started = time.monotonic()
    with directory.hold_lock("launcher", timeout_secs=_TURN_SECS):
        request = _want_stopped(directory, is_flattening, by, restart_version)
        if directory.is_held("host"):
            # Without one the host is stopped from here when the time of its policy is over.
            with contextlib.suppress(ServerError):
                spawn_guardian(directory, guardian)
    deadline = started + (most + _GRACE_SECS if timeout_secs is None else timeout_secs)
    while not _is_down(directory, request):
        status = observe_engine(directory)
        desired = status.desired
        if desired is not None and desired.request != request and desired.state is DesiredState.RUNNING:
            raise ConflictError(f"{desired.by} started the engine {directory.name} while it was stopped")
        if status.state is EngineState.LIQUIDATING and directory.is_latched and not directory.is_settled:
            raise ConflictError(
                f"the engine {directory.name} trades no more, but an emergency stop goes on closing what is open",
                advice="wait until it has settled, or clear it",
            )
        if _is_unguarded(status):  # It died or froze since, or had not let go of its lock yet
            with contextlib.suppress(ServerError, ConflictError):
                if ensure_guardian(directory, guardian=guardian):
                    # It begins at the first step of the policy
                    late = time.monotonic() - started
                    started += late
                    deadline += late if timeout_secs is None else 0.0
        now = time.monotonic()
        if now > started + most:
            _kill_host(directory)
        if now > deadline:
            if not status.is_alive:
                raise ServerError(
                    f"the host of the engine {directory.name} is gone, but its guardian does not answer",
                    advice=f"end the process that holds {directory.path / 'guardian.lock'}",
                )
            raise ServerError(f"the engine {directory.name} is not down yet: {'; '.join(status.reasons)}")
        time.sleep(_POLL_SECS)
    return observe_engine(directory)


def restart_engine(
    directory: EngineDirectory,
    *,
    by: str,
    config_version: int | None = None,
    is_flattening: bool = False,
    timeout_secs: float = _START_SECS,
    guardian: Sequence[str] = GUARDIAN,
) -> EngineStatus:
    """
    Stop an engine and start it again, by default with the last version of its configuration.

    Raises
    ------
    WorkbenchError
        As `stop_engine` and `start_engine`; a configuration that cannot be read is found before the stop.

    """
    version = directory.load_version(config_version).version
    check_engine_database(directory.load_config(version))
    stop_engine(directory, by=by, is_flattening=is_flattening, restart_version=version, guardian=guardian)
    return start_engine(
        directory, by=by, config_version=version, timeout_secs=timeout_secs, guardian=guardian
    )


def spawn_guardian(directory: EngineDirectory, guardian: Sequence[str] = GUARDIAN) -> bool:
    """Start a guardian unless one turns, without waiting for others who start one; it makes no second one."""
    if not end_frozen_guardian(directory):
        return False
    # One that is killed before it guards is not the end of it.
    for is_last in (False, True):
        code = _run_guardian(directory, guardian, is_last=is_last)
        if code is not None:
            break
    return code == 0


def _run_guardian(directory: EngineDirectory, guardian: Sequence[str], *, is_last: bool) -> int | None:
    start = find_size(directory.output)
    try:
        with open_output(directory.output) as output:
            # It detaches itself, and what was started here ends when the lock is held.
            code = subprocess.run(
                [*guardian, "--detach", str(directory.path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                timeout=_GUARDIAN_SECS,
                check=False,
            ).returncode
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ServerError(f"the guardian of the engine {directory.name} cannot be started: {e}") from e
    if code not in {0, HostExit.BUSY}:
        if not is_last:
            return None
        end = " | ".join(read_output_end(directory.output, start, lines=3))
        raise ServerError(
            f"the guardian of the engine {directory.name} does not start: {end or f'exit code {code}'}"
        )
    return code


def _want_running(directory: EngineDirectory, version: int, is_version_given: bool, by: str) -> int:
    """Write that the engine is wanted, unless it is already; return the number of the command."""
    if directory.is_latched and not directory.is_settled:
        raise ConflictError(
            f"an emergency stop of the engine {directory.name} holds, and has not settled",
            advice="wait until what is open is closed, or clear it",
        )
    desired, host = directory.load_desired(), directory.load_host()
    is_alive = directory.is_held("host")
    is_wanted = desired is not None and desired.state is DesiredState.RUNNING
    if desired is not None and is_alive and not is_wanted:
        raise ConflictError(f"the engine {directory.name} is just being stopped", advice="wait until it is")
    if desired is not None and is_wanted and (is_alive or _is_on_its_way(directory, desired)):
        if is_version_given and version != desired.config_version:
            raise ConflictError(
                f"the engine {directory.name} runs version {desired.config_version} of its configuration",
                advice=f"restart it with version {version}",
            )
        return desired.request
    # One that was started by hand is taken over as it is.
    running = host.config_version if is_alive and host is not None else version
    return _command(directory, desired, DesiredState.RUNNING, running, by)


def _is_on_its_way(directory: EngineDirectory, desired: Desired) -> bool:
    supervision = directory.load_supervision()
    if not directory.is_held("guardian"):
        return False
    return supervision is None or supervision.request != desired.request or not supervision.state.is_down


def _want_stopped(directory: EngineDirectory, is_flattening: bool, by: str, restart_version: int) -> int:
    desired = directory.load_desired()
    if desired is None and not directory.is_held("host"):
        return 0
    is_enough = desired is not None and (desired.is_flattening or not is_flattening)
    is_same = desired is not None and desired.restart_version == restart_version
    if desired is not None and desired.state is DesiredState.STOPPED and is_enough and is_same:
        return desired.request
    host = directory.load_host()
    version = desired.config_version if desired is not None else 0 if host is None else host.config_version
    more = {"is_flattening": is_flattening, "restart_version": restart_version}
    return _command(directory, desired, DesiredState.STOPPED, version, by, **more)


def _command(
    directory: EngineDirectory,
    before: Desired | None,
    state: DesiredState,
    version: int,
    by: str,
    **more: Any,
) -> int:
    request = 1 if before is None else before.request + 1
    directory.write_desired(
        Desired(
            state=state,
            config_version=version,
            request=request,
            by=by,
            at=utc_now(),
            **more,
        )
    )
    return request


def _wait_for_running(
    directory: EngineDirectory, request: int, deadline: float, guardian: Sequence[str]
) -> EngineStatus:
    while True:
        status = observe_engine(directory)
        desired, supervision = status.desired, status.supervision
        if status.is_alive and status.state is EngineState.RUNNING:
            return status
        if desired is not None and desired.request != request:
            raise ConflictError(f"{desired.by} wants the engine {directory.name} {desired.state} meanwhile")
        if (
            not status.is_alive
            and supervision is not None
            and supervision.request == request
            and supervision.state.is_down
        ):
            message = f"the engine {directory.name} did not come up: {supervision.message}"
            raise _build_start_error(directory, message, desired)
        if time.monotonic() > deadline:
            message = f"the engine {directory.name} is not up yet: {'; '.join(status.reasons)}"
            raise _build_start_error(directory, message, desired)
        if not status.is_guarded or _is_unguarded(status):
            ensure_guardian(directory, guardian=guardian)
        time.sleep(_POLL_SECS)


def _is_unguarded(status: EngineStatus) -> bool:
    """Return whether nobody watches a host, or what holds the guardian's lock seems to be frozen."""
    age_secs = status.guardian_age_secs
    if age_secs is None:
        return status.is_alive
    return not 0 <= age_secs < _OLD_BEAT_SECS


def _build_start_error(directory: EngineDirectory, message: str, desired: Desired | None) -> StartError:
    """Return an error with the reason as the host told it: what it logged and printed last, without secrets."""
    scrub = build_scrubber(directory)
    since = 0.0 if desired is None else datetime.fromisoformat(desired.at).timestamp()
    lines = read_errors(directory.log, most=3, since=since) + read_output_end(directory.output, lines=5)
    end = " | ".join(scrub(line) for line in lines)
    names = f"{directory.log.name} and {directory.output.name} in the directory of the engine"
    return StartError(scrub(message), advice=f"see {names}" + (f", which end: {end}" if end else ""))


def _is_down(directory: EngineDirectory, request: int) -> bool:
    if directory.is_held("host"):
        return False
    if not directory.is_held("guardian"):
        return True
    supervision = directory.load_supervision()
    return supervision is not None and supervision.request == request and supervision.state.is_down


def _kill_host(directory: EngineDirectory) -> None:
    process = directory.find_process("host")
    with contextlib.suppress(psutil.Error):
        if process is not None:
            process.kill()


def _load_stop_policy(directory: EngineDirectory) -> StopPolicy:
    try:
        host = directory.load_host()
        return directory.load_config(None if host is None else host.config_version).stop
    except WorkbenchError:
        return StopPolicy()
