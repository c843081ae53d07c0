"""A live engine, followed by one thread for all components of a kernel that show it."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from workbench.client.engine_events import Link
from workbench.engine_records import EmergencyPolicy
from workbench.errors import NotFoundError, WorkbenchError
from workbench.ui.engine_book import EngineBook
from workbench.ui.feed import Feed, FeedState, FeedStatus

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.client.engine import Engine
    from workbench.client.engine_events import EngineStream

__all__ = ["EngineFeed", "Regained"]

_POLL_SECS = 1.0
_SOON_SECS = 0.25  # After something has changed
_TABLES_SECS = 10.0
_POLICY_SECS = 2.0
_LEAST_GAP_SECS = 0.05
_REFUSED_SECS = 30.0
_PAST = 300  # So many events from before it began to listen
_MOST_FILLS = 500
_MOST_PAST = 4_000
_MOST_LINES = 300
_BATCH = 500
_CHANGES = frozenset({"position", "strategy", "gate", "engine", "alarm"})


class Regained(NamedTuple):
    """
    The return of a server.

    Attributes
    ----------
    at : float
        When, seconds since the epoch.
    away_secs : float
        How long it had been away.
    seq : int
        The last event that was known before.

    """

    at: float
    away_secs: float
    seq: int


class EngineFeed(Feed[EngineBook]):
    """
    Follows the events of an engine, and asks once a second where it stands; for any number of components.

    Its thread runs while there are subscribers. It goes on over lost connections, and over restarts of the server and
    of the engine.

    Parameters
    ----------
    client : Client
        The server. The feed does not keep it alive while nobody subscribes.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(
            client, EngineBook(), subject="the engine", thread_name=f"workbench-engine-feed-{name}"
        )
        self.name = name
        self._regained: Regained | None = None
        self._lost_seq = 0
        self._config_version = 0
        self._policy_at = 0.0
        self._tables_at = 0.0
        self._past_at = -_TABLES_SECS

    @classmethod
    def of(cls, client: Client, name: str = "default") -> EngineFeed:
        """Return the feed of an engine: the same one for all who ask through this client."""
        with _FEEDS_LOCK:
            feeds = _FEEDS.setdefault(client, {})
            if name not in feeds:
                feeds[name] = cls(client, name)
            return feeds[name]

    @property
    def regained(self) -> Regained | None:
        """Return the last return of the server; ``None`` if it was never lost."""
        return self._regained

    def load(self) -> None:
        """Ask once, here and now, unless the thread does; what cannot be had shows in `status`."""
        client = self._client()
        if client is None or self._thread is not None:
            return
        end = threading.Event()
        try:
            engine = client.engine(self.name)
            self._poll(client, engine, end)
            if self._book.report is not None and not self._book.events:
                with engine.stream(after=self._find_start()) as stream:
                    while (item := stream.take(0.2)) is not None:
                        self._book.note(item)
        except WorkbenchError as error:
            self._note_loss(end, error)

    def refresh(self) -> None:
        """Ask where the engine stands as soon as possible: somebody has changed that."""
        self._bell.set()

    # ---- the thread: it alone asks and listens, so that an answer is never older than an event that came before it

    def _follow(self, client: Client, end: threading.Event, bell: threading.Event) -> None:
        engine = client.engine(self.name)
        polled_at = told_at = -_POLL_SECS
        is_news = True
        stream: EngineStream | None = None
        try:
            while not end.is_set():
                now = time.monotonic()
                gap = _SOON_SECS if is_news or bell.is_set() else _POLL_SECS
                if self._status.state == FeedState.REFUSED and not bell.is_set():
                    gap = _REFUSED_SECS
                try:
                    if now - polled_at >= gap:
                        bell.clear()
                        self._poll(client, engine, end)
                        polled_at, is_news = time.monotonic(), False
                        if not end.is_set():
                            self._tell(end)
                            told_at = polled_at
                    if stream is None and self._book.report is not None:
                        stream = engine.stream(after=self._find_start())
                    rest = max(min(polled_at + gap - time.monotonic(), _SOON_SECS), 0.0)
                    if stream is None:
                        bell.wait(max(rest, 0.01))
                        continue
                    is_shown, is_change = self._take(stream, rest)
                    is_news |= is_change
                except Exception as error:  # noqa: BLE001 - a thread that died would leave what is old as if it were new
                    if stream is not None:
                        stream.close()
                    polled_at = time.monotonic()
                    self._note_loss(end, error)
                    self._tell(end)
                    bell.wait(_SOON_SECS)
                    continue
                if is_shown and time.monotonic() - told_at >= _LEAST_GAP_SECS:
                    self._tell(end)
                    told_at = time.monotonic()
        finally:
            if stream is not None:
                stream.close()

    def _take(self, stream: EngineStream, wait_secs: float) -> tuple[bool, bool]:
        """Take what has come; return whether there was anything, and whether the engine is to be asked soon."""
        item = stream.take(wait_secs)
        is_news = False
        count = 0
        while item is not None:
            with self._lock:
                self._book.note(item)
            is_news = is_news or isinstance(item, Link) or getattr(item, "kind", "") in _CHANGES
            count += 1
            if count >= _BATCH:
                break
            item = stream.take(0.0)
        return count > 0, is_news

    def _find_start(self) -> int:
        """Return the event to begin after: the last that is known, or one some way back."""
        with self._lock:
            if not self._book.seq:
                self._book.begin_after(max(self._find_last_seq() - _PAST, 0))
            return self._book.seq

    def _find_last_seq(self) -> int:
        report = self._book.report
        heartbeat = None if report is None else report.status.heartbeat
        return 0 if heartbeat is None else heartbeat.last_seq

    def _poll(self, client: Client, engine: Engine, end: threading.Event) -> None:
        """Ask where the engine stands, and for the rows that have to be asked for."""
        try:
            report = engine.status()
        except NotFoundError as error:
            with self._lock:
                self._book.take_missing(error.with_traceback(None))
            self._note_heard(end)
            return
        with self._lock:
            self._book.take_report(report, time.time())
        if self._book.can_trade is None:
            permissions = client.whoami().get("permissions", [])
            with self._lock:
                self._book.can_trade = "trade" in permissions
        self._load_policy(engine)
        if report.facts is not None and report.status.is_alive:
            with contextlib.suppress(
                WorkbenchError
            ):  # It ended, or hangs, meanwhile: that shows the next time
                self._load_tables(engine)
        self._load_past(engine)
        self._load_log(engine)
        self._note_heard(end)

    def _load_policy(self, engine: Engine) -> None:
        report = self._book.report
        host = report.status.host if report is not None and report.status.is_alive else None
        wanted = 0 if host is None else host.config_version
        # Without a host it is the last version, which the next one starts with: it may be another any time.
        is_old = not wanted and time.monotonic() - self._policy_at > _POLICY_SECS
        if self._book.policy is not None and wanted == self._config_version and not is_old:
            return
        config = engine.config(wanted or None).config
        with self._lock:
            self._book.policy = msgspec.convert(config.get("emergency", {}), EmergencyPolicy)
            self._book.currency = self._book.currency or str(config.get("currency", ""))
            self._book.environment = str(config.get("environment", ""))
            self._book.risk = dict(config.get("risk") or {})
        self._config_version, self._policy_at = wanted, time.monotonic()

    def _load_past(self, engine: Engine) -> None:
        """Ask what the engine was worth before anybody looked: the last day, or else whatever there is."""
        if not self._book.wants_past or time.monotonic() - self._past_at < _TABLES_SECS:
            return
        self._past_at = time.monotonic()
        since = datetime.now(UTC) - timedelta(days=1)
        with contextlib.suppress(WorkbenchError):  # A line without its past is better than none
            found = engine.equity(since, limit=_MOST_PAST).items or engine.equity(limit=_MOST_PAST).items
            with self._lock:
                self._book.take_past(found)

    def _load_log(self, engine: Engine) -> None:
        """Ask for nautilus's log, where somebody looks at it."""
        book = self._book
        level, cursor = book.log_level, book.log_cursor
        if level:
            with contextlib.suppress(WorkbenchError):
                page = engine.log(after=cursor, level=level, limit=_MOST_LINES)
                with self._lock:
                    book.take_log(level, page.items, page.cursor)

    def follow_log(self, level: str) -> None:
        """Follow nautilus's log of this level and graver, for all components; an empty one ends that."""
        with self._lock:
            self._book.follow_log(level)
        self.refresh()

    def _load_tables(self, engine: Engine) -> None:
        book, now = self._book, time.monotonic()
        if book.is_stale:
            seq = self._find_last_seq()
            rows = engine.orders(), engine.positions(), engine.accounts(), engine.fills(limit=_MOST_FILLS)
            with self._lock:
                book.take_rows(seq=seq, orders=rows[0], positions=rows[1], accounts=rows[2], fills=rows[3])
            self._tables_at = now
            return
        positions = engine.positions()
        with self._lock:
            book.take_positions(positions)
        if book.is_unsure or now - self._tables_at > _TABLES_SECS:
            orders, accounts = engine.orders(is_open=True), engine.accounts()
            with self._lock:
                book.take_open_orders(orders)
                book.take_accounts(accounts)
            self._tables_at = now

    def _note_heard(self, end: threading.Event) -> None:
        with self._lock:
            if end.is_set():
                return
            before, now = self._status, time.time()
            if before.state in {FeedState.LOST, FeedState.REFUSED} and before.heard_at is not None:
                self._regained = Regained(now, now - before.heard_at, self._lost_seq)
            self._status = FeedStatus(FeedState.LIVE, now)

    def _note_loss(self, end: threading.Event, error: Exception | None) -> None:
        with self._lock:
            if self._status.state not in {FeedState.LOST, FeedState.REFUSED}:
                self._lost_seq = self._book.seq
        super()._note_loss(end, error)


_FEEDS: WeakKeyDictionary[Client, dict[str, EngineFeed]] = WeakKeyDictionary()
_FEEDS_LOCK = threading.Lock()
