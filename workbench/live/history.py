"""What earlier hosts of an engine wrote of orders, positions and accounts: as much as a restart needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.live.journal_reader import JournalReader
from workbench.live.sandbox_state import STATE_EVENT

__all__ = ["read_history"]

_PAGE = 5_000
_KINDS = frozenset({"order", "position", "account"})


def read_history(path: Path) -> Iterator[tuple[str, bytes]]:
    """
    Give nautilus's events of the journal at `path`, oldest first, from the last one that stands for all before it.

    Raises
    ------
    StoreError
        If the journal cannot be read.

    """
    with JournalReader(path) as reader:
        last = reader.last_seq
        after = _find_start(reader, last)
        while page := reader.read(after, min(_PAGE, last - after)):
            for event in page:
                if event.kind in _KINDS:
                    yield event.name, bytes(event.body)
            after = page[-1].seq
            if after >= last:
                return


def _find_start(reader: JournalReader, last: int) -> int:
    """Return the number before that of the last event that stands for all before it; 0 if there is none."""
    end = last
    while end > 0:
        after = max(0, end - _PAGE)
        page = reader.read(after, end - after)
        found = [e.seq for e in page if e.name == STATE_EVENT and e.kind in _KINDS]
        if found:
            return found[-1] - 1
        if page and page[0].seq > after + 1:
            return 0  # What comes before is not kept
        end = after
    return 0
