"""The routes about jobs of any kind: lists, and steering."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import Context, ContextOf
from workbench.errors import ForbiddenError
from workbench.records import EquityTrace, Inspection, JobRecord, UserRecord
from workbench.roles import Permission, is_allowed
from workbench.states import JobState
from workbench.store.query import JobPage, JobQuery

__all__ = ["JobId", "Listing", "ReindexBody", "Resources", "router"]

router = APIRouter(tags=["jobs"])

_TEXT = r"^[^\x00]*$"
JobId = Annotated[str, Path(max_length=100)]
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Researcher = Annotated[UserRecord, require(Permission.RESEARCH)]
_Admin = Annotated[UserRecord, require(Permission.ADMINISTER)]


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The slots for jobs and who has them; the memory for jobs, what of it is reserved and what is used."""

    slots: int
    running: int
    paused: int
    pending: int
    memory_bytes: int
    reserved_bytes: int
    rss_bytes: int


class Listing(BaseModel):
    """Which jobs, in which order: `sort` is a column or a headline number, a ``-`` before it: descending."""

    model_config = ConfigDict(extra="forbid")

    state: list[JobState] = []
    owner: str = Query("", max_length=200, pattern=_TEXT)
    parent_id: str = Query("", max_length=200, pattern=_TEXT)
    lineage: str = Query("", max_length=200, pattern=_TEXT)
    dataset: str = Query("", max_length=200, pattern=_TEXT)
    is_top_level: bool = False
    text: str = Query("", max_length=200, pattern=_TEXT)
    sort: str = Query("-created_at", max_length=100, pattern=_TEXT)
    limit: int = Query(50, ge=1, le=1000)
    offset: int = Query(0, ge=0, le=1_000_000_000)

    def build_query(self, kind: str) -> JobQuery:
        """Return the query to the records."""
        return JobQuery(kind=kind, states=tuple(self.state), **self.model_dump(exclude={"state", "kind"}))


class _JobListing(Listing):
    kind: str = Query("", max_length=100, pattern=_TEXT)


class ReindexBody(BaseModel):
    """Whether the records of the jobs are thrown away first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rebuild: bool = False


@router.get("/jobs", **answer(JobPage))
def list_jobs(context: ContextOf, user: _Viewer, listing: Annotated[_JobListing, Query()]) -> Response:
    """List jobs, without what was asked of them (`spec`)."""
    return encode(context.service.list_jobs(listing.build_query(listing.kind)))


@router.get("/jobs/resources", **answer(Resources))
def describe_resources(context: ContextOf, user: _Viewer) -> Response:
    """Say how many jobs run, wait and are paused, and what memory is taken."""
    return encode(msgspec.convert(context.service.describe_resources(), Resources))


@router.post("/jobs/reindex", **answer(dict, has_body=True))
def reindex(context: ContextOf, admin: _Admin, body: ReindexBody) -> Response:
    """Read the directories of the jobs again into the records."""
    return encode(context.service.reindex(rebuild=body.rebuild))


@router.get("/jobs/{job_id}", **answer(JobRecord, HTTPStatus.NOT_FOUND))
def get_job(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return one job with its progress."""
    return encode(context.service.get(job_id))


@router.post(
    "/jobs/{job_id}/cancel",
    **answer(JobRecord, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED),
)
def cancel_job(context: ContextOf, user: _Researcher, job_id: JobId) -> Response:
    """Stop a job; what it has so far is kept."""
    _check_owner(context, user, job_id)
    return encode(context.service.cancel(job_id), HTTPStatus.ACCEPTED)


@router.post(
    "/jobs/{job_id}/pause",
    **answer(JobRecord, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED),
)
def pause_job(context: ContextOf, user: _Researcher, job_id: JobId) -> Response:
    """Hold a job: a backtest in simulated time."""
    _check_owner(context, user, job_id)
    return encode(context.service.pause(job_id), HTTPStatus.ACCEPTED)


@router.post(
    "/jobs/{job_id}/resume",
    **answer(JobRecord, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED),
)
def resume_job(context: ContextOf, user: _Researcher, job_id: JobId) -> Response:
    """Let a paused job go on."""
    _check_owner(context, user, job_id)
    return encode(context.service.resume(job_id), HTTPStatus.ACCEPTED)


@router.post(
    "/jobs/{job_id}/requeue",
    **answer(JobRecord, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED),
)
async def requeue_job(context: ContextOf, user: _Researcher, job_id: JobId) -> Response:
    """Queue a new job like a finished one, for whoever asks."""
    job = await context.inspect(context.service.requeue, job_id, owner=user.name)
    return encode(job, HTTPStatus.CREATED)


@router.get("/jobs/{job_id}/inspection", **answer(Inspection, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def inspect_job(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return what a paused job holds: positions, orders, accounts."""
    return encode(context.service.inspect(job_id))


@router.get("/jobs/{job_id}/trace", **answer(EquityTrace, HTTPStatus.NOT_FOUND))
def trace_job(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return the equity of a backtest at work so far, in a few points; none before it began or after its end."""
    return encode(context.service.find_trace(job_id))


def _check_owner(context: Context, user: UserRecord, job_id: str) -> None:
    """Let people steer their own jobs, and admins all."""
    job = context.service.get(job_id)
    if job.owner != user.name and not is_allowed(user.role, Permission.ADMINISTER):
        raise ForbiddenError(
            f"the job {job_id} belongs to {job.owner!r}", advice="ask them or an admin of the server"
        )
