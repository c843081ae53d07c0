"""The local owner: the OS user whose server it is, with a token in a private file."""

from __future__ import annotations

import getpass
import os
import re
from contextlib import suppress
from pathlib import Path

from workbench.api.auth import hash_token, make_token
from workbench.errors import NotFoundError, ServerError
from workbench.roles import Role
from workbench.stamps import utc_now
from workbench.store.store import Store

__all__ = ["ensure_owner", "make_private", "write_private"]


def ensure_owner(store: Store, path: Path) -> str:
    """
    Return the name of the local owner, an admin whose token is in the file `path`.

    The file is kept as long as its token is good; else a new token is made.
    """
    name = re.sub(r"[^A-Za-z0-9._@+-]", "_", getpass.getuser()).lstrip(".@+-")[:64] or "owner"
    try:
        store.get_user(name)
        store.update_user(name, role=Role.ADMIN, is_active=True)
    except NotFoundError:
        store.add_user(name, Role.ADMIN)
    known = None
    with suppress(OSError, UnicodeDecodeError):
        known = store.find_user_by_token(hash_token(path.read_text().strip()), utc_now())
    if known is None or known.name != name:
        token = make_token()
        store.add_token(name, token_hash=hash_token(token), label="local owner")
        write_private(path, f"{token}\n".encode())
    else:
        path.chmod(0o600)
    return name


def make_private(path: Path) -> None:
    """
    Make the directory `path`, open to this OS user alone.

    Raises
    ------
    ServerError
        If it cannot be made, or belongs to somebody else.

    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as e:
        raise ServerError(
            f"{path} cannot be made private: {e.strerror}", expected="a directory of yours"
        ) from e


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this OS user can read: whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
