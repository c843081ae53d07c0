"""Whether and when a host that died is started again: pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import msgspec

from workbench.live.config import RestartPolicy
from workbench.live.exits import HostExit

__all__ = [
    "GiveUp",
    "Restart",
    "describe_exit",
    "keep_recent",
    "plan_liquidation",
    "plan_restart",
]

_MOST_DOUBLINGS = 40
_FINAL: dict[int, str] = {
    HostExit.ORDERLY: "it ended by itself in an orderly way: that is not undone",
    HostExit.CONFIG: "its configuration cannot be used: the next start would fail in the same way",
    HostExit.FORCED: "it was told to end, and took too long about it",
}


class Restart(msgspec.Struct, frozen=True):
    """The host is started again `delay_secs` after it died; it is the `number`-th time within the window."""

    delay_secs: float
    number: int


class GiveUp(msgspec.Struct, frozen=True):
    """The host is not started again, for this reason."""

    reason: str


def keep_recent(policy: RestartPolicy, restarts: Sequence[float], now: float) -> list[float]:
    """Return the restarts within the window of the policy, which a clock that was put back does not empty."""
    return [at for at in restarts if now - at < policy.window_secs]


def plan_restart(
    policy: RestartPolicy, restarts: Sequence[float], *, died_at: float, code: int | None
) -> Restart | GiveUp:
    """
    Return what follows the death of a host.

    Parameters
    ----------
    policy : RestartPolicy
        How often, and how soon.
    restarts : Sequence[float]
        When it was started again since the last command, UNIX seconds. A host that ran well for the window of
        the policy has none that count, and so it begins with the first back-off.
    died_at : float
        When it died, UNIX seconds.
    code : int, optional
        Its exit code, minus the signal's number, or nothing where that could not be seen.

    """
    final = None if code is None else _FINAL.get(code)
    if final is not None:
        return GiveUp(final)
    if policy.most == 0:
        return GiveUp("its policy says that it is never started again")
    recent = len(keep_recent(policy, restarts, died_at))
    if recent >= policy.most:
        times = "once" if recent == 1 else f"{recent} times"
        return GiveUp(f"it was started again {times} within {policy.window_secs:g} s, and died again")
    return Restart(_find_delay(policy, recent), recent + 1)


def plan_liquidation(policy: RestartPolicy, deaths: int) -> float:
    """Return after how many seconds a host that closes what is open is started again: it is never given up."""
    return _find_delay(policy, deaths - 1) if deaths else 0.0


def _find_delay(policy: RestartPolicy, doublings: int) -> float:
    return min(policy.backoff_secs * 2.0 ** min(doublings, _MOST_DOUBLINGS), policy.max_backoff_secs)


def describe_exit(code: int | None) -> str:
    """Return how a host ended, in words."""
    if code is None:
        return "died unseen"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
