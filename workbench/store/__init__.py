"""The records of a workspace in a database: jobs and their events, users and their tokens."""

from __future__ import annotations

from workbench.store.query import JobPage, JobQuery
from workbench.store.store import Store

__all__ = ["JobPage", "JobQuery", "Store"]
