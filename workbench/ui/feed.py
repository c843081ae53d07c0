"""What follows the server for components: a thread while somebody listens, and whether what is known is true now."""

from __future__ import annotations

import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from weakref import ref

from workbench.errors import AuthenticationError, ForbiddenError, ServerError, WorkbenchError

if TYPE_CHECKING:
    from workbench.client.client import Client

__all__ = ["Feed", "FeedState", "FeedStatus"]

_CLOSE_SECS = 5.0

_log = logging.getLogger(__name__)


class FeedState(StrEnum):
    """Whether what a feed knows is true now."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    REFUSED = "refused"
    CLOSED = "closed"


@dataclass(frozen=True)
class FeedStatus:
    """
    Whether what a feed knows is true now, and since when it may not be.

    Attributes
    ----------
    state : FeedState
        LIVE means that it is.
    heard_at : float, optional
        When the server was there last, seconds since the epoch; ``None`` if it never was.
    error : WorkbenchError, optional
        Why it is lost, or refuses.

    """

    state: FeedState
    heard_at: float | None = None
    error: WorkbenchError | None = None


class Feed[Book](ABC):
    """
    Follows something at the server and keeps a book of it; for any number of components.

    Its thread runs while there are subscribers.

    Parameters
    ----------
    client : Client
        The server. The feed does not keep it alive while nobody subscribes.
    book : Book
        What is known; nobody else changes it.
    subject : str
        What is followed, for messages: ``the events``.
    thread_name : str
        The name of the thread.

    """

    def __init__(self, client: Client, book: Book, *, subject: str, thread_name: str) -> None:
        self._client = ref(client)
        self._book = book
        self._subject = subject
        self._thread_name = thread_name
        self._lock = threading.RLock()
        self._status = FeedStatus(FeedState.CONNECTING)
        self._callbacks: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._bell = threading.Event()

    @property
    def status(self) -> FeedStatus:
        """Return whether what it knows is true now."""
        return self._status

    def read[T](self, reader: Callable[[Book], T]) -> T:
        """Return what `reader` makes of the book, which holds still meanwhile."""
        with self._lock:
            return reader(self._book)

    def subscribe(self, callback: Callable[[], object]) -> Callable[[], None]:
        """
        Have `callback` called when something has changed, and once a second while ages grow.

        Parameters
        ----------
        callback : Callable
            Called on the feed's thread, at most 20 times a second; it must not take long.

        Returns
        -------
        Callable
            Ends the subscription; the thread ends with the last one.

        """
        with self._lock:
            self._callbacks.append(callback)
            if self._thread is None:
                self._start()

        def unsubscribe() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._callbacks.remove(callback)
                if not self._callbacks:
                    self._stop()

        return unsubscribe

    def close(self) -> None:
        """End all subscriptions and the thread: within 5 s, or as soon as a server that hangs lets go of it."""
        with self._lock:
            self._callbacks.clear()
            thread = self._stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECS)

    @abstractmethod
    def _follow(self, client: Client, end: threading.Event, bell: threading.Event) -> None:
        """Take what the server says until `end`; `bell` cuts a wait short. Runs in the thread."""

    def _start(self) -> None:
        client = self._client()
        if client is None:
            return
        # Its own, so that a thread that lingers with a server that hangs is not woken by what is meant for the next.
        self._end, self._bell = threading.Event(), threading.Event()
        self._status = FeedStatus(FeedState.CONNECTING, self._status.heard_at)
        self._thread = threading.Thread(
            target=self._follow, args=(client, self._end, self._bell), name=self._thread_name, daemon=True
        )
        self._thread.start()

    def _stop(self) -> threading.Thread | None:
        thread, self._thread = self._thread, None
        self._end.set()
        self._bell.set()
        self._status = FeedStatus(FeedState.CLOSED, self._status.heard_at)
        return thread

    def _note_loss(self, end: threading.Event, error: Exception | None) -> None:
        if end.is_set():
            return
        is_refused = isinstance(error, AuthenticationError | ForbiddenError)
        if error is not None and not isinstance(error, WorkbenchError):
            _log.warning("%s could not be followed", self._subject, exc_info=error)
            error = ServerError(f"{self._subject} cannot be followed: {error}")
        # Its traceback would keep the client alive.
        known = None if error is None else error.with_traceback(None)
        with self._lock:
            if not end.is_set():
                state = FeedState.REFUSED if is_refused else FeedState.LOST
                self._status = FeedStatus(state, self._status.heard_at, known or self._status.error)

    def _tell(self, end: threading.Event) -> None:
        with self._lock:
            callbacks = [] if end.is_set() else list(self._callbacks)
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - one component that fails must not silence the others
                _log.exception("a component could not take news of %s", self._subject)
