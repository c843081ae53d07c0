"""How long a host has been silent, and its main loop blocked, by the watcher's own clock: pure."""

from __future__ import annotations

import msgspec

from workbench.engine_records import Heartbeat, HostMode
from workbench.states import EngineState

__all__ = ["Limits", "Pulse", "Verdict", "judge_pulse"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a guardian puts up with.

    Attributes
    ----------
    blocked_secs, silent_secs : float
        While an emergency stop is not settled: how long the main loop of a trading host may stand still, and how
        long it may be without a heartbeat, before it is killed.
    liquidate_secs : float
        The same for a host that liquidates, which has to load and connect first.
    start_secs : float
        How long a host may take to its first heartbeat.
    hung_secs : float
        How long a host may be without a heartbeat where there is no emergency.
    report_secs : float
        From when on a person is told.

    """

    blocked_secs: float = 1.0
    silent_secs: float = 1.2
    liquidate_secs: float = 20.0
    start_secs: float = 60.0
    hung_secs: float = 60.0
    report_secs: float = 3.0


class Verdict(msgspec.Struct, frozen=True):
    """What to make of a host that is alive: words for a person, or nothing, and whether it must be killed."""

    words: str = ""
    must_die: bool = False


class Pulse:
    """
    The heartbeats of one process, as they were seen.

    Ages are taken by the clock of the watcher, so that a wall clock that is put right makes nobody look dead.

    Parameters
    ----------
    pid : int
        Whose heartbeats count.
    now : float
        Since when it has been watched, monotonic seconds.

    """

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._since = now
        self._seen_at = now
        self._turned_at = now
        self.last: Heartbeat | None = None

    @property
    def is_heard(self) -> bool:
        """Return whether there was a heartbeat of this process."""
        return self.last is not None

    def see(self, heartbeat: Heartbeat | None, now: float) -> None:
        """Take note of what stands in the file."""
        if heartbeat is None or heartbeat.pid != self._pid:
            return
        last = self.last
        if last is not None and heartbeat.ts_ns == last.ts_ns:
            return
        if last is None or heartbeat.loop_ts_ns != last.loop_ts_ns:
            # Both times are the host's own: how long ago its loop had turned when it wrote this. Zero: not yet.
            age_ns = heartbeat.ts_ns - heartbeat.loop_ts_ns if heartbeat.loop_ts_ns else 0
            self._turned_at = now - max(age_ns, 0) / 1e9
        self._seen_at = now
        self.last = heartbeat

    def find_silence(self, now: float) -> float:
        """Return since how many seconds there was no heartbeat."""
        return now - self._seen_at

    def find_block(self, now: float) -> float:
        """Return since how many seconds the main loop has not turned, or has not been heard to."""
        return now - (self._turned_at if self.is_heard else self._since)


def judge_pulse(pulse: Pulse, now: float, *, mode: HostMode, is_urgent: bool, limits: Limits) -> Verdict:
    """
    Return what to make of a host that is alive.

    Parameters
    ----------
    pulse : Pulse
        Its heartbeats.
    now : float
        Monotonic seconds.
    mode : HostMode
        What it is for.
    is_urgent : bool
        Whether an emergency stop is wanted that is not settled.
    limits : Limits
        What is put up with.

    """
    silence, block = pulse.find_silence(now), pulse.find_block(now)
    silence_limit = limits.hung_secs if pulse.is_heard else limits.start_secs
    block_limit = float("inf")
    if is_urgent and mode is HostMode.LIQUIDATE:
        silence_limit = block_limit = limits.liquidate_secs
    elif is_urgent:
        silence_limit, block_limit = limits.silent_secs, limits.blocked_secs
    if silence > silence_limit:
        what = "no heartbeat" if pulse.is_heard else "no first heartbeat"
        return Verdict(f"{what} for {silence:.1f} s", must_die=True)
    if pulse.is_heard and block > block_limit:
        return Verdict(f"its main loop has been blocked for {block:.1f} s", must_die=True)
    if pulse.is_heard and silence > limits.report_secs:
        return Verdict(f"no heartbeat; it is killed when that lasts {silence_limit:g} s")
    # While it loads and connects, it may well.
    is_up = pulse.last is not None and pulse.last.state in {EngineState.RUNNING, EngineState.STOPPING}
    if is_up and block > limits.report_secs:
        return Verdict("its main loop is blocked: strategies and orders stand still")
    return Verdict()
