"""The workspace's own server: found by what it left in the state directory, started, and stopped."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from workbench import __version__
from workbench.client.transport import PREFIX, Endpoint, build_http
from workbench.config import Settings
from workbench.errors import AuthenticationError, ServerError
from workbench.files import take_lock

__all__ = ["LocalServer", "check_version", "load_token"]

_API = 1
_HEALTH_SECS = 5.0
_POLL_SECS = 0.05
_IDLE_SECS = 1800
_KILL_SECS = 10.0
_LOG_LINES = 12
_STOP = "`workbench serve --stop` ends it"


class _Left(msgspec.Struct):
    """What a running server has left in ``server.json``."""

    url: str
    pid: int


class LocalServer:
    """
    The server of a workspace, running or not.

    Parameters
    ----------
    settings : Settings
        The workspace.

    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = settings.state
        self._log_start = 0

    def is_running(self) -> bool:
        """Return whether a process holds the server's lock: the one sure sign of life."""
        try:
            descriptor = os.open(self._state / "server.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError as e:
            raise ServerError(f"{self._state} cannot be looked into: {e.strerror}") from e
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def find(self, timeout_secs: float = _HEALTH_SECS) -> Endpoint | None:
        """
        Return where the server answers; ``None`` if it does not within `timeout_secs`.

        Raises
        ------
        ServerError
            If it is of another version.

        """
        left = self._read_left()
        health = None if left is None else _fetch_health(left.url, min(timeout_secs, _HEALTH_SECS))
        if left is None or health is None:
            return None
        if health.get("pid") != left.pid or health.get("workspace") != self._build_hash():
            return None  # Somebody else's server at the port of one that is dead
        check_version(health, left.url)
        return Endpoint(left.url, load_token(self._settings.token_file))

    def start(self, timeout_secs: float) -> Endpoint:
        """
        Start the server, detached from this process, unless it runs; return where it answers.

        Of several that call this at the same moment one starts it, and all get the same.

        Raises
        ------
        ServerError
            If it cannot be started, or does not answer in time; with the end of its log.

        """
        deadline = time.monotonic() + timeout_secs
        try:
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._take_turn(deadline):
                return self._wait_for_health(deadline)
        except OSError as e:
            raise ServerError(f"the server cannot be started: {e}") from e

    def wait(self, timeout_secs: float) -> Endpoint:
        """
        Return where the server answers, once it does.

        Raises
        ------
        ServerError
            If it does not run, or does not answer in time.

        """
        return self._wait_for_health(time.monotonic() + timeout_secs, may_launch=False)

    def stop(self, timeout_secs: float) -> bool:
        """
        End the server: SIGTERM, and SIGKILL when `timeout_secs` are over. Return whether one ran.

        Raises
        ------
        ServerError
            If a server runs that cannot be ended.

        """
        if not self.is_running():
            return False
        pid: int | None = None
        for number, secs in ((signal.SIGTERM, timeout_secs), (signal.SIGKILL, _KILL_SECS)):
            deadline, is_sent = time.monotonic() + secs, False
            while time.monotonic() < deadline:
                pid = self._find_pid() or pid
                if pid is not None and not is_sent:
                    with contextlib.suppress(ProcessLookupError):  # It has just ended
                        os.kill(pid, number)
                    is_sent = True
                _pause()
                if not self.is_running():
                    return True
        raise ServerError(
            f"the server of {self._settings.workspace} cannot be ended", expected="a server of yours"
        )

    def _find_pid(self) -> int | None:
        """Return the server's process if it has the lock's file open: a number alone may be another's by now."""
        left = self._read_left()
        try:
            files = [] if left is None else psutil.Process(left.pid).open_files()
        except psutil.Error:
            return None
        lock = str((self._state / "server.lock").resolve())
        is_holder = any(file.path == lock for file in files)
        return left.pid if left is not None and is_holder else None

    def _wait_for_health(self, deadline: float, *, may_launch: bool = True) -> Endpoint:
        process: subprocess.Popen[bytes] | None = None
        while True:
            # Read before it is asked: one that ends after it was asked is asked again.
            is_over = process is not None and process.poll() is not None
            endpoint = self.find(max(deadline - time.monotonic(), 0.1))
            if endpoint is not None:
                return endpoint
            if process is None or is_over:
                is_running = self.is_running()
                if not is_running and (is_over or not may_launch):
                    what = "ended at its start" if is_over else f"of {self._settings.workspace} does not run"
                    raise ServerError(f"the server {what}{self._read_log_end() if is_over else ''}")
                if not is_running:
                    process = self._launch()
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the server of {self._settings.workspace} does not answer{self._read_log_end()}",
                    advice=_STOP,
                )
            _pause()

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = self._settings
        environment = {
            **{k: v for k, v in os.environ.items() if k not in {"WORKBENCH_SERVER", "WORKBENCH_TOKEN_FILE"}},
            "WORKBENCH_HOME": str(settings.workspace),
            "WORKBENCH_CATALOG": str(settings.catalog),
            "WORKBENCH_RUNS": str(settings.runs),
            "WORKBENCH_ENGINES": str(settings.engines),
            "WORKBENCH_DATABASE": settings.database,
        }
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with open(self._log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            process = subprocess.Popen(
                # -P: a file of the user's, such as select.py, takes no module's place in the server.
                [sys.executable, "-P", "-m", "workbench.cli.main", "serve", "--idle-secs", str(_IDLE_SECS)],
                cwd=settings.workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # It outlives this process; should it end before, somebody has to take note of that.
        threading.Thread(target=process.wait, name="workbench-server", daemon=True).start()
        return process

    @contextlib.contextmanager
    def _take_turn(self, deadline: float) -> Iterator[None]:
        """Hold the lock of those who start the server."""
        descriptor = os.open(self._state / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not take_lock(descriptor, deadline):
                raise ServerError("another process is starting the server and does not finish")
            yield
        finally:
            os.close(descriptor)

    def _read_left(self) -> _Left | None:
        try:
            return msgspec.json.decode((self._state / "server.json").read_bytes(), type=_Left)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _build_hash(self) -> str:
        return hashlib.sha256(str(self._settings.workspace).encode()).hexdigest()[:16]

    @property
    def _log(self) -> Path:
        return self._state / "server.log"

    def _read_log_end(self) -> str:
        try:
            lines = self._log.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in [f"(the end of {self._log})", *lines[-_LOG_LINES:]])


def _fetch_health(url: str, timeout_secs: float) -> dict[str, Any] | None:
    """Return what the server at `url` says about itself; ``None`` if no server answers there in time."""
    try:
        with build_http(url) as http:
            response = http.get(f"{url.rstrip('/')}{PREFIX}/health", timeout=timeout_secs)
        health = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    return health if response.is_success and isinstance(health, dict) else None


def check_version(health: dict[str, Any], url: str) -> None:
    """
    Compare the server's version with the one here.

    Raises
    ------
    ServerError
        If they differ.

    """
    if health.get("version") != __version__ or health.get("api") != _API:
        raise ServerError(
            f"the server at {url} is version {health.get('version')} (api {health.get('api')}), "
            f"this is version {__version__} (api {_API})",
            advice=f"{_STOP}, and the next command starts one of this version",
        )


def load_token(path: Path) -> str:
    """
    Read the token in the file `path`.

    Raises
    ------
    AuthenticationError
        If there is none.

    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise AuthenticationError(
            f"the token {path} cannot be read: {e}",
            advice="set WORKBENCH_TOKEN_FILE to the file with your token",
        ) from e
    if not token:
        raise AuthenticationError(f"the token file {path} is empty")
    return token


def _pause() -> None:
    threading.Event().wait(_POLL_SECS)
