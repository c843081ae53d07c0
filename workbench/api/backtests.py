"""The routes about backtests: preview, submit, list, results."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from workbench.api import results
from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.bodies import Plain
from workbench.api.context import Context, ContextOf
from workbench.api.jobs import JobId, Listing
from workbench.errors import NotFoundError
from workbench.jobs.directory import JobDirectory
from workbench.records import JobRecord, RunRecord, UserRecord
from workbench.roles import Permission
from workbench.store.query import JobPage

__all__ = [
    "PREFIX",
    "BacktestAnswer",
    "BacktestBody",
    "LimitsBody",
    "PricesAnswer",
    "SizeAnswer",
    "SizingBody",
    "router",
]

PREFIX = "/api/v1/nautilus"
_KIND = "backtest"
_PRICES = "workbench.backtest.preparation:load_prices"
_SIZE = "workbench.backtest.sizes:size_run"
_TEXT = {"type": "string"}
_FILE = {"type": "string", "format": "binary"}
_MEDIA = {
    results.Format.CSV: "text/csv; charset=utf-8",
    results.Format.PARQUET: "application/vnd.apache.parquet",
}

router = APIRouter(tags=["backtests"])
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Researcher = Annotated[UserRecord, require(Permission.RESEARCH)]
_Time = Annotated[str | None, Query(max_length=40)]
_Word = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")]
_Line = Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]


class BacktestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest: its job, and its manifest once it has ended."""

    job: JobRecord
    manifest: RunRecord | None


class PricesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Prices for a chart.

    Attributes
    ----------
    instrument_id, identifier : str
        Of what: the instrument, and the bar type (for ticks the instrument again).
    columns : dict[str, list[str]]
        ``ts``, the last stamp in each bar, ISO 8601 UTC, and ``open``, ``high``, ``low``, ``close``, decimals
        as text; of bars and trades also ``volume``, the sum of what was merged.
    total : int
        The rows that were merged.
    volume_is_traded : bool
        Whether the volume is what was traded in a market: not that of bars of bid, ask or middle prices.

    """

    instrument_id: str
    identifier: str
    columns: dict[str, list[str]]
    total: int
    volume_is_traded: bool


class SizeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A size that was computed before a run; numbers are decimals as text, ``None`` where the method needs none.

    Attributes
    ----------
    quantity : str, optional
        What to order; ``None`` where there is none to order.
    reason : str
        Why there is none, or why it is smaller than the method alone would have it.
    rule : str
        The method, in words.
    instrument_id : str
        What was sized.
    price, price_ts, price_basis : str, optional
        The price, when it was known (ISO 8601 UTC), and where it comes from.
    rate, rate_basis : str, optional
        What the currency of the price is worth in `currency`, and where that comes from.
    equity, notional : str, optional
        What the account starts with, and what the method asks for, in `currency`.
    currency : str
        The base currency of the account; where it has none, that in which the instrument settles.
    volatility : str, optional
        A year, as a fraction.
    bars, bar_type : int, str
        What it was measured from.

    """

    quantity: str | None
    reason: str
    rule: str
    instrument_id: str
    price: str | None
    price_ts: str | None
    price_basis: str
    rate: str | None
    rate_basis: str
    equity: str | None
    notional: str | None
    currency: str
    volatility: str | None
    bars: int
    bar_type: str


class LimitsBody(BaseModel):
    """The bounds of a run; see `workbench.jobs.watch.Limits`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    memory_bytes: int | None = Field(None, ge=1, le=2**62)
    stall_secs: float = Field(600.0, gt=0, le=86_400, allow_inf_nan=False)
    cancel_secs: float = Field(30.0, gt=0, le=3_600, allow_inf_nan=False)


class BacktestBody(BaseModel):
    """
    What is to be run.

    `config` is a nautilus ``BacktestRunConfig`` as JSON; `overrides` replace values in it by their place
    (``strategies.0.config.fast``). `sources` are strategy modules that are not installed, by module name, and
    `search_path` are directories where the server's machine finds others. With `use_holdout` it may look at the
    sealed range of its dataset, which is counted; without, or as a part of a sweep, it is refused.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    config: Plain
    name: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    overrides: Plain = {}
    sources: dict[_Line, str] = Field({}, max_length=100)
    search_path: list[_Line] = Field([], max_length=100)
    limits: LimitsBody | None = None
    use_holdout: bool = False

    def build_wish(self) -> dict[str, Any]:
        """Return what is submitted."""
        return self.model_dump(exclude_none=True)


class SizingBody(BaseModel):
    """
    A size that is wanted before a run.

    `config` is a nautilus ``BacktestRunConfig`` as JSON, `sizing` the fields of `workbench.sizing.config.Sizing`;
    `instrument_id` is what is to be sized, default: the first that the run reads.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    config: Plain
    sizing: Plain
    instrument_id: _Line | None = None


@router.get("/backtests", **answer(JobPage))
def list_backtests(context: ContextOf, user: _Viewer, listing: Annotated[Listing, Query()]) -> Response:
    """List the jobs that are backtests."""
    return encode(context.service.list_jobs(listing.build_query(_KIND)))


@router.post("/backtests", **answer(JobRecord, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED, has_body=True))
async def submit_backtest(context: ContextOf, user: _Researcher, body: BacktestBody) -> Response:
    """Check a configuration and queue it."""
    job = await context.inspect(
        context.service.submit, _KIND, body.build_wish(), owner=user.name, name=body.name
    )
    return encode(job, HTTPStatus.CREATED, {"Location": f"{PREFIX}/backtests/{job.id}"})


@router.post("/backtests/preview", **answer(dict, has_body=True))
async def preview_backtest(context: ContextOf, user: _Researcher, body: BacktestBody) -> Response:
    """Check a configuration and say what it would read, need and take; nothing is queued."""
    return encode(await context.inspect(context.service.preview, _KIND, body.build_wish()))


@router.post("/backtests/sizing", **answer(SizeAnswer, HTTPStatus.NOT_FOUND, has_body=True))
async def size_backtest(context: ContextOf, user: _Researcher, body: SizingBody) -> Response:
    """Return the quantity that a sizing gives at the start of a run, and how it comes about; nothing is queued."""
    found = await context.inspect(context.service.ask, _SIZE, body.model_dump())
    return encode(msgspec.convert(found, SizeAnswer))


@router.get("/backtests/{job_id}", **answer(BacktestAnswer, HTTPStatus.NOT_FOUND))
def get_backtest(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return a backtest's job and, once it has ended, its manifest."""
    job, directory = _find(context, job_id)
    manifest = JobDirectory(directory).read_manifest() if job.state.is_finished else None
    return encode(BacktestAnswer(job=job, manifest=manifest))


@router.get("/backtests/{job_id}/results/metrics", **answer(dict, HTTPStatus.NOT_FOUND))
def get_metrics(context: ContextOf, user: _Viewer, job_id: JobId) -> Response:
    """Return the metrics of a run: ``headline``, ``costs``, ``nautilus``, ``definitions``."""
    _, directory = _find(context, job_id)
    metrics = JobDirectory(directory).read_json("metrics.json")
    if not metrics:
        raise NotFoundError(
            f"the run {job_id} has no metrics", advice="a run that has not ended, or failed early, has none"
        )
    return encode(metrics)


@router.get("/backtests/{job_id}/results/prices", **answer(PricesAnswer, HTTPStatus.NOT_FOUND))
async def get_prices(
    context: ContextOf,
    user: _Viewer,
    job_id: JobId,
    instrument_id: _Word,
    bar_type: _Word | None = None,
    start: _Time = None,
    end: _Time = None,
    points: Annotated[int, Query(ge=1, le=100_000)] = 2_000,
) -> Response:
    """Return prices of a run's instrument, merged into at most `points` bars."""
    _, directory = await context.read(_find, context, job_id)
    wish = {
        "path": str(directory),
        "instrument_id": instrument_id,
        "bar_type": bar_type,
        "start": start,
        "end": end,
        "points": points,
    }
    found = await context.inspect(context.service.ask, _PRICES, wish)
    return encode(msgspec.convert(found, PricesAnswer))


@router.get(
    "/backtests/{job_id}/results/{table}",
    **answer(
        results.Table,
        HTTPStatus.NOT_FOUND,
        media={"text/csv": _TEXT, _MEDIA[results.Format.PARQUET]: _FILE},
    ),
)
def get_table(
    context: ContextOf,
    user: _Viewer,
    job_id: JobId,
    table: results.TableName,
    start: _Time = None,
    end: _Time = None,
    points: Annotated[int | None, Query(ge=2, le=1_000_000)] = None,
    format: results.Format = results.Format.JSON,  # noqa: A002 - the name in the address
) -> Response:
    """Return a table of a run: all of it, a range of time, or a line thinned for a chart."""
    _, directory = _find(context, job_id)
    rows, total = results.read_table(directory, table, start=start, end=end, points=points)
    if format == results.Format.JSON:
        return StreamingResponse(results.encode_json(rows, total), media_type="application/json")
    name = f'attachment; filename="{job_id}-{table.value}.{format.value}"'
    headers = {"Content-Disposition": name, "X-Total-Count": str(total)}
    if format == results.Format.CSV:
        return StreamingResponse(results.encode_csv(rows), headers=headers, media_type=_MEDIA[format])
    return Response(results.encode_parquet(rows), headers=headers, media_type=_MEDIA[format])


def _find(context: Context, job_id: str) -> tuple[JobRecord, Path]:
    """Return a backtest and its directory: named by the record, never by the request."""
    job = context.service.get(job_id)
    if job.kind != _KIND:
        raise NotFoundError(f"the job {job_id} is a {job.kind}", expected="a backtest")
    return job, context.runs / job.id
