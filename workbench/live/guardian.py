"""
The guardian: starts the host of one engine, watches it, and does what must be done when it dies or hangs.

It is a process of its own, small and without nautilus: ``python -P -m workbench.live.guardian DIRECTORY``. It ends when
there is nothing left to watch. SIGTERM ends the guardian alone: the host trades on. It is watched itself: one that does
not turn is killed and replaced, by the host and by whoever starts or stops the engine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.errors import ConflictError, WorkbenchError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.exits import HostExit
from workbench.live.pulse import Limits
from workbench.live.supervisor import Supervisor

__all__ = ["HOST", "main"]

HOST = (sys.executable, "-P", "-m", "workbench.live.host")
_TICK_SECS = 0.1


def main(
    arguments: Sequence[str] | None = None, *, host: Sequence[str] = HOST, limits: Limits | None = None
) -> int:
    """
    Guard the engine in a directory until there is nothing left to guard; return the exit code.

    That is 0 at the end, and 3 if another guardian is there.
    """
    parser = argparse.ArgumentParser(prog="workbench.live.guardian", description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--detach", action="store_true", help="return when it guards, and go on without a terminal"
    )
    given = parser.parse_args(arguments)
    try:
        directory = EngineDirectory(given.directory)
        return _detach(directory, host, limits) if given.detach else _guard(directory, host, limits, None)
    except WorkbenchError as e:
        sys.stderr.write(f"{e}\n")
        return e.exit_code


def _detach(directory: EngineDirectory, host: Sequence[str], limits: Limits | None) -> int:
    """Guard in a child that is nobody's, so that nobody has to take note of its end."""
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        answer = os.read(read, 1)
        os.close(read)
        return {b"+": 0, b"-": int(HostExit.BUSY)}.get(answer, 1)
    os.close(read)
    os.setsid()
    return _guard(directory, host, limits, write)


def _guard(directory: EngineDirectory, host: Sequence[str], limits: Limits | None, answer: int | None) -> int:
    pause = _listen()
    is_first = True

    def announce(word: bytes) -> None:
        if answer is not None:
            with contextlib.suppress(OSError):
                os.write(answer, word)
                os.close(answer)

    while True:
        try:
            with directory.hold_lock("guardian"):
                supervisor = Supervisor(directory, host=host, limits=limits)
                supervisor.tick()
                if is_first:
                    announce(b"+")
                    is_first = False
                while not supervisor.is_done:
                    if pause():
                        return 0
                    directory.beat()
                    supervisor.tick()
        except ConflictError:
            if is_first:
                announce(b"-")
            return int(HostExit.BUSY) if is_first else 0
        # A command that came while the lock was held found a guardian that was about to leave.
        if Supervisor(directory, host=host, limits=limits).is_done:
            return 0


def _listen() -> Callable[[], bool]:
    """Return what waits for the next turn, at most until a child ends, and says whether to leave."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    told: list[int] = []
    # Handlers that do nothing, not SIG_IGN: that would be handed down to the host.
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))

    def pause() -> bool:
        select.select([read], [], [], _TICK_SECS)
        with contextlib.suppress(BlockingIOError):
            os.read(read, 4096)
        return bool(told)

    return pause


if __name__ == "__main__":
    sys.exit(main())
