"""What an app keeps while it runs, in a directory that only its OS user can open: tickets and the kernels' files."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import time
from pathlib import Path
from urllib.parse import quote

from workbench.errors import ConflictError, NotFoundError, ServerError
from workbench.files import take_lock

__all__ = ["KernelFiles", "RuntimeDirectory"]

_TICKET = re.compile(r"[\w-]{43}")
_TICKET_SECS = 600.0
_LOCK_SECS = 2.0
# What a socket's name may have, less what Jupyter adds: a folder, a kernel's id and a number.
_MOST_PATH = 107 - 65


class RuntimeDirectory:
    """
    The private directory of the app at a port: 0700, and its own OS user's.

    Whoever can write in it is that OS user, so a ticket in it proves who asked for it, and no secret crosses an edge.

    Parameters
    ----------
    runtime : Path
        Where it is made.
    port : int
        The app's port.

    Attributes
    ----------
    path : Path
        The directory.

    """

    def __init__(self, runtime: Path, port: int) -> None:
        self.path = runtime / f"wb-live-{os.getuid()}-{port}"
        self._port = port
        self._lock: int | None = None

    @property
    def kernels(self) -> Path:
        """Return where the files of the kernels are."""
        return self.path / "kernels"

    @property
    def _tickets(self) -> Path:
        return self.path / "tickets"

    def open(self) -> None:
        """
        Take the directory for the app of this process; what another has left is removed.

        Raises
        ------
        ServerError
            If it is somebody else's, or its path too long for the sockets of kernels.
        ConflictError
            If an app uses it.

        """
        if len(os.fsencode(self.path)) > _MOST_PATH:
            raise ServerError(
                f"{self.path} is too long for sockets", advice="set XDG_RUNTIME_DIR to a short path"
            )
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()
        self.path.chmod(0o700)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not take_lock(self._lock, time.monotonic() + _LOCK_SECS):
            raise ConflictError(
                f"an app is served at port {self._port} already", advice="name another --port"
            )
        for folder in (self.kernels, self._tickets):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove everything; another app may use the port."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def make_ticket(self) -> str:
        """
        Return a new ticket: it signs in once, within ten minutes.

        Raises
        ------
        NotFoundError
            If no app of this OS user is served at the port.

        """
        ticket = secrets.token_urlsafe(32)
        try:
            self._check()
            os.close(os.open(self._tickets / ticket, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as e:
            raise NotFoundError(
                f"no app of yours is served at port {self._port}", advice="start it: `workbench live`"
            ) from e
        return ticket

    def take_ticket(self, ticket: str) -> bool:
        """Return whether `ticket` is good, and make it worthless."""
        if not _TICKET.fullmatch(ticket):
            return False
        path = self._tickets / ticket
        try:
            age = time.time() - path.stat().st_mtime
            path.unlink()  # Of two that come at once only one can
        except OSError:
            return False
        return age <= _TICKET_SECS

    def build_path(self, ticket: str, page: str = "/") -> str:
        """Return the path and query that signs in with `ticket` and shows `page`."""
        return f"/login?ticket={ticket}&next={quote(page, safe='')}"

    def _check(self) -> None:
        status = self.path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise ServerError(f"{self.path} is not a directory of yours", advice="remove it")


class KernelFiles:
    """
    The two files by which a kernel learns whose page it serves.

    Parameters
    ----------
    folder : Path
        A private directory.
    kernel_id : str
        The kernel.

    """

    def __init__(self, folder: Path, kernel_id: str) -> None:
        self.token = folder / f"{kernel_id}.token"
        self.page = folder / f"{kernel_id}.page"

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells the kernel where they are."""
        return {"WORKBENCH_TOKEN_FILE": str(self.token), "WORKBENCH_PAGE_FILE": str(self.page)}

    def write(self, token: str, query: str) -> None:
        """Name the person, by their token, and what the address asks for. The kernel waits for the second file."""
        for path, text in ((self.token, token), (self.page, query)):
            temporary = path.with_suffix(".tmp")
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            temporary.replace(path)

    def remove(self) -> None:
        """Remove them: the kernel is over, or has no business any more."""
        for path in (self.token, self.page):
            path.unlink(missing_ok=True)
