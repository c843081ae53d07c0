"""Commands: what is asked again, what failed, and that an emergency stop waits for nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.jobs.walks import wait_until
from tests.ui.test_engine_question import build_error
from workbench.errors import InputError, ServerError
from workbench.ui import engine_commands
from workbench.ui.engine_commands import EngineCommands
from workbench.ui.engine_question import Choice


class Recorder:
    """Stands where an engine stands: it notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.error: Exception | None = None

    def emergency_stop(self, *, reason: str) -> None:
        self.told.append(reason)
        if self.error is not None:
            raise self.error


def build_commands(engine: Any) -> tuple[EngineCommands, list[str]]:
    calls: list[str] = []
    commands = EngineCommands(
        engine,
        on_change=lambda: calls.append("change"),
        on_done=lambda: calls.append("done"),
        on_ask=lambda: calls.append("ask"),
    )
    return commands, calls


def test_refusal_for_a_confirmation_asks_and_its_answer_carries_the_token() -> None:
    commands, calls = build_commands(Recorder())
    tokens: list[str] = []

    def call(token: str) -> None:
        tokens.append(token)
        if not token:
            raise build_error("SANDBOX")

    commands.run("start", "Starting…", call, title="Start?", label="Start")
    assert commands.question is not None
    assert "ask" in calls
    assert commands.busy == commands.errors == {}
    commands.answer("yes")
    assert tokens == ["", "token"]
    assert commands.question is None
    assert "done" in calls


def test_failure_is_kept_until_it_is_forgotten_or_done_better() -> None:
    commands, _ = build_commands(Recorder())

    def fail(_: str) -> None:
        raise ServerError("it hangs")

    commands.run("stop", "Stopping…", fail)
    assert str(commands.errors["stop"]) == "it hangs"
    commands.run("stop", "Stopping…", lambda _: None)
    assert commands.errors == {}
    commands.run("stop", "Stopping…", fail)
    commands.forget("stop")
    assert commands.errors == {}


def test_question_that_is_too_old_is_asked_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    commands, _ = build_commands(Recorder())
    done: list[str] = []
    commands.ask("stop", "Stop?", [], [Choice("leave", "Stop")], done.append, "")
    now = time.monotonic()
    monkeypatch.setattr(engine_commands.time, "monotonic", lambda: now + 61)
    assert commands.find_question() is None
    with pytest.raises(InputError, match="nothing is asked"):
        commands.answer("leave")
    assert done == []


def test_emergency_stop_waits_for_nothing_that_hangs() -> None:
    async def press() -> list[Any]:
        engine = Recorder()
        commands, _ = build_commands(engine)
        release = threading.Event()
        try:
            for number in range(8):  # More than there are workers
                commands.run(f"order:{number}", "cancelling…", lambda _: release.wait(20))
            commands.stop_emergency("now")
            deadline = time.monotonic() + 5
            while commands.busy.get("emergency-stop") and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            return [list(engine.told), commands.busy.get("emergency-stop"), len(commands.busy)]
        finally:
            release.set()

    assert asyncio.run(press()) == [["now"], None, 8]


def test_emergency_stop_takes_back_what_is_asked_and_says_that_it_was_not_heard() -> None:
    engine = Recorder()
    engine.error = ServerError("gone")
    commands, _ = build_commands(engine)
    commands.ask("stop", "Stop?", [], [Choice("leave", "Stop")], str, "")
    commands.stop_emergency("now")
    assert commands.find_question() is None
    wait_until(lambda: "emergency-stop" in commands.errors)
    assert engine.told == ["now"]
