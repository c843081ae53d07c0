"""Sealed ranges of datasets, and who has used them."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from workbench.errors import ExistsError, InputError, NotFoundError
from workbench.records import HoldoutRecord, HoldoutUse
from workbench.stamps import normalise_stamp, utc_now
from workbench.store.database import Database
from workbench.store.fields import MAX_KEY
from workbench.store.tables import HOLDOUT_USES, HOLDOUTS

__all__ = ["HoldoutRecords", "insert_use"]

_MAX_USES = 1_000
_USES = (
    sa.select(sa.func.count())
    .where(HOLDOUT_USES.c.dataset == HOLDOUTS.c.dataset)
    .scalar_subquery()
    .label("uses")
)


class HoldoutRecords:
    """
    The sealed ranges, one for a dataset at most.

    Uses are of the dataset and outlive the seal: who removes it and seals again cannot make them unseen.
    """

    _database: Database

    def add_holdout(self, dataset: str, start: str, end: str, *, sealed_by: str) -> HoldoutRecord:
        """
        Seal a range of a dataset, both ends inside.

        Parameters
        ----------
        dataset : str
            The data, as in `JobRecord.dataset`.
        start, end : str
            ISO 8601; without a zone UTC, and a day is its first moment.
        sealed_by : str
            The user.

        Raises
        ------
        ExistsError
            If a range of this dataset is sealed already.
        InputError
            If that is no name of a dataset, or no range; `field` names the part.

        """
        if not 0 < len(dataset) <= MAX_KEY:
            raise InputError(
                f"the dataset has {len(dataset)} characters", expected=f"1 to {MAX_KEY}", field="dataset"
            )
        holdout = HoldoutRecord(
            dataset=dataset,
            start=_parse(start, "start"),
            end=_parse(end, "end"),
            sealed_by=sealed_by,
            sealed_at=utc_now(),
        )
        if holdout.end < holdout.start:
            raise InputError(
                f"the end {holdout.end} is before the start {holdout.start}",
                expected="a start, then an end",
                field="end",
            )
        values = msgspec.structs.asdict(holdout)
        del values["uses"]
        with self._database.write() as connection:
            try:
                connection.execute(sa.insert(HOLDOUTS).values(**values))
            except IntegrityError:
                raise ExistsError(
                    f"a range of {dataset!r} is sealed already",
                    advice="an admin can remove that seal",
                    field="dataset",
                ) from None
            return _build_holdout(connection.execute(_select(holdout.dataset)).one())

    def list_holdouts(self) -> list[HoldoutRecord]:
        """Return all sealed ranges by dataset."""
        statement = sa.select(HOLDOUTS, _USES).order_by(HOLDOUTS.c.dataset)
        with self._database.read() as connection:
            return [_build_holdout(row) for row in connection.execute(statement)]

    def find_holdout(self, dataset: str) -> HoldoutRecord | None:
        """Return the sealed range of a dataset, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(_select(dataset)).one_or_none()
        return None if row is None else _build_holdout(row)

    def add_holdout_use(self, dataset: str, job_id: str, user: str) -> None:
        """Count that a job has looked at sealed data of a dataset; the same job again changes nothing."""
        with self._database.write() as connection:
            insert_use(connection, dataset, job_id, user)

    def list_holdout_uses(self, dataset: str) -> list[HoldoutUse]:
        """Return who has looked at sealed data of a dataset, the latest first, 1,000 at most."""
        statement = (
            sa.select(HOLDOUT_USES)
            .where(HOLDOUT_USES.c.dataset == dataset)
            .order_by(HOLDOUT_USES.c.ts.desc(), HOLDOUT_USES.c.job_id.desc())
            .limit(_MAX_USES)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [msgspec.convert(row, HoldoutUse, from_attributes=True) for row in rows]

    def remove_holdout(self, dataset: str) -> None:
        """
        Break a seal; its uses stay counted.

        Raises
        ------
        NotFoundError
            If no range of this dataset is sealed.

        """
        with self._database.write() as connection:
            if not connection.execute(sa.delete(HOLDOUTS).where(HOLDOUTS.c.dataset == dataset)).rowcount:
                raise NotFoundError(f"no range of {dataset!r} is sealed", field="dataset")


def insert_use(connection: sa.Connection, dataset: str, job_id: str, user: str) -> None:
    """Count a use, unless this job has been counted."""
    key = (HOLDOUT_USES.c.dataset == dataset) & (HOLDOUT_USES.c.job_id == job_id)
    if connection.execute(sa.select(sa.literal(1)).select_from(HOLDOUT_USES).where(key)).first() is None:
        values = {"dataset": dataset, "job_id": job_id, "user": user, "ts": utc_now()}
        connection.execute(sa.insert(HOLDOUT_USES).values(**values))


def _select(dataset: str) -> sa.Select[Any]:
    return sa.select(HOLDOUTS, _USES).where(HOLDOUTS.c.dataset == dataset)


def _build_holdout(row: sa.Row[Any]) -> HoldoutRecord:
    return msgspec.convert(row, HoldoutRecord, from_attributes=True)


def _parse(text: str, field: str) -> str:
    try:
        return normalise_stamp(text)
    except ValueError:
        raise InputError(
            f"{field} is {text[:64]!r}", expected="ISO 8601, for example 2012-02-06T00:00:00Z", field=field
        ) from None
