"""The routes about sweeps: preview, submit, list, what became of the trials."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.backtests import PREFIX, BacktestBody
from workbench.api.bodies import Plain
from workbench.api.context import ContextOf
from workbench.api.jobs import JobId, Listing
from workbench.errors import NotFoundError
from workbench.jobs.directory import JobDirectory
from workbench.records import JobRecord, UserRecord
from workbench.roles import Permission
from workbench.store.query import JobPage

__all__ = ["SweepAnswer", "SweepBody", "router"]

_KIND = "sweep"

router = APIRouter(tags=["sweeps"])
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Researcher = Annotated[UserRecord, require(Permission.RESEARCH)]


class SweepAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A sweep and what is known of it so far.

    Attributes
    ----------
    job : JobRecord
        The sweep itself; its backtests are the jobs with its id as ``parent_id``.
    trials : list[dict]
        The trials that have ended, see `workbench.backtest.sweep_trials.Trial`.
    best : dict, optional
        The best of them, once all have ended; of a walk-forward the best test.
    trials_of_lineage : int
        All backtests of this strategy on these data that there were, whoever ran them.
    statistics : dict
        ``deflated_sharpe`` and ``pbo``, both probabilities.
    out_of_sample : dict
        Of a walk-forward: how many tests there were, and their mean.

    """

    job: JobRecord
    trials: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None
    trials_of_lineage: int = 0
    statistics: dict[str, Any] = {}
    out_of_sample: dict[str, Any] = {}


class SweepBody(BaseModel):
    """
    What is to be searched.

    `backtest` is what every trial starts from; `search` says which points to try and what for, see
    `workbench.backtest.search.Search`; `parallel` is how many trials may wait or run at a time.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    backtest: BacktestBody
    search: Plain
    name: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    parallel: int | None = Field(None, ge=1, le=1_000)

    def build_wish(self) -> dict[str, Any]:
        """Return what is submitted."""
        return {**self.model_dump(exclude_none=True), "backtest": self.backtest.build_wish()}


@router.get("/sweeps", **answer(JobPage))
def list_sweeps(context: ContextOf, user: _Viewer, listing: Annotated[Listing, Query()]) -> Response:
    """List the jobs that are sweeps."""
    return encode(context.service.list_jobs(listing.build_query(_KIND)))


@router.post("/sweeps", **answer(JobRecord, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED, has_body=True))
async def submit_sweep(context: ContextOf, user: _Researcher, body: SweepBody) -> Response:
    """Check a search and begin it."""
    job = await context.inspect(
        context.service.submit, _KIND, body.build_wish(), owner=user.name, name=body.name
    )
    return encode(job, HTTPStatus.CREATED, {"Location": f"{PREFIX}/sweeps/{job.id}"})


@router.post("/sweeps/preview", **answer(dict, has_body=True))
async def preview_sweep(context: ContextOf, user: _Researcher, body: SweepBody) -> Response:
    """Check a search and say how many runs it takes; nothing is begun."""
    return encode(await context.inspect(context.service.preview, _KIND, body.build_wish()))


@router.get("/sweeps/{job_id}", **answer(SweepAnswer, HTTPStatus.NOT_FOUND))
def get_sweep(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return a sweep, its trials so far and, once it has ended, what its best trial is worth."""
    job = context.service.get(job_id)
    if job.kind != _KIND:
        raise NotFoundError(f"the job {job_id} is a {job.kind}", expected="a sweep")
    found = JobDirectory(context.runs / job.id).read_json("sweep.json")
    known = {name: value for name, value in found.items() if name in SweepAnswer.__struct_fields__}
    return encode(msgspec.convert({**known, "job": job}, SweepAnswer))
