"""The records of the jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from workbench.errors import ConflictError, ExistsError, InputError, NotFoundError
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store.database import Database
from workbench.store.events import add_event, take_seq
from workbench.store.fields import FIELDS, decode, encode, fold
from workbench.store.holdouts import insert_use
from workbench.store.tables import EVENTS, JOBS, SPECS

__all__ = ["JobRecords"]

_COLUMNS = [SPECS.c.spec if name == "spec" else JOBS.c[name] for name in FIELDS]
_FIXED = {"id", "seq"}


class JobRecords:
    """
    The jobs.

    Each change of a job's state, and of the reason why it waits, is an event, written in the same transaction.
    The record of a finished job never changes. What is returned is what was stored: in texts NUL and lone
    surrogates are U+FFFD (within `spec`, `point` and `failure` NUL stays), and a headline has finite numbers only.
    """

    _database: Database

    def add_job(self, job: JobRecord, *, uses_holdout: bool = False) -> JobRecord:
        """
        Add a job and return its record with its number.

        Parameters
        ----------
        job : JobRecord
            The job.
        uses_holdout : bool
            Whether it will look at sealed data of its dataset: that is counted, or neither is written.

        Raises
        ------
        ExistsError
            If there is a job with this id.
        InputError
            If a value cannot be stored; `field` names it.

        """
        values = _encode_job(job)
        with self._database.write() as connection:
            try:
                stored = _insert(connection, values)
            except IntegrityError:
                raise ExistsError(f"there is a job {job.id!r} already") from None
            if uses_holdout:
                insert_use(connection, job.dataset, job.id, job.owner)
            return stored

    def update_job(self, job_id: str, *, expected: JobState | None = None, **changes: Any) -> JobRecord:
        """
        Change fields of a job that has not finished, and return its record.

        Parameters
        ----------
        job_id : str
            Which job.
        expected : JobState, optional
            The state that it must be in.
        changes : Any
            The new values by the name of their field.

        Raises
        ------
        NotFoundError
            If there is no such job.
        ConflictError
            If it is in another state than `expected`, or has finished.
        InputError
            If a change names no field that can be changed, or a value cannot be stored.

        """
        if unknown := sorted(changes.keys() - (FIELDS.keys() - _FIXED)):
            raise InputError(f"{unknown[0]!r} is no field of a job that changes", field=unknown[0])
        values = encode(changes)
        if "name" in values:
            values["search"] = _build_search(job_id, values["name"])
        with self._database.write() as connection:
            present, reason = _find_state(connection, job_id)
            if present is None:
                raise NotFoundError(f"there is no job {job_id!r}", advice="`workbench jobs ls` lists them")
            if expected is not None and present is not expected:
                raise ConflictError(f"the job {job_id!r} is {present}", expected=expected)
            if present.is_finished:
                raise ConflictError(
                    f"the job {job_id!r} is {present}", expected="a job that has not finished"
                )
            has_event = values.get("state", present) != present or values.get("reason", reason) != reason
            return _update(connection, job_id, values, has_event=has_event)

    def put_finished(self, job: JobRecord) -> JobRecord:
        """
        Put a finished job, found in its directory, in the place of an unfinished one or of none.

        A finished job with this id stays as it is, and is returned.

        Raises
        ------
        InputError
            If `job` has not finished, or a value cannot be stored.

        """
        if not job.state.is_finished:
            raise InputError(f"the job {job.id!r} is {job.state}", expected="a finished job", field="state")
        values = _encode_job(job)
        with self._database.write() as connection:
            present, _ = _find_state(connection, job.id)
            if present is None:
                return _insert(connection, values)
            if present.is_finished:
                return _read(connection, job.id)
            return _update(connection, job.id, values, has_event=True)

    def get_job(self, job_id: str) -> JobRecord:
        """
        Return a job.

        Raises
        ------
        NotFoundError
            If there is no such job.

        """
        with self._database.read() as connection:
            return _read(connection, job_id)

    def clear_index(self) -> None:
        """Delete all jobs and events; users, tokens and sealed ranges stay, and numbers go on from where they were."""
        with self._database.write() as connection:
            for table in (SPECS, JOBS, EVENTS):
                connection.execute(sa.delete(table))


def _encode_job(job: JobRecord) -> dict[str, Any]:
    values = encode({name: getattr(job, name) for name in FIELDS})
    return {**values, "search": _build_search(job.id, job.name)}


def _build_search(job_id: str, name: str) -> str:
    return f"{fold(job_id)}\n{fold(name)}"


def _read(connection: sa.Connection, job_id: str) -> JobRecord:
    statement = sa.select(*_COLUMNS).join(SPECS, SPECS.c.job_id == JOBS.c.id).where(JOBS.c.id == job_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no job {job_id!r}", advice="`workbench jobs ls` lists them")
    return decode(FIELDS, row)


def _find_state(connection: sa.Connection, job_id: str) -> tuple[JobState | None, str]:
    """Return the state, and why it waits; no state where there is no such job."""
    # On PostgreSQL the row stays as it is until this transaction ends; on SQLite nobody else writes anyway.
    statement = sa.select(JOBS.c.state, JOBS.c.reason).where(JOBS.c.id == job_id).with_for_update()
    row = connection.execute(statement).one_or_none()
    return (None, "") if row is None else (JobState(row.state), row.reason)


def _insert(connection: sa.Connection, values: dict[str, Any]) -> JobRecord:
    spec = values.pop("spec")
    connection.execute(sa.insert(JOBS).values(**{**values, "seq": take_seq(connection)}))
    connection.execute(sa.insert(SPECS).values(job_id=values["id"], spec=spec))
    return _tell(connection, values["id"])


def _update(connection: sa.Connection, job_id: str, values: dict[str, Any], *, has_event: bool) -> JobRecord:
    if "spec" in values:
        connection.execute(sa.update(SPECS).where(SPECS.c.job_id == job_id).values(spec=values.pop("spec")))
    if has_event:
        values["seq"] = take_seq(connection)
    if values:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(**values))
    return _tell(connection, job_id) if has_event else _read(connection, job_id)


def _tell(connection: sa.Connection, job_id: str) -> JobRecord:
    job = _read(connection, job_id)
    add_event(connection, job)
    return job
