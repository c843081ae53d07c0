"""Who is signed in, for how long, and how often somebody may try."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import msgspec

__all__ = ["Attempts", "Person", "Session", "Sessions"]


class Person(msgspec.Struct, frozen=True):
    """Somebody that the server knows; `note` says how far their role binds."""

    name: str
    role: str
    note: str = ""


class Session:
    """
    One browser in which somebody is signed in.

    Attributes
    ----------
    id : str
        256 random bits: what the cookie holds.
    person : Person
        Who it is.
    token : str
        Their token; it stays in this process and in the private files of their kernels.
    expires_at, checked_at : float
        Seconds since 1970: when it ends, and when the server last knew the token.
    is_over : bool
        Whether it was ended.

    """

    def __init__(self, person: Person, token: str, *, now: float, secs: float) -> None:
        self.id = secrets.token_urlsafe(32)
        self.person = person
        self.token = token
        self.expires_at = now + secs
        self.checked_at = now
        self.is_over = False

    def __repr__(self) -> str:
        return f"Session({self.person.name!r})"  # Neither the id nor the token has a place in a log


class Sessions:
    """
    All sessions of an app.

    Parameters
    ----------
    secs : float
        How long each lasts.
    clock : Callable, optional
        The time, in seconds since 1970.

    """

    def __init__(self, secs: float, *, clock: Callable[[], float] = time.time) -> None:
        self.secs = secs
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def begin(self, person: Person, token: str, before: Session | None = None) -> Session:
        """Sign somebody in: a new session, or the one `before` in this browser, if it is theirs, for longer."""
        now = self._clock()
        if before is not None and before.person.name == person.name and self.find(before.id) is before:
            before.person, before.token = person, token
            before.expires_at, before.checked_at = now + self.secs, now
            return before
        session = Session(person, token, now=now, secs=self.secs)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """Return a session that goes on."""
        session = self._sessions.get(session_id)
        return session if session is not None and self._clock() < session.expires_at else None

    def end(self, session: Session) -> None:
        """End a session."""
        session.is_over = True
        self._sessions.pop(session.id, None)

    def take_expired(self) -> list[Session]:
        """Return the sessions whose time is over, and forget them."""
        now = self._clock()
        over = [session for session in self._sessions.values() if now >= session.expires_at]
        for session in over:
            self.end(session)
        return over

    def note_check(self, session: Session, person: Person) -> None:
        """Note that the server knows the token still, and as whose."""
        session.person = person
        session.checked_at = self._clock()

    def is_fresh(self, session: Session, secs: float) -> bool:
        """Return whether the server knew the token at most `secs` ago."""
        return 0 <= self._clock() - session.checked_at <= secs


class Attempts:
    """
    How often a sign-in may fail: some at once, then one every few seconds.

    A token cannot be guessed; this keeps a program that tries from burdening the server. Addresses do not tell people
    apart on one machine, so it counts for all; a ticket is not counted.

    Parameters
    ----------
    burst : int
        How many may fail at once.
    every_secs : float
        After which time one more may.
    clock : Callable, optional
        Monotonic seconds.

    """

    def __init__(
        self, burst: int = 10, every_secs: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._every_secs = every_secs
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    @property
    def wait_secs(self) -> float:
        """Return how long nobody may try; 0 when somebody may."""
        self._fill()
        return max(0.0, (1.0 - self._left) * self._every_secs)

    def note_failure(self) -> None:
        """Count one that failed."""
        self._fill()
        self._left = max(0.0, self._left - 1.0)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(float(self._burst), self._left + (now - self._at) / self._every_secs)
        self._at = now
