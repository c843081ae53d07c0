"""The directory of an engine: its truth, read by everybody, each file written by one."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from workbench.engine_records import (
    ConfigVersion,
    Desired,
    EmergencyOutcome,
    Heartbeat,
    HostRecord,
    Latch,
    Supervision,
)
from workbench.errors import ConflictError, InputError, NotFoundError, ServerError
from workbench.files import take_lock, write_atomically
from workbench.live.config import EngineConfig, parse_engine_config
from workbench.stamps import utc_now

__all__ = ["EngineDirectory", "build_missing_error", "find_engines", "make_socket_path"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_VERSION = re.compile(r"[0-9]{6,}", re.ASCII)
_LOCK_SECS = 0.5
_WRITE_SECS = 5.0
_MOST_SOCKET = 100

type LockRole = Literal["host", "guardian", "launcher"]


class EngineDirectory:
    """
    One engine's files.

    Parameters
    ----------
    path : Path
        ``<engines>/<name>``.

    Raises
    ------
    InputError
        If the name cannot be one of an engine.

    """

    def __init__(self, path: Path) -> None:
        resolved = path.resolve()
        if _NAME.fullmatch(resolved.name) is None:
            raise InputError(
                f"{resolved.name!r} cannot be the name of an engine",
                expected="at most 40 of a-z, 0-9, - and _, a letter or digit first",
                field="name",
            )
        self.path = resolved

    @property
    def name(self) -> str:
        """Return the engine's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Return where the journal is."""
        return self.path / "journal.sqlite"

    @property
    def equity(self) -> Path:
        """Return where the history of the equity is."""
        return self.path / "equity.sqlite"

    @property
    def day(self) -> Path:
        """Return where it is kept with what the day began."""
        return self.path / "day.json"

    @property
    def log(self) -> Path:
        """Return where nautilus logs, as JSON lines."""
        return self.path / "log.jsonl"

    @property
    def output(self) -> Path:
        """Return where the standard output and error of host and guardian go."""
        return self.path / "output.log"

    @property
    def gate(self) -> Path:
        """Return where the gate keeps its counters."""
        return self.path / "gate.json"

    @property
    def has_config(self) -> bool:
        """Return whether the engine exists: it has a configuration."""
        return bool(self._list_numbers())

    def create(self) -> None:
        """Make the directory, private to its user, if it is not there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as e:
            raise ServerError(f"the engine's directory {self.path} cannot be made: {e.strerror}") from e

    @contextlib.contextmanager
    def hold_lock(self, role: LockRole, *, timeout_secs: float = _LOCK_SECS) -> Iterator[None]:
        """
        Hold the lock of the host or the guardian, for the life of this process, or that of one who starts or stops.

        Raises
        ------
        ConflictError
            If another process holds it for longer than `timeout_secs`.
        ServerError
            If there is no such directory, or it cannot be written to.

        """
        # Somebody who only asks holds it for a moment.
        busy = f"the engine {self.name} has a {role} already"
        with _hold(self.path / f"{role}.lock", timeout_secs, busy) as descriptor:
            # So that it can be told from the first moment who must be killed.
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, f"{os.getpid():<19}\n".encode(), 0)
            yield

    def is_held(self, role: LockRole) -> bool:
        """Return whether a host or guardian holds its lock: the one sure sign of life."""
        try:
            descriptor = os.open(self.path / f"{role}.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as e:
            raise ServerError(f"{self.path} cannot be looked into: {e.strerror}") from e
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def find_holder(self, role: LockRole) -> int | None:
        """Return the process that took the lock last, if that can be told; it may be dead."""
        try:
            return int((self.path / f"{role}.lock").read_bytes()[:20])
        except (OSError, ValueError):
            return None

    def beat(self) -> None:
        """Tell that the guardian turns; for the guardian only."""
        with contextlib.suppress(OSError):  # A disk that takes nothing: then it looks frozen, and is replaced
            os.utime(self.path / "guardian.lock")

    def find_beat(self) -> int:
        """Return when the guardian turned last, UNIX nanoseconds UTC; 0 if it never did."""
        try:
            return (self.path / "guardian.lock").stat().st_mtime_ns
        except OSError:
            return 0

    def find_process(self, role: LockRole) -> psutil.Process | None:
        """Return the process that has the lock's file open: a number alone may be another's by now."""
        pid, lock = self.find_holder(role), str(self.path / f"{role}.lock")
        try:
            process = None if pid is None else psutil.Process(pid)
            has_it = process is not None and any(f.path == lock for f in process.open_files())
        except (OSError, ValueError, OverflowError, psutil.Error):
            return None
        return process if has_it and self.is_held(role) else None

    def save_config(self, config: EngineConfig, *, by: str, comment: str = "") -> int:
        """Write a new version of the configuration, and return its number."""
        self.create()
        with _hold(self.path / "write.lock", _WRITE_SECS, f"another process is changing {self.name}"):
            number = max(self._list_numbers(), default=0) + 1
            version = ConfigVersion(
                version=number, at=utc_now(), by=by, comment=comment, config=msgspec.to_builtins(config)
            )
            self._write(f"configs/{number:06}.json", version)
        return number

    def load_version(self, number: int | None = None) -> ConfigVersion:
        """
        Return a version of the configuration; default: the last one.

        Raises
        ------
        NotFoundError
            If there is none.

        """
        numbers = self._list_numbers()
        if not numbers:
            raise NotFoundError(
                f"the engine {self.name} has no configuration",
                advice="`workbench engine config presets` shows where to begin",
            )
        wanted = max(numbers) if number is None else number
        found = self._read(f"configs/{wanted:06}.json", ConfigVersion)
        if found is None:
            raise NotFoundError(
                f"the engine {self.name} has no version {wanted} of its configuration",
                expected=f"1 to {max(numbers)}",
            )
        return found

    def load_config(self, number: int | None = None) -> EngineConfig:
        """Return a configuration; default: the last one."""
        return parse_engine_config(self.load_version(number).config)

    def list_versions(self) -> list[ConfigVersion]:
        """Return every version of the configuration, the last one first."""
        return [self.load_version(n) for n in sorted(self._list_numbers(), reverse=True)]

    def load_desired(self) -> Desired | None:
        """Return what people want, if anybody ever started it."""
        return self._read("desired.json", Desired)

    def write_desired(self, desired: Desired) -> None:
        """Write what people want."""
        self._write("desired.json", desired)

    def load_host(self) -> HostRecord | None:
        """Return the host, or the last one."""
        return self._read("host.json", HostRecord)

    def write_host(self, record: HostRecord) -> None:
        """Write which host holds the lock; for the host only."""
        self._write("host.json", record)

    def load_heartbeat(self) -> Heartbeat | None:
        """Return the last heartbeat."""
        return self._read("heartbeat.json", Heartbeat)

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Write a heartbeat; for the host only."""
        self._write("heartbeat.json", heartbeat, is_durable=False)

    def load_supervision(self) -> Supervision | None:
        """Return what the guardian wrote last."""
        return self._read("supervision.json", Supervision)

    def write_supervision(self, supervision: Supervision) -> None:
        """Write what the guardian does; for the guardian only."""
        self._write("supervision.json", supervision)

    @property
    def is_latched(self) -> bool:
        """Return whether an emergency stop holds, readable or not."""
        return (self.path / "latch.json").exists()

    def load_latch(self) -> Latch | None:
        """
        Return the emergency stop that holds.

        Raises
        ------
        ServerError
            If there is one that cannot be read: it holds all the same.

        """
        return self._read("latch.json", Latch)

    def write_latch(self, latch: Latch) -> None:
        """
        Latch an emergency stop, unless one holds already: the first one stays, whoever else writes at the same time.

        Raises
        ------
        ServerError
            If it cannot be written; where there is no room for it, an empty one was left, which holds as well.

        """
        if self.is_latched:
            return
        name = f"latch-{os.getpid()}-{threading.get_ident()}.tmp"
        try:
            self._write(name, latch)
            with contextlib.suppress(FileExistsError):
                (self.path / "latch.json").hardlink_to(self.path / name)
        except (ServerError, OSError) as e:
            with contextlib.suppress(OSError):
                (self.path / "latch.json").touch(mode=0o600)
            raise ServerError(f"latch.json of the engine {self.name} cannot be written: {e}") from e
        finally:
            (self.path / name).unlink(missing_ok=True)

    def clear_latch(self) -> None:
        """Take the emergency stop away; what happened stays in the journal."""
        # In this order: without an outcome a latch that is left behind is one that has to be acted on.
        (self.path / "outcome.json").unlink(missing_ok=True)
        (self.path / "latch.json").unlink(missing_ok=True)

    @property
    def is_settled(self) -> bool:
        """Return whether the emergency stop that holds has done all that it can; what cannot be read says no."""
        try:
            latch, outcome = self.load_latch(), self.load_outcome()
        except ServerError:
            return False
        if latch is None or outcome is None or outcome.settled_ns is None:
            return False
        return outcome.latch.ts_ns == latch.ts_ns

    def load_outcome(self) -> EmergencyOutcome | None:
        """Return how far the emergency stop has come."""
        return self._read("outcome.json", EmergencyOutcome)

    def write_outcome(self, outcome: EmergencyOutcome) -> None:
        """Write how far the emergency stop has come; for the host only."""
        self._write("outcome.json", outcome)

    def _list_numbers(self) -> list[int]:
        names = (p.stem for p in (self.path / "configs").glob("*.json"))
        return [int(n) for n in names if _VERSION.fullmatch(n) and f"{int(n):06}" == n]

    def _read[T](self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
            raise ServerError(f"{name} of the engine {self.name} cannot be read: {e}") from e

    def _write(self, name: str, record: msgspec.Struct, *, is_durable: bool = True) -> None:
        content = msgspec.json.encode(record) + b"\n"
        try:
            write_atomically(self.path / name, content, is_durable=is_durable)
        except OSError as e:
            raise ServerError(f"{name} of the engine {self.name} cannot be written: {e.strerror}") from e


def build_missing_error(name: str, engines: Path) -> NotFoundError:
    """Return the error that tells that there is no engine of this name, and how one is made."""
    flag = "" if name == "default" else f" --engine {name}"
    command = (
        f"workbench engine config set{flag} --preset sandbox-replay --set catalog_path=... --set venue=..."
    )
    return NotFoundError(
        f"there is no engine {name!r}",
        expected=", ".join(d.name for d in find_engines(engines)) or "one that was configured",
        advice=f"`{command}` makes a SANDBOX on a replay; `workbench engine config presets` shows the others",
    )


def find_engines(path: Path) -> list[EngineDirectory]:
    """Return the engines in a workspace's directory of engines, by name."""
    if not path.is_dir():
        return []
    paths = sorted({p.resolve() for p in path.iterdir() if p.is_dir()})
    return [d for d in (EngineDirectory(p) for p in paths if _NAME.fullmatch(p.name)) if d.has_config]


def make_socket_path(directory: EngineDirectory, runtime: Path) -> Path:
    """
    Return where the socket of a host goes, in a directory that is made private to its user.

    The name of a socket has a limit of about 100 characters, whatever the path of the workspace.

    Raises
    ------
    ServerError
        If somebody else's directory is in its place, or `runtime` is too deep.

    """
    digest = hashlib.sha256(str(directory.path).encode()).hexdigest()[:12]
    path = runtime / f"workbench-{os.getuid()}-{digest}" / "host.sock"
    if len(os.fsencode(path)) > _MOST_SOCKET:
        raise ServerError(f"{path} is too long for a socket", advice="set XDG_RUNTIME_DIR to a short path")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ServerError(f"{path.parent} is not a directory of yours", advice="remove it")
    path.parent.chmod(0o700)
    return path


@contextlib.contextmanager
def _hold(path: Path, secs: float, busy: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise ServerError(f"{path} cannot be locked: {e.strerror}") from e
    try:
        if not take_lock(descriptor, time.monotonic() + secs):
            raise ConflictError(busy)
        yield descriptor
    finally:
        os.close(descriptor)
