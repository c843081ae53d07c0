"""What an engine tells, heard once for all who listen to it at this server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from workbench.api.engine_journal import EngineJournal
from workbench.api.engine_line import find_host, listen_to_host
from workbench.engine_records import Gap
from workbench.live.engine_directory import EngineDirectory

__all__ = ["EngineHub", "HostState"]

# How soon a host that has come is found, and what a dying one still wrote.
_LOOK_SECS = 0.1
_PAGE = 1_000
# Who falls behind by more reads the journal: no listener can make the server, or the host, keep more for it.
_MOST_TEXTS = 4_000
_MOST_CHARS = 8_000_000
_BATCH = 200


class HostState(msgspec.Struct, frozen=True):
    """Whether the host of an engine is heard: which one it is, or why not."""

    is_alive: bool
    incarnation: int
    message: str = ""


class _Frame(msgspec.Struct):
    """What is looked at in a frame of a host: the rest is passed on as it is."""

    seq: int | None = None
    gap: Gap | None = None


_DECODE = msgspec.json.Decoder(_Frame).decode


class EngineHub:
    """
    The last events of an engine, as its host has written them, without a hole.

    It has one connection to the host, however many listen: the host, which trades, writes each event once. For the
    server's event loop only; `EngineDesk.listen` starts and ends it.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    work : Callable
        Runs what reads files in a thread.

    Attributes
    ----------
    first : int
        The number of the oldest event that `take` has; without any, of the next one.
    state : HostState, optional
        Whether the host is heard; ``None`` before that is known.
    state_at : int
        The last event before that was so: what a lost host wrote comes before its loss, and a new one before what it
        writes.

    """

    def __init__(self, directory: EngineDirectory, work: Callable[..., Awaitable[Any]]) -> None:
        self.first = 1
        self.state: HostState | None = None
        self.state_at = 0
        self._directory = directory
        self._work = work
        self._texts: deque[str] = deque()
        self._chars = 0
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._journal = EngineJournal(directory)

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End it, for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.exception()  # The listeners were told by `wait`

    @property
    def last(self) -> int:
        """Return the number of the newest event that `take` has."""
        return self.first + len(self._texts) - 1

    async def wait(self, moved: asyncio.Event) -> None:
        """
        Wait until something is new since `moved` was the hub's `moved`.

        Raises
        ------
        WorkbenchError
            If the journal cannot be read.

        """
        task = self._task
        if task is not None and task.done():
            task.result()
        await moved.wait()

    @property
    def moved(self) -> asyncio.Event:
        """Return what is set with the next news."""
        return self._moved

    def take(self, after: int) -> list[str] | None:
        """Return the next events after a number, the next first; ``None`` if only the journal has them."""
        if after + 1 < self.first:
            return None
        begin = after + 1 - self.first
        return [self._texts[i] for i in range(begin, min(begin + _BATCH, len(self._texts)))]

    # ---- what it hears

    async def _run(self) -> None:
        try:
            await self._begin()
            while True:
                await self._read_kept()
                host = await self._work(find_host, self._directory)
                message = "no host lives"
                if host is not None:
                    try:
                        async with listen_to_host(host, self.last) as connection:
                            self._tell(HostState(is_alive=True, incarnation=host.incarnation))
                            await self._listen(connection)
                    except ConnectionClosed:
                        message = "the host has closed the connection"
                    except (WebSocketException, OSError, TimeoutError) as e:
                        message = f"the host cannot be heard: {e or type(e).__name__}"
                # Before that is told, everything that the host has still written.
                await self._read_kept()
                self._tell(HostState(False, 0 if host is None else host.incarnation, message))
                await asyncio.sleep(_LOOK_SECS)
        finally:
            self._journal.close()
            self._wake()

    async def _begin(self) -> None:
        page = await self._work(self._journal.read, 0, 1)
        self._clear(0 if page is None else page.last_seq)

    async def _listen(self, connection: ClientConnection) -> None:
        """Take what the host sends, until it goes."""
        while True:
            text = await connection.recv(decode=True)
            frame = _DECODE(text)
            if frame.gap is not None:
                self._clear(frame.gap.first - 1)
            elif frame.seq is not None and frame.seq > self.last:
                if frame.seq > self.last + 1:  # What it left out is in the journal
                    self._clear(frame.seq - 1)
                self._add(str(text))

    async def _read_kept(self) -> None:
        """Take what is on disk after the last event."""
        while True:
            page = await self._work(self._journal.read, self.last, _PAGE)
            if page is None:
                return
            if page.gap is not None:
                self._clear(page.gap.first - 1)
            for event in page.events:
                self._add(msgspec.json.encode(event).decode())
            if len(page.events) < _PAGE:
                return

    def _add(self, text: str) -> None:
        self._texts.append(text)
        self._chars += len(text)
        while len(self._texts) > _MOST_TEXTS or self._chars > _MOST_CHARS:
            self._chars -= len(self._texts.popleft())
            self.first += 1
        self._wake()

    def _clear(self, last: int) -> None:
        self._texts.clear()
        self._chars = 0
        self.first = last + 1
        self.state_at = min(self.state_at, last)

    def _tell(self, state: HostState) -> None:
        if state != self.state:
            self.state, self.state_at = state, self.last
            self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
