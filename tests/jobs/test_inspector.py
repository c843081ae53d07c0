from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.walks import wait_until
from workbench.errors import ConflictError, InputError, ServerError
from workbench.jobs.inspector import Inspector

SECS = 60.0


class Question:
    """A question that is answered when the test wants it to be."""

    def __init__(self, directory: Path) -> None:
        self._begun, self._over = directory / "begun", directory / "over"

    @property
    def spec(self) -> dict[str, str]:
        return {"mine": str(self._begun), "other": str(self._over)}

    def wait_until_asked(self) -> None:
        wait_until(self._begun.exists)

    def end(self) -> None:
        self._over.touch()


@contextlib.contextmanager
def asking(inspector: Inspector, question: Question) -> Iterator[Future[dict[str, Any]]]:
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(inspector.ask, "job_tasks:meet", question.spec, timeout_secs=SECS)
        try:
            question.wait_until_asked()
            yield answer
        finally:
            question.end()


def ask_for_pid(inspector: Inspector) -> int:
    return int(inspector.ask("job_tasks:echo", {}, timeout_secs=SECS)["pid"])


def test_question_whose_turn_does_not_come_in_time_is_told_why(tmp_path: Path) -> None:
    inspector, question = Inspector(wait_secs=0.2), Question(tmp_path)
    with contextlib.closing(inspector):
        with asking(inspector, question) as first:
            with pytest.raises(
                ServerError, match=r"busy with other questions for 0\.2 s: job_tasks:meet"
            ) as caught:
                ask_for_pid(inspector)
            assert caught.value.advice == "try again in a moment"
            assert not first.done()

        assert first.result(SECS) == {}
        assert ask_for_pid(inspector) > 0


def test_question_without_a_deadline_waits_for_its_turn(tmp_path: Path) -> None:
    inspector, question = Inspector(), Question(tmp_path)
    with contextlib.closing(inspector), ThreadPoolExecutor(1) as thread:
        with asking(inspector, question) as first:
            second = thread.submit(ask_for_pid, inspector)

        assert second.result(SECS) > 0
        assert first.done()


def test_rest_ends_the_child_and_the_next_question_starts_another() -> None:
    with contextlib.closing(Inspector()) as inspector:
        first = ask_for_pid(inspector)
        assert ask_for_pid(inspector) == first

        inspector.rest()

        assert not Path(f"/proc/{first}").exists()
        assert ask_for_pid(inspector) != first


def test_rest_leaves_a_child_that_answers_alone(tmp_path: Path) -> None:
    inspector, question = Inspector(), Question(tmp_path)
    with contextlib.closing(inspector):
        with asking(inspector, question) as answer:
            inspector.rest()

        assert answer.result(SECS) == {}


def test_close_tells_who_is_answered_and_who_waits(tmp_path: Path) -> None:
    inspector, question = Inspector(), Question(tmp_path)
    with ThreadPoolExecutor(1) as thread, asking(inspector, question) as first:
        second = thread.submit(ask_for_pid, inspector)

        inspector.close()

        for answer in (first, second):
            with pytest.raises(ConflictError, match="the server is stopping"):
                answer.result(SECS)


def test_question_that_ends_the_child_costs_only_itself() -> None:
    with contextlib.closing(Inspector()) as inspector:
        with pytest.raises(InputError, match="cannot be answered") as caught:
            inspector.ask("job_tasks:abort", {}, timeout_secs=SECS)

        assert caught.value.field == "config"
        assert ask_for_pid(inspector) > 0
