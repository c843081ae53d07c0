"""The server's end of the lines to guards on other machines: who may dial, and how long a lost one is waited for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from workbench.errors import ForbiddenError, WorkerError
from workbench.jobs.channel import Cancel, Finished, Heard, Inspected, Interrupt, Message, Resume, Tick
from workbench.jobs.pool import Listener
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Outcome
from workbench.records import Failure
from workbench.states import JobState

__all__ = ["LINK_SECS", "Call", "Link", "Links", "build_interruption"]

# How long a guard whose line is lost tries to get another; then it ends its task.
LINK_SECS = 30.0
_DONE = "the job has ended"


class Link(Protocol):
    """One line to a guard. Its methods may be called from any thread and do not block."""

    def send(self, message: Message) -> None:
        """Send to the guard."""

    def close(self, reason: str) -> None:
        """Close the line for good: the guard does not dial again."""


class Call:
    """A job that a guard elsewhere works on, or will."""

    def __init__(self, job_id: str, switch: Switch, listener: Listener) -> None:
        self.job_id = job_id
        self.switch = switch
        self.listener = listener
        self.token_hash = ""
        self.guard: str | None = None  # The first that dialled: nobody else may
        self.link: Link | None = None
        self.lost_at: float | None = None
        self.last_words: Outcome | None = None  # How it ends as soon as its line is lost


class Links:
    """
    Knows the jobs that are worked on elsewhere and the lines to their guards.

    A job is told of its end exactly once: by its guard, by the cluster, or because its line stayed lost. All
    methods may be called from any thread.

    Parameters
    ----------
    on_end : Callable[[Call, Outcome], None]
        Called once for each job; it must not block, nor touch the switch of the job.
    deadline_secs : float
        How long a lost line is waited for. A guard gives up earlier and then puts away what its task has, so
        this is the longer one.

    """

    def __init__(self, on_end: Callable[[Call, Outcome], None], *, deadline_secs: float) -> None:
        self._on_end = on_end
        self._deadline_secs = deadline_secs
        self._lock = threading.Lock()
        self._calls: dict[str, Call] = {}
        self._decoder = msgspec.msgpack.Decoder(Message)

    @property
    def open(self) -> list[str]:
        """Return the jobs that have not ended."""
        with self._lock:
            return list(self._calls)

    def has_guard(self, job_id: str) -> bool:
        """Return whether a guard has dialled for this job, which has not ended."""
        with self._lock:
            call = self._calls.get(job_id)
            return call is not None and call.guard is not None

    def expect(self, job_id: str, switch: Switch, listener: Listener) -> str:
        """Let a guard dial for this job, and return the token that it needs: good for this job alone."""
        call, token = Call(job_id, switch, listener), secrets.token_urlsafe(32)
        call.token_hash = _hash(token)
        with self._lock:
            self._calls[job_id] = call
        switch.attach(lambda message: self._tell(call, message))
        return token

    def connect(self, job_id: str, token: str, guard: str, link: Link) -> None:
        """
        Take a line of `guard`.

        Raises
        ------
        ForbiddenError
            If the job has ended, the token is not its own, or it is another guard's.

        """
        given = _hash(token)
        with self._lock:
            call = self._calls.get(job_id)
            if call is None or not hmac.compare_digest(given, call.token_hash):
                raise ForbiddenError(f"nobody waits for a guard of {job_id} with this token")
            if call.guard not in (None, guard):
                raise ForbiddenError(f"the job {job_id} has a guard already")
            call.guard, call.link, call.lost_at = guard, link, None
        if not call.switch.is_paused:  # It may have been resumed while the line was lost
            link.send(Resume())
        call.switch.attach(lambda message: self._tell(call, message), is_answered=True)

    def receive(self, job_id: str, link: Link, frame: bytes) -> None:
        """
        Hear what a guard says.

        Raises
        ------
        WorkerError
            If it is no message.

        """
        with self._lock:
            call = self._calls.get(job_id)
        if call is None or call.link is not link:
            return  # An old line, or the job has ended
        try:
            message = self._decoder.decode(frame)
        except msgspec.MsgspecError as e:
            raise WorkerError(f"a message could not be read: {e}") from e
        if isinstance(message, Heard):
            call.switch.note_heard()
        elif isinstance(message, Tick):
            call.listener.note_progress(job_id, message.progress)
        elif isinstance(message, Inspected):
            call.listener.note_inspection(job_id, message.inspection)
        elif isinstance(message, Finished):
            outcome = Outcome(
                state=message.state,
                result={},
                failure=message.failure,
                peak_rss_bytes=message.peak_rss_bytes,
            )
            self.end(job_id, outcome)

    def lose(self, job_id: str, link: Link) -> None:
        """Note that a line is lost."""
        with self._lock:
            call = self._calls.get(job_id)
            if call is None or call.link is not link:
                return
            call.link, call.lost_at = None, time.monotonic()
            last_words = call.last_words
        if last_words is not None:
            self.end(job_id, last_words)

    def note_gone(self, job_id: str, outcome: Outcome) -> None:
        """Note that the cluster runs no guard of this job any more: `outcome` holds unless its line is up."""
        with self._lock:
            call = self._calls.get(job_id)
            if call is not None and call.link is not None:
                call.last_words = outcome
                return
        self.end(job_id, outcome)

    def end_lost(self) -> None:
        """End the jobs whose lines stayed lost for too long."""
        now = time.monotonic()
        with self._lock:
            lost = [
                call.job_id
                for call in self._calls.values()
                if call.lost_at is not None and now - call.lost_at > self._deadline_secs
            ]
        for job_id in lost:
            message = f"the line to its guard was lost for more than {self._deadline_secs:g} s"
            self.end(job_id, build_interruption(message))

    def end(self, job_id: str, outcome: Outcome) -> None:
        """End a job, unless it has ended already."""
        with self._lock:
            call = self._calls.pop(job_id, None)
        if call is None:
            return
        if call.link is not None:
            call.link.close(_DONE)
        self._on_end(call, outcome)

    def _tell(self, call: Call, message: Message) -> None:
        """Steer the guard. The switch of the call is locked meanwhile."""
        link = call.link
        if link is not None:
            link.send(message)
        elif call.guard is None and isinstance(message, Cancel | Interrupt):  # Nobody is there to be told
            state = JobState.CANCELLED if isinstance(message, Cancel) else JobState.INTERRUPTED
            failure = Failure(kind="cancel", message="stopped before the cluster began with it")
            self.end(call.job_id, Outcome(state=state, result={}, failure=failure))


def build_interruption(message: str) -> Outcome:
    """Return the outcome of a task that nobody wanted to end."""
    return Outcome(
        state=JobState.INTERRUPTED, result={}, failure=Failure(kind="interrupted", message=message)
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
