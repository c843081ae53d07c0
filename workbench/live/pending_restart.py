"""The second half of a restart: whoever asked for it may be dead before the engine is down."""

from __future__ import annotations

import msgspec

from workbench.engine_records import Desired, DesiredState
from workbench.errors import ConflictError
from workbench.live.engine_directory import EngineDirectory
from workbench.stamps import utc_now

__all__ = ["PendingRestart", "has_restart"]

# Whoever asked starts it as soon as it is down, and is waited for.
_PATIENCE_SECS = 5.0


def has_restart(desired: Desired | None) -> bool:
    """Return whether a start is to follow the stop that is wanted."""
    return desired is not None and desired.state is DesiredState.STOPPED and desired.restart_version > 0


class PendingRestart:
    """
    Starts what was stopped only to be started again, should nobody else do it; the guardian has one.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.

    """

    def __init__(self, directory: EngineDirectory) -> None:
        self._directory = directory
        self._request = 0
        self._due = 0.0

    def look(self, desired: Desired | None, now: float) -> None:
        """
        Look at what is wanted of an engine that is down; `now` is of the monotonic clock.

        Raises
        ------
        ServerError
            If the command cannot be written.

        """
        if desired is None or not has_restart(desired):
            return
        if desired.request != self._request:
            self._request, self._due = desired.request, now + _PATIENCE_SECS
        if now < self._due:
            return
        try:
            with self._directory.hold_lock("launcher", timeout_secs=0.0):
                if self._directory.load_desired() != desired:
                    return
                self._directory.write_desired(
                    msgspec.structs.replace(
                        desired,
                        state=DesiredState.RUNNING,
                        config_version=desired.restart_version,
                        request=desired.request + 1,
                        is_flattening=False,
                        restart_version=0,
                        at=utc_now(),
                    )
                )
        except ConflictError:  # Somebody is just giving another command
            return
