"""The records of a workspace, opened by URL."""

from __future__ import annotations

from typing import Self

from workbench.store.address import parse_address
from workbench.store.database import Database
from workbench.store.events import EventRecords
from workbench.store.history import HistoryRecords
from workbench.store.holdouts import HoldoutRecords
from workbench.store.jobs import JobRecords
from workbench.store.listing import ListRecords
from workbench.store.schema import migrate
from workbench.store.users import UserRecords

__all__ = ["Store"]


class Store(JobRecords, ListRecords, HistoryRecords, HoldoutRecords, EventRecords, UserRecords):
    """
    The records, in SQLite or PostgreSQL; made by `Store.open`.

    Any thread may call any method. Reads run beside each other and beside a write; writes run one after
    another. Each method is one transaction, on the disk when it returns. Records are immutable: a change
    returns a new one. Every method raises `StoreError` when the database does not do its part.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """
        Open the records and bring their tables to the present version.

        Parameters
        ----------
        url : str
            ``sqlite:///path`` (file and directory are made, private to this user) or ``postgresql://...``.

        Raises
        ------
        StoreError
            If there is no such database, it is of a later version, or it is something else.

        """
        database = Database(parse_address(url))
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close the connections; nothing can be read or written afterwards."""
        self._database.close()
