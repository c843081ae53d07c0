from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.pace import Beat, Pace


def test_pace_without_a_loop_does_it_at_once() -> None:
    done: list[int] = []
    pace = Pace(KernelLoop(), lambda: done.append(1))
    pace.ask()
    pace.ask()
    assert len(done) == 2


def test_pace_asked_often_by_a_thread_does_it_seldom_and_the_last_time_too() -> None:
    asked, seen = [0], []

    async def run() -> None:
        pace = Pace(KernelLoop(), lambda: seen.append((time.monotonic(), asked[0])))

        def ask() -> None:
            until = time.monotonic() + 0.45
            while time.monotonic() < until:
                asked[0] += 1
                pace.ask()
                time.sleep(0.001)

        thread = threading.Thread(target=ask)
        thread.start()
        deadline = time.monotonic() + 20
        while (thread.is_alive() or not seen or seen[-1][1] < asked[0]) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        thread.join()

    asyncio.run(run())
    assert seen[-1][1] == asked[0] > 20
    gaps = [b[0] - a[0] for a, b in pairwise(seen)]
    assert min(gaps) > 0.08
    assert len(seen) < asked[0] / 2


def test_beat_rests_for_a_tenth_of_a_second_after_each_time() -> None:
    now = [5.0]
    beat = Beat(lambda: now[0])
    assert beat.rest_secs == 0
    beat.note()
    assert beat.rest_secs == pytest.approx(0.1)
    now[0] += 0.07
    assert beat.rest_secs == pytest.approx(0.03)
    now[0] += 0.07
    assert beat.rest_secs == 0
