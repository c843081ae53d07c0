"""The heartbeat ends a kernel whose page is silent or says goodbye, and no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workbench import config
from workbench.config import load_settings
from workbench.ui.heartbeat import Heartbeat, start_heartbeat

DEADLINE_SECS = 0.4


def _run(scene: Any, *, is_started: bool = True) -> float | None:
    """Return how many seconds after the start the kernel ended; ``None`` if it did not."""

    async def play() -> float | None:
        loop = asyncio.get_running_loop()
        ended, start = loop.create_future(), loop.time()
        heartbeat = Heartbeat(
            DEADLINE_SECS,
            is_started=is_started,
            end=lambda: None if ended.done() else ended.set_result(loop.time() - start),
        )
        task = asyncio.create_task(scene(lambda kind: heartbeat._hear(heartbeat, {"type": kind}, [])))
        done, _ = await asyncio.wait([ended], timeout=DEADLINE_SECS * 4)
        task.cancel()
        heartbeat.close()
        return ended.result() if done else None

    return asyncio.run(play())


async def _stay_silent(_: Any) -> None:
    return


async def _say_goodbye(say: Any) -> None:
    say("beat")
    say("end")


async def _beat(say: Any) -> None:
    while True:
        say("beat")
        await asyncio.sleep(DEADLINE_SECS / 6)


async def _beat_once(say: Any) -> None:
    await asyncio.sleep(DEADLINE_SECS * 2)
    say("beat")


async def _hold_up(say: Any) -> None:
    """Hold the loop for longer than the deadline, as a cell at work does; the page has gone on beating."""
    while True:
        import time

        time.sleep(DEADLINE_SECS * 1.3)
        await asyncio.sleep(DEADLINE_SECS / 10)
        say("beat")


def test_silent_page_ends_the_kernel_after_the_deadline() -> None:
    after = _run(_stay_silent)
    assert after is not None
    assert after >= DEADLINE_SECS


def test_goodbye_ends_the_kernel_at_once() -> None:
    after = _run(_say_goodbye)
    assert after is not None
    assert after < DEADLINE_SECS


@pytest.mark.parametrize("scene", [_beat, _hold_up])
def test_page_that_beats_keeps_the_kernel(scene: Any) -> None:
    assert _run(scene) is None


def test_preheated_kernel_waits_for_its_page_and_then_counts() -> None:
    assert _run(_stay_silent, is_started=False) is None
    after = _run(_beat_once, is_started=False)
    assert after is not None
    assert after >= DEADLINE_SECS * 3


def test_messages_of_others_are_nothing() -> None:
    async def play() -> None:
        heartbeat = Heartbeat(1.0, is_started=True, end=lambda: pytest.fail("ended"))
        for message in (None, "end", {}, {"type": None}):
            heartbeat._hear(heartbeat, message, [])
        heartbeat.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (None, False)),
        ({"WORKBENCH_VIEW_SECS": "5"}, (None, False)),
        ({"VOILA_PREHEAT": "False"}, (60.0, False)),
        ({"VOILA_PREHEAT": "True", "WORKBENCH_VIEW_SECS": "5"}, (5.0, True)),
    ],
)
def test_settings_know_what_voila_says(environ: dict[str, str], expected: tuple[float | None, bool]) -> None:
    settings = config._load(environ)
    assert (settings.view_secs, settings.is_preheated) == expected


def test_heartbeat_outside_of_voila_is_none() -> None:
    assert load_settings().view_secs is None
    assert start_heartbeat() is None
