"""The application: the routes, behind the checks that every request passes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Response

import workbench
from workbench.api import (
    backtests,
    catalog,
    channel,
    engine_config,
    engine_events,
    engine_history,
    engine_presets,
    engine_strategies,
    engine_tables,
    engines,
    events,
    holdouts,
    jobs,
    strategies,
    sweeps,
    users,
)
from workbench.api.answers import answer, build_openapi, encode
from workbench.api.auth import Authentication, require
from workbench.api.backtests import PREFIX
from workbench.api.context import Context, ContextOf
from workbench.api.edge import Edge
from workbench.api.engine_desk import EngineDesk, check_name
from workbench.api.problems import install_handlers
from workbench.config import Settings
from workbench.jobs.links import Links
from workbench.jobs.service import JobService
from workbench.records import UserRecord
from workbench.roles import Permission
from workbench.store.store import Store

__all__ = ["API_VERSION", "Health", "build_app", "name_workspace"]

API_VERSION = 1
_HEALTH = f"{PREFIX}/health"
_DOCUMENT = "/api/v1/openapi.json"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """That the server is there, and whose it is: `workspace` is a hash of the workspace's path."""

    status: str
    version: str
    api: int
    pid: int
    workspace: str


def name_workspace(path: Path) -> str:
    """Return a name of the workspace at `path` that does not tell the path."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def build_app(
    service: JobService,
    store: Store,
    settings: Settings,
    *,
    hosts: frozenset[str] = frozenset(),
    is_multi_user: bool = False,
    links: Links | None = None,
) -> FastAPI:
    """
    Return the application.

    Parameters
    ----------
    service : JobService
        The jobs, started.
    store : Store
        The records.
    settings : Settings
        The workspace.
    hosts : frozenset[str]
        The names under which the server answers; default: any.
    is_multi_user : bool
        Whether others than the server's own OS user can reach it.
    links : Links, optional
        The lines to the guards of a cluster, which dial the server.

    """
    context = Context(
        service,
        store,
        workspace=settings.workspace,
        runs=settings.runs,
        catalog=settings.catalog,
        is_multi_user=is_multi_user,
        links=links,
        engines=EngineDesk(settings),
    )
    app = FastAPI(
        title="nautilus-workbench",
        version=workbench.__version__,
        description="Backtests, other jobs and live engines of a workspace: submitted, steered, followed and read.",
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    parts = (backtests, catalog, channel, events, holdouts, jobs, strategies, sweeps, users)
    for router in (_router, *(part.router for part in parts)):
        app.include_router(router, prefix=PREFIX)
    for router in (engines.collection, engine_presets.router):
        app.include_router(router, prefix=PREFIX)
    # The default engine has a short address beside the one with its name.
    for part in (engines, engine_config, engine_tables, engine_events, engine_history, engine_strategies):
        app.include_router(part.router, prefix=f"{PREFIX}/engine")
        app.include_router(
            part.router, prefix=f"{PREFIX}/engines/{{name}}", dependencies=[Depends(check_name)]
        )
    app.include_router(_documents)
    context.document = build_openapi(app)
    install_handlers(app)
    app.add_middleware(Authentication, store=store, open_paths=frozenset({_HEALTH}))
    app.add_middleware(Edge, activity=context.activity, hosts=hosts)
    return app


_router = APIRouter(tags=["server"])
_documents = APIRouter(include_in_schema=False)


@_router.get("/health", **answer(Health))
async def check_health(context: ContextOf) -> Response:
    """Say that the server is there. Needs no token."""
    return encode(
        Health(
            status="ok",
            version=workbench.__version__,
            api=API_VERSION,
            pid=os.getpid(),
            workspace=name_workspace(context.workspace),
        )
    )


@_documents.get(_DOCUMENT)
def describe(context: ContextOf, user: Annotated[UserRecord, require(Permission.VIEW)]) -> Response:
    """Return the OpenAPI document."""
    return encode(context.document)
