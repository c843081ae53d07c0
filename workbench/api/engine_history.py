"""The routes about what an engine was: its equity over time, and nautilus's log; from disk, whether or not it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import ContextOf
from workbench.api.engine_desk import NameOf
from workbench.engine_records import EquityPage, LogPage
from workbench.errors import InputError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.equity_history import read_equity
from workbench.live.node_log import LogLevel, build_scrubber, read_log
from workbench.records import UserRecord
from workbench.roles import Permission
from workbench.stamps import normalise_stamp

__all__ = ["router"]

router = APIRouter(tags=["engines"])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Moment = Annotated[str, Query(max_length=40)]


@router.get("/equity", **answer(EquityPage, HTTPStatus.NOT_FOUND))
async def list_equity(
    context: ContextOf,
    user: _Viewer,
    name: NameOf,
    start: Annotated[_Moment, Query(alias="from")] = "",
    end: Annotated[_Moment, Query(alias="to")] = "",
    limit: Annotated[int, Query(ge=3, le=20_000)] = 2_000,
) -> Response:
    """List what an engine was worth, every 5 s of the last day and every minute of a month; ISO 8601, UTC."""
    directory = await context.engines.work(context.engines.find, name)
    page = await context.engines.work(
        _read_equity, directory, _parse(start, "from"), _parse(end, "to"), limit
    )
    return encode(page)


@router.get("/log", **answer(LogPage, HTTPStatus.NOT_FOUND))
async def list_log(
    context: ContextOf,
    user: _Viewer,
    name: NameOf,
    after: Annotated[str, Query(max_length=120)] = "",
    level: LogLevel = "INFO",
    limit: Annotated[int, Query(ge=1, le=2_000)] = 200,
) -> Response:
    """List lines of nautilus's log: the last ones of a level or graver, or those after the cursor of an answer."""
    directory = await context.engines.work(context.engines.find, name)
    page = await context.engines.work(_read_log, directory, after, level, limit)
    return encode(page)


def _read_equity(
    directory: EngineDirectory, start_ns: int | None, end_ns: int | None, limit: int
) -> EquityPage:
    return read_equity(directory.equity, start_ns=start_ns, end_ns=end_ns, limit=limit)


def _read_log(directory: EngineDirectory, after: str, level: LogLevel, limit: int) -> LogPage:
    scrub = _find_scrubber(directory.path, directory.load_version().version)
    return read_log(directory.log, after=after, level=level, limit=limit, scrub=scrub)


@lru_cache(maxsize=32)
def _find_scrubber(path: Path, version: int) -> Callable[[str], str]:
    # Once for a version: a keyring takes its time
    return build_scrubber(EngineDirectory(path))


def _parse(text: str, field: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(normalise_stamp(text))
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is no time", expected="ISO 8601, such as 2026-02-06T09:00:00Z", field=field
        ) from None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
