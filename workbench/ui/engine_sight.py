"""How an engine is seen at a moment: whether what is known of it is true now, and how old it is if not."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.states import EngineState
from workbench.ui.engine_book import EngineBook
from workbench.ui.feed import FeedState, FeedStatus
from workbench.ui.formats import format_duration, format_time

__all__ = ["Sight", "find_quote_age", "look"]

# Heartbeats come twice a second, answers once.
_OLD_SECS = 3.0
_QUOTES = frozenset({"QuoteTick", "TradeTick", "Bar"})


@dataclass(frozen=True)
class Sight:
    """
    An engine at a moment.

    Attributes
    ----------
    now : float
        Seconds since the epoch.
    feed : FeedStatus
        Whether the server is heard.
    state : EngineState
        Where the engine stood when it was heard last.
    environment : str
        ``LIVE`` unless it is known to be ``SANDBOX``: what is not known must not look harmless.
    is_fresh : bool
        Whether the numbers are true now.
    age_secs : float, optional
        How old they are; ``None`` if there are none.

    """

    now: float
    feed: FeedStatus
    state: EngineState
    environment: str
    is_fresh: bool
    age_secs: float | None

    @property
    def is_live(self) -> bool:
        """Return whether real orders may leave this engine."""
        return self.environment == "LIVE"

    @property
    def words(self) -> str:
        """Return how old the numbers are; nothing if they are true now."""
        if self.is_fresh:
            return ""
        if self.age_secs is None:
            return "" if self.state.is_down else "never heard"
        return f"{format_duration(self.age_secs)} old"

    def explain_absence(self, empty: str) -> str:
        """Return what is said where there is no row: `empty` only if it is known that there is none."""
        if self.is_fresh:
            return empty
        if self.feed.state in {FeedState.LOST, FeedState.REFUSED}:
            return "Not known: the server does not answer."
        return "Not known: the engine does not run." if self.state.is_down else "Not known yet."

    @property
    def clock(self) -> str:
        """Return the time of day, UTC."""
        return format_time(int(self.now * 1e9), has_seconds=True)


def look(book: EngineBook, feed: FeedStatus, now: float) -> Sight:
    """
    Return how an engine is seen.

    Parameters
    ----------
    book : EngineBook
        What is known of it.
    feed : FeedStatus
        Whether that is kept up to date.
    now : float
        Seconds since the epoch.

    """
    report = book.report
    if report is None:
        return Sight(now, feed, EngineState.STOPPED, book.environment or "", is_fresh=False, age_secs=None)
    status = report.status
    since = max(now - book.answered_at, 0.0)
    beat = status.heartbeat_age_secs
    age = since if beat is None else since + beat
    is_fresh = feed.state != FeedState.LOST and feed.state != FeedState.REFUSED
    is_fresh = is_fresh and status.is_alive and report.facts is not None and age < _OLD_SECS
    # Of one that does not run the configuration tells, which the next start uses: the last host may have had another.
    known = status.environment, book.environment
    environment = (known[0] or known[1]) if status.is_alive else (known[1] or known[0])
    return Sight(
        now=now,
        feed=feed,
        state=status.state,
        environment="SANDBOX" if environment == "SANDBOX" else "LIVE",
        is_fresh=is_fresh,
        age_secs=None if beat is None else age,
    )


def find_quote_age(book: EngineBook, sight: Sight) -> float | None:
    """Return the age of the oldest mark of what is held; without positions that of the newest price of any kind."""
    facts = book.facts
    since = max(sight.now - book.answered_at, 0.0)
    told_ns = facts.get("told_ns") or 0
    marks = [mark.get("age_secs") for mark in (facts.get("valuation") or {}).get("marks") or []]
    if marks:
        known = [float(age) for age in marks if age is not None]
        return max(known) + since if len(known) == len(marks) else None
    stamps = [one["ts_last"] for one in facts.get("market_data") or [] if one["kind"] in _QUOTES]
    if not stamps or not told_ns:
        return None
    return max((int(told_ns) - int(max(stamps))) / 1e9, 0.0) + since
