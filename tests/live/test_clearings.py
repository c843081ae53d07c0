from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from workbench.engine_records import EmergencyPolicy, HostMode, HostRecord, Latch
from workbench.errors import ServerError
from workbench.live.clearings import Clearing, journal_clearings, write_clearing
from workbench.live.config import EngineConfig
from workbench.live.context import HostContext
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal import Journal, JournalReader

LATCH = Latch(at="then", ts_ns=1, by="bob", reason="drill", policy=EmergencyPolicy())


def _journal(directory: EngineDirectory) -> list[dict[str, object]]:
    record = HostRecord(
        pid=1,
        incarnation=1,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="",
        socket="",
    )
    with Journal.open(directory.journal, incarnation=1) as journal:
        journal_clearings(directory, HostContext(directory, EngineConfig(), record, journal))
    with JournalReader(directory.journal) as reader:
        return [msgspec.json.decode(e.body) for e in reader.read() if e.name == "EmergencyCleared"]


def test_clearings_of_a_time_without_a_host_come_into_the_journal_once(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "one")
    directory.create()
    assert _journal(directory) == []
    write_clearing(directory, Clearing(at="1", by="ann", reason="over", latch=LATCH))
    write_clearing(directory, Clearing(at="2", by="bob", reason="again"))
    with (directory.path / "cleared.jsonl").open("ab") as file:
        file.write(b'{"at": "3", "by')

    told = _journal(directory)
    assert [(t["by"], t["reason"]) for t in told] == [("ann", "over"), ("bob", "again")]
    assert told[0]["latch"] == msgspec.to_builtins(LATCH)
    assert not (directory.path / "cleared.jsonl").exists()
    assert _journal(directory) == told


def test_clearing_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    directory = EngineDirectory(tmp_path / "one")
    with pytest.raises(ServerError, match=r"cleared\.jsonl"):
        write_clearing(directory, Clearing(at="1", by="ann", reason="over"))
