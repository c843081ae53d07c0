"""The bars over an engine's page: what is said of a server that was lost and is back."""

from __future__ import annotations

from typing import Any

from tests.ui.test_engine_commands import build_commands
from tests.ui.test_engine_status import LIVE, build_book
from workbench.engine_records import Gap
from workbench.errors import ServerError
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_buttons import build_bars, build_buttons
from workbench.ui.engine_feed import Regained
from workbench.ui.engine_sight import look
from workbench.ui.feed import FeedState, FeedStatus


def build(book: EngineBook, status: FeedStatus, now: float, regained: Regained | None) -> str:
    commands, _ = build_commands(None)
    return build_bars(book, look(book, status, now), commands, reason="", regained=regained)


def test_return_of_the_server_tells_what_happened_meanwhile() -> None:
    book = build_book()
    back = Regained(at=100.0, away_secs=12.0, seq=40)
    book.begin_after(40)
    html = build(book, LIVE, 100.5, back)
    assert "away for 12 s" in html
    assert "events" not in html  # None yet

    book.begin_after(1_077)
    assert "1,037 events since it was lost, none is missing" in build(book, LIVE, 101.0, back)
    book.begin_after(41)
    book.gap = Gap(requested=41, first=900)
    html = build(book, LIVE, 101.0, back)
    assert "none is missing" not in html
    assert "859 events are no longer kept" in html


def test_return_is_told_for_a_while_and_not_while_it_is_lost_again() -> None:
    book, back = build_book(), Regained(at=100.0, away_secs=12.0, seq=0)
    assert "It is back" in build(book, LIVE, 119.0, back)
    assert "It is back" not in build(book, LIVE, 121.0, back)
    lost = FeedStatus(FeedState.LOST, 100.0, ServerError("gone"))
    html = build(book, lost, 101.0, back)
    assert "It is back" not in html
    assert "does not answer" in html


def test_nothing_can_be_started_before_the_engine_was_heard() -> None:
    book, (commands, _) = EngineBook(), build_commands(None)
    unheard: Any = look(book, FeedStatus(FeedState.CONNECTING), 1.0)
    html = build_buttons(book, unheard, commands)
    assert "data-action='start' title='it has not been heard yet' disabled" in html
