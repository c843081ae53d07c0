"""The light of an engine: green where all is well, and otherwise why not, the gravest first."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest

from tests.ui.test_engine_book import build_report
from workbench.engine_records import EmergencyAction, EmergencyPolicy, EmergencyScope
from workbench.errors import NotFoundError, ServerError
from workbench.states import EngineState
from workbench.ui.engine_badges import build_environment, describe_policy
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_health import build_strategy, list_health
from workbench.ui.engine_sight import find_quote_age, look
from workbench.ui.engine_status import build_light, find_faults
from workbench.ui.feed import FeedState, FeedStatus

LIVE = FeedStatus(FeedState.LIVE, 100.0)


def build_book(**facts: object) -> EngineBook:
    book = EngineBook()
    report = build_report(equity="1")
    report = msgspec.structs.replace(report, facts={**(report.facts or {}), **facts})
    book.take_report(report, 100.0)
    return book


def test_engine_that_is_well_is_green() -> None:
    book = build_book()
    sight = look(book, LIVE, 100.5)

    assert sight.is_fresh
    assert sight.words == ""
    assert find_faults(book, sight) == []
    assert "healthy" in build_light(book, sight)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"clients": [{"client_id": "SIM", "kind": "execution", "is_connected": False}]}, "SIM (execution)"),
        ({"feeds": [{"client_id": "REPLAY", "problem": "it <ended>"}]}, "REPLAY: it <ended>"),
        ({"strategies": [{"strategy_id": "S-1", "error": "Traceback"}]}, "S-1 failed"),
        ({"valuation": {"missing": "no rate of EUR"}}, "no rate of EUR"),
    ],
)
def test_every_part_that_fails_is_a_reason(facts: dict[str, object], words: str) -> None:
    book = build_book(**facts)
    sight = look(book, LIVE, 100.5)

    assert any(words in fault for fault in find_faults(book, sight))
    assert "healthy" not in build_light(book, sight)
    assert "<ended>" not in build_light(book, sight)


def test_what_is_not_heard_is_old_and_says_so() -> None:
    book = build_book()
    lost = look(book, FeedStatus(FeedState.LOST, 100.0, ServerError("gone")), 101.0)
    late = look(book, LIVE, 130.0)

    assert not lost.is_fresh
    assert "does not answer" in find_faults(book, lost)[0]
    assert "bad" in build_light(book, lost)
    assert not late.is_fresh
    assert late.words == "30 s old"


def test_environment_that_is_not_known_does_not_look_harmless() -> None:
    book = build_book()
    assert not look(book, LIVE, 100.0).is_live
    assert book.report is not None
    status = msgspec.structs.replace(book.report.status, environment="")
    book.take_report(msgspec.structs.replace(book.report, status=status), 100.0)
    sight = look(book, LIVE, 100.0)
    assert sight.is_live
    assert "LIVE" in build_environment(sight)


def test_engine_that_is_missing_or_never_heard_says_so() -> None:
    book = EngineBook()
    sight = look(book, FeedStatus(FeedState.CONNECTING), 1.0)
    assert find_faults(book, sight) == ["it has not been heard yet"]
    assert build_environment(sight) == ""
    book.take_missing(NotFoundError("there is no engine 'a'"))
    assert find_faults(book, sight) == ["there is no engine 'a'"]
    assert list_health(book, sight) == []


def test_quote_age_is_that_of_the_oldest_mark_and_grows() -> None:
    marks = [{"instrument_id": "A", "age_secs": 1.0}, {"instrument_id": "B", "age_secs": 4.0}]
    book = build_book(valuation={"marks": marks}, told_ns=1)
    assert find_quote_age(book, look(book, LIVE, 102.0)) == pytest.approx(6.0)
    marks.append({"instrument_id": "C", "age_secs": None})  # type: ignore[dict-item]
    assert find_quote_age(build_book(valuation={"marks": marks}), look(book, LIVE, 102.0)) is None
    data = [{"instrument_id": "A", "kind": "QuoteTick", "count": 1, "ts_last": 5_000_000_000}]
    data.append({"instrument_id": "A", "kind": "CurrencyPair", "count": 1, "ts_last": 9_000_000_000})
    book = build_book(market_data=data, told_ns=7_000_000_000)
    assert find_quote_age(book, look(book, LIVE, 100.0)) == pytest.approx(2.0)


def test_health_says_what_is_wrong_by_its_colour_and_words() -> None:
    book = build_book(
        clients=[{"client_id": "SIM", "kind": "execution", "is_connected": False}],
        heartbeat={"lag_ms": 900.0},
        queues={"data": 5_000},
        alarms=2,
        resources={"cpu_percent": 5.0, "memory_bytes": 10**8, "disk_free_bytes": 1, "disk_total_bytes": 100},
        round_trip={"count": 3, "median_ms": 1.0, "worst_ms": 5_000.0},
    )
    lines = {what: (kind, text) for kind, what, text, _ in list_health(book, look(book, LIVE, 100.0))}

    assert lines["Venue SIM"] == ("bad", "DISCONNECTED")
    assert lines["Event loop lag"] == ("warn", "900.0 ms")
    assert lines["Queued messages"] == ("warn", "5,000")
    assert lines["Alarms"] == ("warn", "2")
    assert lines["Disk"][0] == "warn"
    assert lines["Order round trip"] == ("warn", "1.00 / 5,000.00 ms")
    assert lines["Trader"] == ("ok", "RUNNING")


@pytest.mark.parametrize("action", EmergencyAction)
@pytest.mark.parametrize("scope", EmergencyScope)
def test_policy_is_told_in_words(action: EmergencyAction, scope: EmergencyScope) -> None:
    words = describe_policy(EmergencyPolicy(action=action, scope=scope))

    assert ("positions stay open" in words) is (action == EmergencyAction.CANCEL_ONLY)
    assert ("whole account" in words) is (scope == EmergencyScope.ACCOUNT)


def test_empty_table_says_that_there_is_nothing_only_where_that_is_known() -> None:
    book = build_book()
    assert look(book, LIVE, 100.5).explain_absence("Flat.") == "Flat."
    lost = look(book, FeedStatus(FeedState.LOST, 100.0, ServerError("gone")), 101.0)
    assert "server does not answer" in lost.explain_absence("Flat.")
    assert book.report is not None
    status = msgspec.structs.replace(book.report.status, is_alive=False, state=EngineState.STOPPED)
    book.take_report(msgspec.structs.replace(book.report, status=status), 100.0)
    assert "engine does not run" in look(book, LIVE, 100.5).explain_absence("Flat.")


def test_strategy_tells_what_it_has_made_and_what_is_not_known_is_no_number() -> None:
    made = {"realized": "-12.5", "unrealized": None, "why": "no rate EUR/USD"}
    book = build_book(strategy_pnl={"S-<1>": made}, strategies=[])
    row = {"strategy_id": "S-<1>", "path": "a:B", "state": "RUNNING"}
    html = build_strategy(book, row, look(book, LIVE, 100.5))
    assert "S-&lt;1&gt;" in html
    assert "<td class='n down'>\N{MINUS SIGN}12.50</td>" in html
    assert "title='no rate EUR/USD'>\N{EM DASH}" in html
    assert "<svg" not in html
    for ts in (0, 5):
        book.pnl.setdefault("S-<1>", deque()).append((ts, float(ts)))
    assert "<svg" in build_strategy(book, row, look(book, LIVE, 100.5))
