"""The equity of an engine on a page: from before it was opened, with holes where nothing was known; and its log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import msgspec
import pytest

from tests.api.engine_hosts import Host
from tests.jobs.walks import wait_until
from tests.ui.engine_desks import running_host, shown
from tests.ui.walking import Walks
from workbench.engine_records import EquitySample, LogLine, StrategyPnl
from workbench.live.equity_history import EquityHistory
from workbench.ui import LogTable
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_equity import EngineEquity, _break_line

SECOND_NS = 10**9


def build_sample(ts_ns: int, equity: str | None) -> EquitySample:
    pnl = {"S-1": StrategyPnl(realized="1.5", unrealized="0.25")}
    return EquitySample(ts_ns=ts_ns, currency="USD", equity=equity, strategies=pnl)


def test_past_stands_before_what_was_seen_and_changes_nothing_of_it() -> None:
    book = EngineBook()
    assert book.wants_past
    book.equity.append((10_000.0, 7.0))
    book.take_past(
        [build_sample(s * SECOND_NS, str(s)) for s in (0, 5, 10)] + [build_sample(15 * 10**9, None)]
    )
    times, values = zip(*book.equity, strict=True)
    assert times == (0.0, 5_000.0, 10_000.0, 15_000.0)
    assert values[:3] == (0.0, 5.0, 7.0)
    assert math.isnan(values[3])
    assert (book.currency, book.past, book.wants_past) == ("USD", 1, False)
    assert [value for _, value in book.pnl["S-1"]] == [1.75] * 4
    book.take_past([])
    assert len(book.equity) == 4


def test_line_has_a_hole_where_nothing_is_known_for_long() -> None:
    line = [(1_000.0, 1.0), (91_000.0, 2.0), (400_000.0, 3.0)]
    drawn = _break_line(line, 0.0)
    assert [ms for ms, _ in drawn] == [1_000.0, 91_000.0, 91_001.0, 400_000.0]
    assert math.isnan(drawn[2][1])
    assert len(_break_line([(400_000.0, 3.0)], 91_000.0)) == 2


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("equity"))
    yield walks
    walks.stop()


@pytest.fixture(scope="module")
def host(walks: Walks) -> Iterator[Host]:
    with running_host(walks) as host:
        yield host


def test_chart_shows_what_was_before_it_was_opened(walks: Walks, host: Host) -> None:
    now_ns = time.time_ns()
    history = EquityHistory(host.directory.equity)
    for number in range(40):
        history.add(build_sample(now_ns - (300 - number) * SECOND_NS, f"{900_000 + number}"))
    history.close()
    with walks.connect() as client:
        view = EngineEquity(client)
        try:
            static = view.build_html()
            assert "No equity samples" not in static
            curve = next(iter(view._chart._curves.values()))
            # A hole between the past and now, and the present after it.
            assert curve.samples.columns["equity"][0] == 900_000
            assert curve.samples.columns["equity"][-1] == 1_000_000
            assert any(math.isnan(value) for value in curve.samples.columns["equity"])
            view.build_widget()
            feed = view._feed
            shown_count = curve.samples.total
            feed.read(lambda book: book.take_past([build_sample(now_ns - 900 * SECOND_NS, "5")]))
            wait_until(lambda: read_first(view) == 5)
            assert next(iter(view._chart._curves.values())).samples.total > shown_count
        finally:
            view.close()
            view._feed.close()


def read_first(view: EngineEquity) -> float:
    with view._chart._lock:
        curves = list(view._chart._curves.values())
        return float(curves[0].samples.columns["equity"][0]) if curves and len(curves[0].samples) else 0.0


def write_log(host: Host, *lines: tuple[str, str]) -> None:
    with host.directory.log.with_name("log_2026-01-01_000000-000.jsonl").open("ab") as file:
        for level, message in lines:
            entry = {
                "timestamp": "2026-01-01T00:00:00.5Z",
                "level": level,
                "component": "Comp",
                "message": message,
            }
            file.write(msgspec.json.encode(entry) + b"\n")


def test_log_of_nautilus_stands_beside_the_alarms_and_grows(walks: Walks, host: Host) -> None:
    write_log(host, ("INFO", "<first>"), ("ERROR", "broken"))
    with walks.connect() as client, shown(LogTable, client) as screen:
        host.tell(1)
        host.tell(1, kind="alarm", name="JournalResumed")
        screen.wait_for("OrderAccepted")
        assert "broken" not in screen.html
        screen.press("events", "Log")
        screen.wait_for("&lt;first&gt;")
        assert "OrderAccepted" not in screen.html
        assert "JournalResumed" in screen.html
        write_log(host, ("WARN", "later"))
        screen.wait_for("later")
        screen.press("log-level", "Errors")
        screen.wait_until_gone("later")
        screen.wait_for("broken")
        screen.press("events", "All")
        assert "broken" not in screen.html
        assert screen.piece._feed.read(lambda book: book.log_level) == ""


def test_lines_of_another_level_than_is_wanted_by_now_are_not_taken() -> None:
    book = EngineBook()
    line = LogLine(ts="2026-01-01T00:00:00Z", level="INFO", component="C", message="m")
    book.follow_log("INFO")
    book.take_log("INFO", [line], "file:1")
    assert (book.log[0][0], book.log_cursor) == (1_767_225_600 * SECOND_NS, "file:1")
    book.follow_log("ERROR")
    book.take_log("INFO", [line], "file:2")
    assert (list(book.log), book.log_cursor) == ([], "")
    book.take_log("ERROR", [msgspec.structs.replace(line, ts="never")], "file:3")
    assert book.log[0][0] == 0
