"""Questions before something is done: what they say, and what counts as an answer."""

from __future__ import annotations

import msgspec
import pytest

from tests.api.engine_hosts import ORDER, POSITION
from tests.ui.walking import Page
from workbench.engine_records import Risks
from workbench.errors import ConfirmationRequiredError
from workbench.ui.engine_question import Choice, Question, build_question, build_risks_question


def build_error(environment: str) -> ConfirmationRequiredError:
    risks = Risks(
        engine="momentum",
        action="start",
        environment=environment,
        word="LIVE",
        lines=["it trades at <X>"],
        orders=[ORDER],
        positions=[POSITION],
        gross="3000",
        net="-3000",
        currency="USD",
        changes=[{"field": "risk.max_drawdown", "before": "0.1", "after": None}],
    )
    return ConfirmationRequiredError("sure?", risks=msgspec.to_builtins(risks), confirm_token="token")


def test_risks_are_listed_and_the_token_is_handed_on() -> None:
    taken: list[str] = []
    question = build_risks_question(build_error("SANDBOX"), "Start?", "Start", taken.append, now=10.0)

    html = build_question(question, "")
    for text in ("it trades at &lt;X&gt;", "LONG 2000 GBP/USD.SIM", "BUY 1000 GBP/USD.SIM", "3000 USD gross"):
        assert text in html
    assert "risk.max_drawdown: 0.1 becomes nothing" in html
    assert 10 < question.expires_at < 70
    assert question.is_answered_by("yes", "")
    question.do("yes")
    assert taken == ["token"]


@pytest.mark.parametrize("environment", ["LIVE", "", "OTHER"])
def test_whatever_is_no_sandbox_wants_the_name_of_the_engine(environment: str) -> None:
    question = build_risks_question(build_error(environment), "Start?", "Start", str, now=0.0)

    assert not question.is_answered_by("yes", "")
    assert not question.is_answered_by("yes", "LIVE")
    assert not question.is_answered_by("no", "momentum")
    assert question.is_answered_by("yes", "momentum ")
    (button,) = Page(build_question(question, "mom")).find("button", id="wb-ask-yes")
    assert "disabled" in button.attributes
    (button,) = Page(build_question(question, "momentum")).find("button", id="wb-ask-yes")
    assert "disabled" not in button.attributes


def test_choice_without_the_word_is_open_beside_one_with_it() -> None:
    question = Question(
        "Stop?", [], [Choice("leave", "Stop"), Choice("restart", "Restart", has_word=False)], str, "x"
    )

    assert question.is_answered_by("restart", "")
    assert not question.is_answered_by("leave", "")
