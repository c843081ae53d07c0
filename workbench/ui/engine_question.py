"""A question before something is done to an engine: what is at stake, and a click or a typed word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import msgspec

from workbench.engine_records import Risks
from workbench.errors import ConfirmationRequiredError

__all__ = ["Choice", "Question", "build_question", "build_risks_question"]

# A token is good for a minute; what is answered has to reach the server in time.
_GOOD_SECS = 50.0
_MOST_ROWS = 6


@dataclass(frozen=True)
class Choice:
    """
    One answer.

    Attributes
    ----------
    key, label : str
        What is told to who asked, and what stands on the button.
    is_danger : bool
        Whether the button is red.
    has_word : bool
        Whether the word has to be typed for it, if the question has one.

    """

    key: str
    label: str
    is_danger: bool = False
    has_word: bool = True


@dataclass(frozen=True)
class Question:
    """
    A question.

    Attributes
    ----------
    title : str
        What is to be done.
    lines : sequence of str
        What is at stake.
    choices : sequence of Choice
        The answers besides "no".
    do : Callable[[str], object]
        Takes the key of the answer; called off the kernel's thread.
    word : str
        What has to be typed first; empty: nothing.
    expires_at : float
        When it is asked no longer, monotonic seconds.
    key : str
        What it is about.

    """

    title: str
    lines: Sequence[str]
    choices: Sequence[Choice]
    do: Callable[[str], object] = field(repr=False)
    word: str = ""
    expires_at: float = float("inf")
    key: str = ""

    def is_answered_by(self, choice: str, typed: str) -> bool:
        """Return whether `choice` is an answer, with what has been typed."""
        return any(c.key == choice and self.is_open_to(c, typed) for c in self.choices)

    def is_open_to(self, choice: Choice, typed: str) -> bool:
        """Return whether `choice` can be taken, with what has been typed."""
        return not self.word or not choice.has_word or typed.strip() == self.word


def build_risks_question(
    error: ConfirmationRequiredError, title: str, label: str, do: Callable[[str], object], *, now: float
) -> Question:
    """
    Return the question that a server's refusal asks.

    Parameters
    ----------
    error : ConfirmationRequiredError
        The refusal.
    title, label : str
        What is to be done, and what stands on the button.
    do : Callable[[str], object]
        Takes the token.
    now : float
        Monotonic seconds.

    """
    risks = msgspec.convert(error.risks, Risks)
    token = error.confirm_token
    return Question(
        title=title,
        lines=_list_risks(risks),
        choices=[Choice("yes", label, is_danger=True)],
        do=lambda _: do(token),
        word=risks.engine if risks.environment != "SANDBOX" else "",
        expires_at=now + _GOOD_SECS,
        key=risks.action,
    )


def _list_risks(risks: Risks) -> list[str]:
    lines = list(risks.lines)
    if risks.positions:
        held = [f"{p.side} {p.quantity} {p.instrument_id}" for p in risks.positions]
        lines.append(f"{len(held):,} open position{_s(held)}: {_shorten(held)}")
    if risks.orders:
        sent = [f"{o.side} {o.quantity} {o.instrument_id}" for o in risks.orders]
        lines.append(f"{len(sent):,} open order{_s(sent)}: {_shorten(sent)}")
    if risks.gross:
        lines.append(f"exposure {risks.gross} {risks.currency} gross, {risks.net} {risks.currency} net")
    lines += [
        f"{change.get('field')}: {_text(change.get('before'))} becomes {_text(change.get('after'))}"
        for change in risks.changes[:_MOST_ROWS]
    ]
    if len(risks.changes) > _MOST_ROWS:
        lines.append(f"and {len(risks.changes) - _MOST_ROWS:,} more changes")
    return lines


def build_question(question: Question, typed: str, *, busy: str = "") -> str:
    """
    Return a question as a bar.

    It covers nothing: an emergency stop must stay in reach.

    Parameters
    ----------
    question : Question
        The question.
    typed : str
        What has been typed.
    busy : str
        What is being done; then nothing can be answered.

    """
    lines = "".join(f"<li>{escape(line)}</li>" for line in question.lines)
    word = ""
    if question.word:
        word = (
            f"<div class='wb-field'><label for='wb-ask-word'>Type <b>{escape(question.word)}</b> to confirm</label>"
            f"<input class='wb-input' id='wb-ask-word' type='text' autocomplete='off' spellcheck='false' "
            f"data-action='word' data-live value='{escape(typed, quote=True)}'></div>"
        )
    buttons = ""
    for choice in question.choices:
        kind = "wb-btn danger" if choice.is_danger else "wb-btn"
        off = "" if question.is_open_to(choice, typed) and not busy else " disabled"
        buttons += (
            f"<button class='{kind}' type='button' id='wb-ask-{escape(choice.key, quote=True)}' data-action='answer' "
            f"data-key='{escape(choice.key, quote=True)}'{off}>{escape(choice.label)}</button>"
        )
    state = f"<span class='mute' role='status'>{escape(busy)}</span>" if busy else ""
    return (
        f"<div class='wb-ask' role='alertdialog' aria-labelledby='wb-ask-title'><div><b id='wb-ask-title'>"
        f"{escape(question.title)}</b><ul>{lines}</ul></div><div class='wb-ask-acts'>{word}{buttons}"
        f"<button class='wb-btn' type='button' id='wb-ask-no' data-action='dismiss'>No, leave it</button>{state}"
        "</div></div>"
    )


def _shorten(items: Sequence[str]) -> str:
    more = len(items) - _MOST_ROWS
    return ", ".join(items[:_MOST_ROWS]) + (f" and {more:,} more" if more > 0 else "")


def _s(items: Sequence[object]) -> str:
    return "" if len(items) == 1 else "s"


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)
