"""What a reader has done to an engine: off the kernel's thread, confirmed where it must be, with what became of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from workbench.client.engine import Engine
from workbench.errors import ConfirmationRequiredError, InputError, WorkbenchError
from workbench.ui.engine_question import Choice, Question, build_risks_question
from workbench.ui.kernel_loop import KernelLoop

__all__ = ["EngineCommands"]

_ASK_SECS = 60.0


class EngineCommands:
    """
    The commands of one component.

    Parameters
    ----------
    engine : Engine
        What is steered.
    on_change : Callable
        Called on the kernel's thread when there is something new to show.
    on_done : Callable
        Called when something has been done: it is to be looked at.
    on_ask : Callable, optional
        Called on the kernel's thread when there is a question.

    Attributes
    ----------
    busy : dict[str, str]
        What is being done: its key, and words.
    errors : dict[str, Exception]
        What went wrong last, by key.
    question : Question, optional
        What is asked.
    typed : str
        What has been typed for the question.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        on_change: Callable[[], object],
        on_done: Callable[[], object],
        on_ask: Callable[[], object] = lambda: None,
    ) -> None:
        self.engine = engine
        self.busy: dict[str, str] = {}
        self.errors: dict[str, Exception] = {}
        self.question: Question | None = None
        self.typed = ""
        self._on_change = on_change
        self._on_done = on_done
        self._on_ask = on_ask
        self._loop = KernelLoop()

    def run(
        self,
        key: str,
        words: str,
        call: Callable[[str], object],
        *,
        title: str = "",
        label: str = "Confirm",
        on_success: Callable[[], object] | None = None,
    ) -> None:
        """
        Do something; where the server wants it confirmed, ask.

        Parameters
        ----------
        key : str
            What it is about: an order's id, or the name of the command.
        words : str
            What is shown while it is done.
        call : Callable[[str], object]
            Does it; takes the token of a confirmation, at first none.
        title, label : str
            Of the question.
        on_success : Callable, optional
            Called on the kernel's thread when it is done.

        """
        self._run(key, words, lambda: call(""), title, label, call, on_success)

    def ask(self, key: str, title: str, lines: list[str], choices: list[Choice], do: Any, word: str) -> None:
        """
        Ask before something is done.

        Parameters
        ----------
        key, title, lines, choices, word
            See `Question`.
        do : Callable[[str], object]
            Takes the key of the answer; called on the kernel's thread.

        """
        self.typed = ""
        self.question = Question(title, lines, choices, do, word, time.monotonic() + _ASK_SECS, key)
        self._on_ask()

    def answer(self, choice: str) -> None:
        """
        Take the answer to the question.

        Raises
        ------
        InputError
            If nothing is asked any more, or the word was not typed.

        """
        question, self.question = self.find_question(), None
        if question is None:
            raise InputError("nothing is asked any more", advice="do it again: the question was too old")
        if not question.is_answered_by(choice, self.typed):
            self.question = question
            raise InputError("the word does not match", expected=question.word)
        self.typed = ""
        question.do(choice)
        self._on_change()

    def find_question(self) -> Question | None:
        """Return what is asked; a question that is too old is asked no longer."""
        if self.question is not None and time.monotonic() > self.question.expires_at:
            self.question = None
        return self.question

    def dismiss(self) -> None:
        """Take back the question."""
        self.question, self.typed = None, ""

    def forget(self, key: str) -> None:
        """Forget what went wrong."""
        self.errors.pop(key, None)

    def stop_emergency(self, reason: str) -> None:
        """Stop in an emergency: it waits for nothing that is done meanwhile."""
        key = "emergency-stop"
        self.dismiss()
        self.busy[key] = "stopping…"
        self.errors.pop(key, None)

        def run() -> None:
            failure: Exception | None = None
            try:
                self.engine.emergency_stop(reason=reason)
            except Exception as error:  # noqa: BLE001 - whatever fails, the person who pressed it has to see it
                failure = error
            self._loop.call(lambda: self._settle(key, failure))

        # Not a place in a queue behind what hangs.
        threading.Thread(target=run, name="workbench-emergency", daemon=True).start()
        self._on_change()

    def _run(
        self,
        key: str,
        words: str,
        task: Callable[[], object],
        title: str,
        label: str,
        call: Callable[[str], object],
        on_success: Callable[[], object] | None,
    ) -> None:
        self.busy[key] = words
        self.errors.pop(key, None)

        def on_done(_: object) -> None:
            if on_success is not None:
                on_success()
            self._settle(key, None)

        def on_error(error: Exception) -> None:
            if not isinstance(error, ConfirmationRequiredError):
                self._settle(key, error)
                return
            self.typed = ""

            def repeat(token: str) -> None:
                self._run(key, words, lambda: call(token), title, label, call, on_success)

            self.question = build_risks_question(
                error, title or f"{label}?", label, repeat, now=time.monotonic()
            )
            self._settle(key, None)
            self._on_ask()

        self._loop.work(task, on_done, on_error)
        self._on_change()

    def _settle(self, key: str, error: Exception | None) -> None:
        self.busy.pop(key, None)
        if error is None:
            self.errors.pop(key, None)
        else:
            self.errors[key] = error
        with contextlib.suppress(WorkbenchError):
            self._on_done()
        self._on_change()
