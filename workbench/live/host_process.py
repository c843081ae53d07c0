"""A host as its guardian has it: a child, or one that was found alive; and how it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Self

import msgspec
import psutil

from workbench.engine_records import Heartbeat, HostMode, HostRecord
from workbench.errors import ServerError
from workbench.live.config import StopPolicy
from workbench.live.engine_directory import EngineDirectory
from workbench.live.host_call import call_host
from workbench.live.output_log import bound_output, find_size, open_output, read_output_end
from workbench.live.pulse import Pulse

__all__ = ["HostProcess", "StopLadder"]

_CALL_SECS = 0.5
_STATUS_SECS = 0.3
# Two heartbeats that did not come.
_SILENT_SECS = 0.85
_REPEAT_SECS = 1.0


class HostProcess:
    """
    One host that is alive, or was a moment ago.

    Parameters
    ----------
    directory : EngineDirectory
        Of which engine.
    pid : int
        The process.
    mode : HostMode
        What it is for, as far as it is known.
    child : subprocess.Popen, optional
        Where it is one of ours: only then its exit code can be seen.

    """

    def __init__(
        self,
        directory: EngineDirectory,
        pid: int,
        mode: HostMode,
        child: subprocess.Popen[bytes] | None = None,
        output_start: int = 0,
    ) -> None:
        self._directory = directory
        self._child = child
        self._output_start = output_start
        self.pid = pid
        self.mode = mode
        self.incarnation = 0
        self.pulse = Pulse(pid, time.monotonic())
        self.doom = ""
        self._doomed_at = 0.0
        self._asked_at = 0.0

    @classmethod
    def spawn(cls, directory: EngineDirectory, command: Sequence[str], mode: HostMode) -> Self:
        """
        Start a host that outlives this process.

        Raises
        ------
        OSError
            If that is not possible.

        """
        bound_output(directory.output)
        start = find_size(directory.output)
        flags = ["--liquidate"] if mode is HostMode.LIQUIDATE else []
        with open_output(directory.output) as output:
            child = subprocess.Popen(
                [*command, str(directory.path), *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(directory, child.pid, mode, child, start)

    @classmethod
    def adopt(cls, directory: EngineDirectory) -> Self | None:
        """Return the host that holds the lock, if it can be told which process that is."""
        process = directory.find_process("host")
        try:
            is_closing = process is not None and "--liquidate" in process.cmdline()
        except psutil.Error:
            return None
        mode = HostMode.LIQUIDATE if is_closing else HostMode.TRADE
        return None if process is None else cls(directory, process.pid, mode)

    @property
    def code(self) -> int | None:
        """Return its exit code, if it is known."""
        return None if self._child is None else self._child.returncode

    def is_alive(self) -> bool:
        """Return whether it lives: a child until it has ended, any other as long as it holds the lock."""
        if self._child is not None:
            return self._child.poll() is None
        return self._directory.is_held("host")

    def identify(self) -> HostRecord | None:
        """
        Return what it wrote of itself at its start, if it is that far.

        Raises
        ------
        ServerError
            If that cannot be read.

        """
        record = self._directory.load_host()
        if record is None or record.pid != self.pid:
            return None
        self.mode, self.incarnation = record.mode, record.incarnation
        return record

    def look(self, now: float) -> str:
        """Read what it says of itself, and return what could not be read: that is no sign of life."""
        trouble, record = "", None
        try:
            record = self.identify()
        except ServerError as e:
            trouble = str(e)
        try:
            self.pulse.see(self._directory.load_heartbeat(), now)
        except ServerError as e:
            trouble = str(e)
        if record is not None and self.pulse.is_heard and self.pulse.find_silence(now) > _SILENT_SECS:
            self._ask(record.socket, now)
        return trouble

    def _ask(self, path: str, now: float) -> None:
        """Ask a host that writes no heartbeat for it: a disk may be full, and nothing else be wrong."""
        if now - self._asked_at < _CALL_SECS:
            return
        self._asked_at = now
        try:
            values = call_host(path, "/status", by="guardian", timeout_secs=_STATUS_SECS)
            heartbeat = msgspec.convert(values["heartbeat"], Heartbeat)
        except (ServerError, msgspec.ValidationError, KeyError, TypeError):
            return
        self.pulse.see(heartbeat, time.monotonic())

    def send(self, number: signal.Signals) -> bool:
        """Send it a signal, and return whether there was somebody to send it to."""
        if self._child is not None:
            self._child.send_signal(number)
            return True
        process = self._directory.find_process("host")
        try:
            if process is None or process.pid != self.pid:
                return False
            process.send_signal(number)
        except psutil.Error:
            return False
        return True

    def kill(self, reason: str, now: float) -> bool:
        """Kill it, again after a second if it is still there, and return whether that was done just now."""
        if self.doom and now - self._doomed_at < _REPEAT_SECS:
            return False
        self.doom, self._doomed_at = self.doom or reason, now
        self.send(signal.SIGKILL)
        return True

    def read_last_line(self) -> str:
        """Return the last line that it printed: of a traceback, what it was."""
        if self._child is None:
            return ""
        lines = read_output_end(self._directory.output, self._output_start)
        own = [line for line in lines if f" guardian {os.getpid()}: " not in line]
        return own[-1][:300] if own else ""


class StopLadder:
    """
    How a host is stopped: it is asked, then told (SIGTERM), then killed.

    Parameters
    ----------
    policy : StopPolicy
        How long it is given.
    is_flattening : bool
        Whether it closes what is open first.
    by : str
        Who wants it to stop.
    now : float
        Since when, monotonic seconds.

    """

    def __init__(self, policy: StopPolicy, *, is_flattening: bool, by: str, now: float) -> None:
        self._policy = policy
        self._is_flattening = is_flattening
        self._by = by
        self._since = now
        self._asked_at: float | None = None
        self._is_accepted = False
        self._is_told = False

    def step(self, host: HostProcess, now: float) -> str:
        """Do what is due, and return where that stands, in words."""
        told_at = self._since + self._policy.timeout_secs
        killed_at = told_at + self._policy.kill_secs
        if now >= killed_at:
            host.kill(f"it did not end within {killed_at - self._since:g} s of being asked to", now)
            return "it is killed"
        if not self._is_told and not self._is_accepted:
            self._ask(host, now)
        # One that never spoke loads still: it has nothing open, and nobody in it could hear the request.
        if not self._is_told and (now >= told_at or not (self._is_accepted or host.pulse.is_heard)):
            self._is_told = host.send(signal.SIGTERM)
        if self._is_told:
            return f"told to end; killed in {killed_at - now:.0f} s" if now >= told_at else "told to end"
        return "closing what is open" if self._is_flattening else "asked to end"

    def _ask(self, host: HostProcess, now: float) -> None:
        if self._asked_at is not None and now - self._asked_at < _REPEAT_SECS:
            return
        self._asked_at = now
        try:
            record = host.identify()
            if record is None:
                return
            body = {"is_flattening": self._is_flattening}
            call_host(record.socket, "/stop", body, by=self._by, timeout_secs=_CALL_SECS)
        except ServerError:
            return
        self._is_accepted = True
