"""The journal of an engine as a route reads it: in threads that may still read when nobody wants it any more."""

from __future__ import annotations

import threading

from workbench.errors import NotFoundError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal_reader import JournalReader, Page

__all__ = ["MAX_SEQ", "EngineJournal"]

MAX_SEQ = 2**63 - 1


class EngineJournal:
    """
    A journal that is opened when it is there, and closed once; any thread may call.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.

    """

    def __init__(self, directory: EngineDirectory) -> None:
        self._path = directory.journal
        self._lock = threading.Lock()
        self._reader: JournalReader | None = None
        self._is_closed = False

    def read(self, after: int, limit: int, until: int = MAX_SEQ) -> Page | None:
        """
        Return events after a number; ``None`` where there is no journal yet, or no longer for this one.

        Raises
        ------
        StoreError
            If it cannot be read.

        """
        with self._lock:
            if self._is_closed:  # Who asked has gone, and the thread comes late
                return None
            try:
                if self._reader is None:
                    self._reader = JournalReader(self._path)
                return self._reader.read_page(after, limit, until=until)
            except NotFoundError:  # It was never started
                return None

    def close(self) -> None:
        """Let the file go, for good."""
        with self._lock:
            self._is_closed = True
            if self._reader is not None:
                self._reader.close()
