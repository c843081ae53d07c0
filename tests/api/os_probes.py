"""What other OS users try: to ask every route with a token, and to reach what is not theirs without any."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.api.os_users import become

LISTEN_SECS = 1.0


def ask_routes(uid: int, url: str, token: str | None, routes: list[tuple[str, str]]) -> list[int]:
    """Return the status of the answer of each route, the code of the close where a WebSocket was closed."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, timeout=60, verify=False) as client:
        # Both ways once before: nothing of root's can be imported afterwards.
        client.get("/api/v1/nautilus/health")
        _listen(url, "/api/v1/nautilus/jobs/events", {})
        become(uid)
        answers = []
        for method, path in routes:
            if method == "WS":
                answers.append(_listen(url, path, headers))
                continue
            body = None if method in ("GET", "DELETE") else {"nonsense": 1}
            answers.append(client.request(method, path, json=body, headers=headers).status_code)
    return answers


def _listen(url: str, path: str, headers: dict[str, str]) -> int:
    try:
        with connect(url.replace("http", "ws", 1) + path, additional_headers=headers) as line:
            line.recv(timeout=LISTEN_SECS)
    except TimeoutError:
        return 101
    except ConnectionClosed as e:
        return 0 if e.rcvd is None else e.rcvd.code
    return 101


def reach(uid: int, folders: list[str], pids: list[int]) -> list[str]:
    """Return what somebody can do of all that would help them: to files and sockets in `folders`, to processes."""
    paths = [path for folder in map(Path, folders) for path in sorted([folder, *folder.rglob("*")])]
    found = [(path, path.is_dir(), path.is_socket()) for path in paths]
    become(uid)
    return list(_reach(found, pids))


def _reach(found: list[tuple[Path, bool, bool]], pids: list[int]) -> Iterator[str]:
    for path, is_folder, is_socket in found:
        if is_socket:
            yield from _try(f"connect to {path}", lambda path=path: _connect(path))
        elif is_folder:
            yield from _try(f"list {path}", lambda path=path: list(path.iterdir()))
            yield from _try(f"write in {path}", lambda path=path: _create(path / "probe.tmp"))
        else:
            yield from _try(f"read {path}", lambda path=path: path.open("rb").close())
            yield from _try(f"change {path}", lambda path=path: path.open("r+b").close())
    for pid in pids:
        yield from _try(f"signal {pid}", lambda pid=pid: os.kill(pid, 0))
        yield from _try(f"read the environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes)


def _try(what: str, attempt: Callable[[], Any]) -> Iterator[str]:
    with contextlib.suppress(PermissionError, FileNotFoundError):
        attempt()
        yield what


def _create(path: Path) -> None:
    path.touch(exist_ok=False)
    path.unlink()


def _connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(path))
