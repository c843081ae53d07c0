"""The app's private directory: tickets that work once, files of kernels, one app at a port."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import ConflictError, NotFoundError, ServerError
from workbench.ui.jupyter.runtime import KernelFiles, RuntimeDirectory

PORT = 8866


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wb") as name:  # Short, as its sockets' names have to be
        yield Path(name)


@pytest.fixture
def directory(runtime: Path) -> Iterator[RuntimeDirectory]:
    directory = RuntimeDirectory(runtime, PORT)
    directory.open()
    yield directory
    directory.close()


def test_directory_is_private_and_goes_with_the_app(directory: RuntimeDirectory) -> None:
    folders = [directory.path, *(p for p in directory.path.iterdir() if p.is_dir())]

    assert len(folders) == 3
    assert [p.stat().st_mode & 0o777 for p in folders] == [0o700] * 3
    directory.close()
    assert not directory.path.exists()


def test_ticket_is_good_once_and_for_who_can_write_here(runtime: Path, directory: RuntimeDirectory) -> None:
    ticket = RuntimeDirectory(runtime, PORT).make_ticket()

    assert directory.take_ticket(ticket)
    assert not directory.take_ticket(ticket)
    assert directory.build_path(ticket, "/a?b=c&d") == f"/login?ticket={ticket}&next=%2Fa%3Fb%3Dc%26d"


def test_old_ticket_is_worthless(directory: RuntimeDirectory) -> None:
    ticket = directory.make_ticket()
    (path,) = (directory.path / "tickets").iterdir()
    os.utime(path, (0, time.time() - 601))

    assert not directory.take_ticket(ticket)
    assert not path.exists()


@pytest.mark.parametrize("ticket", ["", "x", "../lock", "x" * 43, "../../etc/passwd" + "x" * 27, "é" * 43])
def test_what_is_no_ticket_is_refused_and_removes_nothing(directory: RuntimeDirectory, ticket: str) -> None:
    assert not directory.take_ticket(ticket)
    assert (directory.path / "lock").exists()


def test_no_ticket_where_no_app_runs(runtime: Path) -> None:
    with pytest.raises(NotFoundError, match="no app of yours is served at port 8866"):
        RuntimeDirectory(runtime, PORT).make_ticket()


def test_second_app_at_a_port_is_refused_and_the_first_goes_on(
    runtime: Path, directory: RuntimeDirectory
) -> None:
    ticket = directory.make_ticket()

    with pytest.raises(ConflictError, match="served at port 8866 already"):
        RuntimeDirectory(runtime, PORT).open()

    assert directory.take_ticket(ticket)


def test_what_a_killed_app_left_is_removed(runtime: Path) -> None:
    left = RuntimeDirectory(runtime, PORT)
    left.open()
    KernelFiles(left.kernels, "k").write("wb_secret", "")
    os.close(left._lock or -1)

    directory = RuntimeDirectory(runtime, PORT)
    directory.open()

    assert list(directory.kernels.iterdir()) == []
    directory.close()


def test_somebody_elses_place_is_refused(runtime: Path) -> None:
    (runtime / "elsewhere").mkdir()
    directory = RuntimeDirectory(runtime, PORT)
    directory.path.symlink_to(runtime / "elsewhere")

    with pytest.raises(ServerError, match="is not a directory of yours"):
        directory.open()
    with pytest.raises(ServerError, match="is too long"):
        RuntimeDirectory(runtime / ("x" * 60), PORT).open()


def test_kernel_files_are_private_whole_and_gone(directory: RuntimeDirectory) -> None:
    files = KernelFiles(directory.kernels, "k")
    assert not files.page.exists()

    files.write("wb_1", "engine=a")
    files.write("wb_2", "engine=b")

    assert (files.token.read_text(), files.page.read_text()) == ("wb_2", "engine=b")
    assert {p.stat().st_mode & 0o777 for p in directory.kernels.iterdir()} == {0o600}
    assert len(list(directory.kernels.iterdir())) == 2
    assert set(files.environment.values()) == {str(files.token), str(files.page)}
    files.remove()
    files.remove()
    assert list(directory.kernels.iterdir()) == []
