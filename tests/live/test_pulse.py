from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine_records import Heartbeat, HostMode
from workbench.live.pulse import Limits, Pulse, judge_pulse
from workbench.states import EngineState

_LIMITS = Limits()
_S = 1_000_000_000


def _beat(ts: float, loop: float, pid: int = 1) -> Heartbeat:
    return Heartbeat(
        ts_ns=int(ts * _S), incarnation=1, pid=pid, state=EngineState.RUNNING, loop_ts_ns=int(loop * _S)
    )


def _judge(
    *,
    heard: float | None,
    now: float,
    block: float = 0.0,
    mode: HostMode = HostMode.TRADE,
    is_urgent: bool = False,
) -> tuple[str, bool]:
    """Judge a host that is watched since 0, was heard at `heard`, with its loop blocked for `block` then."""
    pulse = Pulse(1, 0.0)
    if heard is not None:
        pulse.see(_beat(1_000 + heard, 1_000 + heard - block), heard)
    verdict = judge_pulse(pulse, now, mode=mode, is_urgent=is_urgent, limits=_LIMITS)
    return verdict.words, verdict.must_die


@pytest.mark.parametrize(
    ("facts", "words", "must_die"),
    [
        ({"heard": 5.0, "now": 5.5}, "", False),
        ({"heard": 5.0, "now": 5.9, "is_urgent": True}, "", False),
        ({"heard": 5.0, "now": 6.3, "is_urgent": True}, "no heartbeat for 1.3 s", True),
        ({"heard": 5.0, "now": 5.2, "block": 0.9, "is_urgent": True}, "blocked for 1.1 s", True),
        ({"heard": 5.0, "now": 5.2, "block": 0.5, "is_urgent": True}, "", False),
        ({"heard": 5.0, "now": 5.1, "block": 9.0}, "main loop is blocked", False),
        ({"heard": 5.0, "now": 9.0}, "it is killed when that lasts 60 s", False),
        ({"heard": 5.0, "now": 65.1}, "no heartbeat for 60.1 s", True),
        ({"heard": None, "now": 59.0}, "", False),
        ({"heard": None, "now": 61.0}, "no first heartbeat for 61.0 s", True),
        ({"heard": None, "now": 1.3, "is_urgent": True}, "no first heartbeat for 1.3 s", True),
        ({"heard": None, "now": 19.0, "is_urgent": True, "mode": HostMode.LIQUIDATE}, "", False),
        ({"heard": None, "now": 21.0, "is_urgent": True, "mode": HostMode.LIQUIDATE}, "no first", True),
        ({"heard": 5.0, "now": 8.0, "is_urgent": True, "mode": HostMode.LIQUIDATE}, "", False),
        (
            {"heard": 5.0, "now": 5.1, "block": 21.0, "is_urgent": True, "mode": HostMode.LIQUIDATE},
            "blocked",
            True,
        ),
    ],
)
def test_judge_pulse_each_case_is_judged_as_it_should(facts: dict, words: str, must_die: bool) -> None:
    found, is_doomed = _judge(**facts)
    assert is_doomed is must_die
    assert words in found
    assert bool(found) is bool(words)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_pulse_wall_clock_that_jumps_kills_nobody(jumps: list[float]) -> None:
    # A heartbeat every half second, the loop well, and a wall clock that is put anywhere.
    pulse, wall = Pulse(1, 0.0), 2e6
    for i, jump in enumerate(jumps):
        wall += 0.5 + jump
        now = 0.5 * (i + 1)
        pulse.see(_beat(wall, wall - 0.02), now)
        verdict = judge_pulse(pulse, now + 0.4, mode=HostMode.TRADE, is_urgent=True, limits=_LIMITS)
        assert not verdict.must_die


@given(st.floats(0, 0.5), st.floats(0.0, 0.5))
def test_pulse_blocked_loop_is_found_in_time_whenever_its_heartbeats_come(
    phase: float, offset: float
) -> None:
    # The loop stands still from 10.0 on; heartbeats go on twice a second, the file is read ten times a second.
    pulse, found, now = Pulse(1, 0.0), None, 8.0 + offset / 5
    while found is None:
        number = int((now - phase) / 0.5)
        written = number * 0.5 + phase
        pulse.see(_beat(written, min(written, 10.0)), now)
        if judge_pulse(pulse, now, mode=HostMode.TRADE, is_urgent=True, limits=_LIMITS).must_die:
            found = now
        now += 0.1
    assert 11.0 < found < 11.75


def test_judge_pulse_loop_that_stands_still_while_it_loads_is_not_told() -> None:
    pulse = Pulse(1, 0.0)
    pulse.see(msgspec.structs.replace(_beat(1_000, 990), state=EngineState.STARTING), 5.0)
    assert not judge_pulse(pulse, 5.1, mode=HostMode.TRADE, is_urgent=False, limits=_LIMITS).words
    assert judge_pulse(pulse, 5.1, mode=HostMode.TRADE, is_urgent=True, limits=_LIMITS).must_die


def test_pulse_heartbeat_of_another_process_is_no_sign_of_life() -> None:
    pulse = Pulse(1, 0.0)
    pulse.see(_beat(5, 5, pid=2), 5.0)
    pulse.see(None, 5.0)
    assert not pulse.is_heard
    assert pulse.find_silence(6.0) == 6.0
    assert pulse.find_block(6.0) == 6.0


def test_pulse_loop_that_does_not_run_yet_counts_from_the_first_heartbeat() -> None:
    pulse = Pulse(1, 0.0)
    pulse.see(_beat(1_000, 0), 2.0)
    assert pulse.find_block(2.5) == 0.5
    pulse.see(_beat(1_000.5, 0), 2.5)
    assert pulse.find_block(2.5) == 0.5
