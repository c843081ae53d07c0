"""What the routes of the engines share: where engines are, who waits for their files, and what is to be confirmed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec
from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from workbench.api.confirmations import LIFE_SECS, Confirmations
from workbench.api.engine_hub import EngineHub
from workbench.config import Settings
from workbench.engine_records import Risks
from workbench.errors import ConfirmationRequiredError
from workbench.live.engine_directory import EngineDirectory, build_missing_error, find_engines

__all__ = ["DEFAULT_ENGINE", "EngineDesk", "EngineName", "NameOf", "check_name"]

DEFAULT_ENGINE = "default"
_READINGS = 16
_CHANGES = 16
_EMERGENCIES = 32
EngineName = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class EngineDesk:
    """
    What the routes of the engines work with. It owns no engine: all that it knows is read from their directories.

    Parameters
    ----------
    settings : Settings
        The workspace.
    confirmations : Confirmations, optional
        Default: with a secret of its own.

    Attributes
    ----------
    writing : threading.Lock
        Held while a configuration is compared with the last one and written.

    """

    def __init__(self, settings: Settings, confirmations: Confirmations | None = None) -> None:
        self.settings = settings
        self.writing = threading.Lock()
        # By engine, with how many listen: in the server's event loop only.
        self._hubs: dict[str, tuple[EngineHub, int]] = {}
        self._confirmations = confirmations or Confirmations()
        self._readings = anyio.CapacityLimiter(_READINGS)
        self._changes = anyio.CapacityLimiter(_CHANGES)
        self._emergencies = anyio.CapacityLimiter(_EMERGENCIES)

    def locate(self, name: str) -> EngineDirectory:
        """Return where the engine `name` is, or would be."""
        return EngineDirectory(self.settings.engines / name)

    def find(self, name: str) -> EngineDirectory:
        """
        Return an engine.

        Raises
        ------
        NotFoundError
            If there is none of this name.

        """
        directory = self.locate(name)
        if not directory.has_config:
            raise build_missing_error(name, self.settings.engines)
        return directory

    def find_all(self) -> list[EngineDirectory]:
        """Return the engines of the workspace."""
        return find_engines(self.settings.engines)

    @asynccontextmanager
    async def listen(self, directory: EngineDirectory) -> AsyncIterator[EngineHub]:
        """Return what hears an engine for all who listen to it; it ends with the last of them."""
        name = directory.name
        hub, count = self._hubs.get(name) or (EngineHub(directory, self.work), 0)
        if not count:
            hub.start()
        self._hubs[name] = hub, count + 1
        try:
            yield hub
        finally:
            count = self._hubs[name][1] - 1
            if count:
                self._hubs[name] = hub, count
            else:
                del self._hubs[name]
                await hub.close()

    async def work[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return what `function` returns that reads or writes files, or waits for a process."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._readings)

    async def change[T](self, function: Callable[[], T]) -> T:
        """Return what `function` returns that may take long; it goes on even if nobody waits for it any more."""
        return await anyio.to_thread.run_sync(function, limiter=self._changes, abandon_on_cancel=True)

    async def rescue[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return what `function` returns, as `work` does, but never behind anything else than emergencies."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._emergencies, abandon_on_cancel=True
        )

    def confirm(self, token: str, change: dict[str, Any], user: str, build: Callable[[], Risks]) -> None:
        """
        Take the confirmation of a change.

        Parameters
        ----------
        token : str
            What was sent; empty in a first call.
        change : dict
            Exactly what is to be done, and to what.
        user : str
            Who asks.
        build : Callable returning Risks
            Says what is at stake; called where the token is not good.

        Raises
        ------
        ConfirmationRequiredError
            If the token is not good for this, with a new one.

        """
        refusal = self._confirmations.redeem(token, change, user) if token else ""
        if token and not refusal:
            return
        risks = build()
        raise ConfirmationRequiredError(
            f"{risks.action} of the {risks.environment} engine {risks.engine} must be confirmed"
            + (f"; the confirmation that was sent is not good: {refusal}" if refusal else ""),
            advice=f"look at the risks, and send the same again with the confirm_token within {LIFE_SECS:g} s",
            field="confirm_token",
            risks=msgspec.to_builtins(risks),
            confirm_token=self._confirmations.issue(change, user),
        )


def check_name(name: EngineName) -> str:
    """Return the name of an engine in the path: the dependency that describes it."""
    return name


async def _find_name(connection: HTTPConnection) -> str:
    name: str = connection.path_params.get("name", DEFAULT_ENGINE)
    return name


NameOf = Annotated[str, Depends(_find_name)]
