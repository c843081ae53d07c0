from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.live.config import RestartPolicy
from workbench.live.exits import HostExit
from workbench.live.restarts import (
    GiveUp,
    Restart,
    describe_exit,
    keep_recent,
    plan_liquidation,
    plan_restart,
)

_SECS = st.floats(0.01, 86_400)
_POLICIES = st.builds(
    RestartPolicy,
    most=st.integers(0, 1_000),
    window_secs=_SECS,
    backoff_secs=_SECS,
    max_backoff_secs=_SECS,
)
_CRASHES = st.none() | st.integers(-64, 255).filter(
    lambda c: c not in {HostExit.ORDERLY, HostExit.CONFIG, HostExit.FORCED}
)
_TIMES = st.lists(st.floats(0, 2_000_000), max_size=30)


@given(_POLICIES, _TIMES, st.floats(0, 2_000_000), _CRASHES)
def test_plan_restart_never_more_than_the_policy_allows_nor_later(
    policy: RestartPolicy, restarts: list[float], died_at: float, code: int | None
) -> None:
    plan = plan_restart(policy, restarts, died_at=died_at, code=code)
    recent = len([at for at in restarts if died_at - at < policy.window_secs])
    if recent >= policy.most:
        assert isinstance(plan, GiveUp)
        assert plan.reason
    else:
        assert isinstance(plan, Restart)
        assert plan.number == recent + 1
        assert 0 < plan.delay_secs <= policy.max_backoff_secs
        assert plan.delay_secs == pytest.approx(min(policy.backoff_secs * 2**recent, policy.max_backoff_secs))


@given(_POLICIES.filter(lambda p: p.most > 0), st.floats(0, 2_000_000), st.floats(0, 1_000), _CRASHES)
def test_plan_restart_host_that_ran_well_begins_with_the_first_back_off(
    policy: RestartPolicy, started: float, more: float, code: int | None
) -> None:
    # However often it was started before: the last start is longer ago than the window.
    restarts = [started] * 2_000
    died_at = started + policy.window_secs * 1.001 + more
    plan = plan_restart(policy, restarts, died_at=died_at, code=code)
    assert plan == Restart(min(policy.backoff_secs, policy.max_backoff_secs), 1)


@given(_POLICIES.filter(lambda p: p.most > 0), _CRASHES)
def test_plan_restart_new_command_begins_with_the_first_back_off(
    policy: RestartPolicy, code: int | None
) -> None:
    assert plan_restart(policy, [], died_at=0.0, code=code) == Restart(
        min(policy.backoff_secs, policy.max_backoff_secs), 1
    )


@given(_POLICIES)
def test_plan_restart_series_of_deaths_ends_and_waits_longer_each_time(policy: RestartPolicy) -> None:
    now, restarts, delays = 0.0, [], []
    while isinstance(plan := plan_restart(policy, restarts, died_at=now, code=1), Restart):
        delays.append(plan.delay_secs)
        restarts.append(now)  # It dies at once: the window never empties.
    assert len(delays) == policy.most
    assert delays == sorted(delays)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "orderly"), (2, "configuration cannot be used"), (6, "took too long")]
)
@given(policy=_POLICIES)
def test_plan_restart_code_that_means_no_is_never_retried(
    code: int, words: str, policy: RestartPolicy
) -> None:
    plan = plan_restart(policy, [], died_at=0.0, code=code)
    assert isinstance(plan, GiveUp)
    assert words in plan.reason


def test_plan_restart_policy_of_none_says_so() -> None:
    plan = plan_restart(RestartPolicy(most=0), [], died_at=0.0, code=1)
    assert plan == GiveUp("its policy says that it is never started again")


@given(_POLICIES, _TIMES, st.floats(0, 2_000_000))
def test_keep_recent_keeps_what_a_clock_put_back_makes_future(
    policy: RestartPolicy, restarts: list[float], now: float
) -> None:
    kept = keep_recent(policy, restarts, now)
    assert all(at in kept for at in restarts if at >= now)
    assert all(now - at < policy.window_secs for at in kept)


@given(_POLICIES, st.integers(0, 10_000))
def test_plan_liquidation_is_never_given_up(policy: RestartPolicy, deaths: int) -> None:
    delay = plan_liquidation(policy, deaths)
    assert 0 <= delay <= policy.max_backoff_secs
    assert (delay == 0) == (deaths == 0)
    assert delay <= plan_liquidation(policy, deaths + 1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "died unseen"),
        (0, "ended with exit code 0"),
        (1, "ended with exit code 1"),
        (-9, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
    ],
)
def test_describe_exit_is_told_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words
