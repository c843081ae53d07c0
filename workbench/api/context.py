"""What the routes work with, and how they reach it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import Depends
from starlette.requests import HTTPConnection

from workbench.api.cache import AnswerCache
from workbench.api.engine_desk import EngineDesk
from workbench.jobs.links import Links
from workbench.jobs.service import JobService
from workbench.store.store import Store

__all__ = ["Activity", "Context", "ContextOf"]

_INSPECTIONS = 8
_READINGS = 16
_ANSWERS = 64


class Activity:
    """
    Who uses the server at present.

    Attributes
    ----------
    listeners : int
        The open WebSockets.
    requests : int
        The requests that are being answered.

    """

    def __init__(self) -> None:
        self.listeners = 0
        self.requests = 0
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Note that somebody was there just now."""
        self._touched = time.monotonic()

    @property
    def quiet_secs(self) -> float:
        """Return for how long nobody was there; 0 while somebody is."""
        return 0.0 if self.listeners or self.requests else time.monotonic() - self._touched


class Context:
    """
    What the routes work with.

    Parameters
    ----------
    service : JobService
        The jobs.
    store : Store
        The records.
    workspace, runs, catalog : Path
        The workspace, where the directories of the jobs are, and the default catalog.
    is_multi_user : bool
        Whether others than the server's own OS user can reach it.
    engines : EngineDesk
        What the routes of the live engines share.
    links : Links, optional
        The lines to the guards of a cluster.

    Attributes
    ----------
    activity : Activity
        Who uses the server.
    answers : AnswerCache
        What the catalogs hold, as it was told last.
    document : dict
        The OpenAPI document.

    """

    def __init__(
        self,
        service: JobService,
        store: Store,
        *,
        workspace: Path,
        runs: Path,
        catalog: Path,
        is_multi_user: bool,
        engines: EngineDesk,
        links: Links | None = None,
    ) -> None:
        self.service = service
        self.store = store
        self.workspace = workspace
        self.runs = runs
        self.catalog = catalog
        self.is_multi_user = is_multi_user
        self.engines = engines
        self.links = links
        self.activity = Activity()
        self.answers = AnswerCache(_ANSWERS)
        self.document: dict[str, Any] = {}
        self._inspections = anyio.CapacityLimiter(_INSPECTIONS)
        self._readings = anyio.CapacityLimiter(_READINGS)

    async def inspect[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """
        Return what `function` returns that may take long: it asks a child process.

        Few of them at a time, in threads of their own: the lists and the steering of jobs go on beside them.
        """
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._inspections, abandon_on_cancel=True
        )

    async def read[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return what `function` returns that reads the records for a listener: never behind long work."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._readings)


async def _find_context(connection: HTTPConnection) -> Context:
    context: Context = connection.app.state.context
    return context


ContextOf = Annotated[Context, Depends(_find_context)]
