from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.jobs.walks import wait_until
from workbench.jobs.channel import Cancel, Interrupt, Message, Pause, Resume
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Worker
from workbench.states import JobState


def attach(*, is_answered: bool = True) -> tuple[Switch, list[Message]]:
    switch, told = Switch(), list[Message]()
    switch.attach(told.append, is_answered=is_answered)
    return switch, told


def test_one_wish_is_on_its_way_at_a_time_and_then_the_latest() -> None:
    switch, told = attach()
    for _ in range(1000):
        switch.pause()
        switch.resume()
    switch.pause()
    assert told == [Resume()], "nobody has heard the first"

    switch.note_heard()
    assert told == [Resume(), Pause()]

    switch.note_heard()
    assert told == [Resume(), Pause()], "nothing has been asked since"
    switch.resume()
    assert told == [Resume(), Pause(), Resume()]


def test_stop_does_not_wait_until_a_wish_is_heard() -> None:
    switch, told = attach()
    switch.pause()

    switch.cancel()
    switch.interrupt()

    assert told == [Resume(), Cancel()]


def test_wishes_on_a_line_that_does_not_answer_are_all_told() -> None:
    switch, told = attach(is_answered=False)

    switch.pause()
    switch.pause()
    switch.resume()

    assert told == [Resume(), Pause(), Resume()]


def test_new_line_begins_with_the_latest_wish_whatever_the_old_one_has_heard() -> None:
    switch, _ = attach()
    switch.pause()
    again = list[Message]()

    switch.attach(again.append, is_answered=True)
    switch.interrupt()

    assert again == [Pause(), Interrupt()]


def test_wishes_before_and_after_the_task_reach_nobody() -> None:
    switch = Switch()
    switch.pause()
    told = list[Message]()
    switch.attach(told.append, is_answered=True)
    switch.detach()

    switch.resume()
    switch.note_heard()

    assert told == [Pause()]
    assert not switch.is_paused


def test_steering_a_child_that_hears_nothing_never_blocks(tmp_path: Path) -> None:
    switch, pid_file = Switch(), tmp_path / "pid"

    def steer() -> None:
        for _ in range(20_000):
            switch.pause()
            switch.resume()
        switch.cancel()

    with Worker() as worker, ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(
            worker.run,
            "job_tasks:hold_the_interpreter",
            {"pid_file": str(pid_file)},
            limits=Limits(cancel_secs=0.5),
            switch=switch,
        )
        wait_until(pid_file.exists)
        steering = threading.Thread(target=steer, daemon=True)
        steering.start()
        steering.join(30)
        is_blocked = steering.is_alive()
        if is_blocked:
            worker.close()  # Lets it go on

        assert not is_blocked
        assert outcome.result(60).state == JobState.CANCELLED


def test_child_hears_the_latest_of_many_wishes(worker: Worker) -> None:
    switch, states = Switch(), list[JobState]()
    is_held = threading.Event()

    def steer() -> None:
        for _ in range(500):
            switch.pause()
            switch.resume()
        switch.pause()
        is_held.wait(30)
        for _ in range(500):
            switch.resume()
            switch.pause()
        switch.resume()

    with ThreadPoolExecutor(1) as thread:

        def note(state: JobState, events: int) -> None:
            states.append(state)
            if events == 3:
                thread.submit(steer)
            if state == JobState.PAUSED:
                is_held.set()

        outcome = worker.run(
            "job_tasks:work_until_cancelled",
            {"steps": 1_000},
            on_progress=lambda p: note(p.state, p.events),
            switch=switch,
        )

    assert outcome.state == JobState.COMPLETED, "the last wish was to go on"
    assert JobState.PAUSED in states, "the last wish before was to hold"
