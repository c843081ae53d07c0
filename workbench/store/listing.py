"""Lists of jobs, filtered and sorted by the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from workbench.states import JobState
from workbench.store.database import Database
from workbench.store.fields import FIELDS, decode, fold
from workbench.store.query import JobPage, JobQuery
from workbench.store.tables import JOBS

__all__ = ["ListRecords"]

_NAMES = [name for name in FIELDS if name != "spec"]
_COLUMNS = [JOBS.c[name] for name in _NAMES]
_EXACT = ("kind", "owner", "parent_id", "lineage", "dataset")
_FINISHED = [state.value for state in JobState if state.is_finished]


class ListRecords:
    """The jobs, many at a time."""

    _database: Database

    def list_jobs(self, query: JobQuery) -> JobPage:
        """Return the jobs that `query` asks for, without their `spec`."""
        conditions = _build_conditions(query)
        page = (
            sa.select(*_COLUMNS)
            .where(*conditions)
            .order_by(*_build_order(query.sort))
            .limit(query.limit)
            .offset(query.offset)
        )
        with self._database.read() as connection:
            rows = connection.execute(page).all()
            total = connection.execute(
                sa.select(sa.func.count()).select_from(JOBS).where(*conditions)
            ).scalar_one()
        return JobPage(items=[decode(_NAMES, row) for row in rows], total=total)

    def find_ids(self, *, finished: bool | None = None) -> set[str]:
        """Return the ids of all jobs, or of those that have or have not finished."""
        statement = sa.select(JOBS.c.id)
        if finished is not None:
            has_finished = JOBS.c.state.in_(_FINISHED)
            statement = statement.where(has_finished if finished else ~has_finished)
        with self._database.read() as connection:
            return set(connection.execute(statement).scalars())

    def count_states(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, 0 where there is none."""
        statement = sa.select(JOBS.c.state, sa.func.count()).group_by(JOBS.c.state)
        with self._database.read() as connection:
            counts = {row[0]: row[1] for row in connection.execute(statement)}
        return {state: counts.get(state.value, 0) for state in JobState}


def _build_conditions(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    conditions = [JOBS.c[name] == value for name in _EXACT if (value := getattr(query, name))]
    if query.states:
        conditions.append(JOBS.c.state.in_([state.value for state in query.states]))
    if query.is_top_level:
        conditions.append(JOBS.c.parent_id.is_(None))
    if query.text:
        conditions.append(JOBS.c.search.contains(fold(query.text), autoescape=True))
    return conditions


def _build_order(sort: str) -> list[sa.ColumnElement[Any]]:
    name = sort.removeprefix("-")
    if name in FIELDS:
        key, can_lack = JOBS.c[name], FIELDS[name].is_optional
    else:
        key, can_lack = JOBS.c.headline[name].as_float(), True
    order: list[sa.ColumnElement[Any]] = [key, JOBS.c.id]
    if sort.startswith("-"):
        order = [column.desc() for column in order]
    # Only where it means something: no index is in this order.
    return [order[0].nulls_last() if can_lack else order[0], *order[1:]]
