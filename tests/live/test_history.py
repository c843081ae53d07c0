"""What a restart reads of the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.live import history
from workbench.live.history import read_history
from workbench.live.journal import Journal
from workbench.live.sandbox_state import STATE_EVENT


@pytest.mark.parametrize("page", [2, 3, 100])
def test_history_begins_with_the_last_event_that_stands_for_all_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(history, "_PAGE", page)
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        journal.append("order", "OrderInitialized", b"1")
        journal.append("account", STATE_EVENT, b"2")
        journal.append("order", "OrderFilled", b"3")
        journal.append("engine", "StateChanged", b"4")
        journal.append("position", "PositionOpened", b"5")
        journal.flush()
        assert list(read_history(path)) == [
            (STATE_EVENT, b"2"),
            ("OrderFilled", b"3"),
            ("PositionOpened", b"5"),
        ]


def test_history_without_such_an_event_is_all_there_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        journal.flush()
        assert list(read_history(path)) == []
        journal.append("order", "OrderInitialized", b"1")
        journal.flush()
        assert list(read_history(path)) == [("OrderInitialized", b"1")]
