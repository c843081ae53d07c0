"""Kernels that act for one person each: whose they are, how they learn it, and their end with the session."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from voila.tornado.handler import TornadoVoilaHandler

from workbench.ui.jupyter.runtime import KernelFiles
from workbench.ui.jupyter.sessions import Session

__all__ = ["PageHandler", "PersonalKernelManager"]


class PersonalKernelManager(AsyncMappingKernelManager):
    """
    Starts kernels that know nobody, and gives each to one session.

    A kernel that waits for a page has run the imports of its notebook; `workbench.connect` holds it there until
    `give` names the person. It is never given twice.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._owners: dict[str, Session] = {}
        super().__init__(**kwargs)

    @property
    def _folder(self) -> Path:
        folder: Path = self.parent.directory.kernels
        return folder

    async def start_kernel(
        self,
        *,
        session: Session | None = None,
        query: str = "",
        env: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> str:
        """Start a kernel, for `session` or, without one, for whoever comes."""
        kernel_id = str(uuid.uuid4())
        files = KernelFiles(self._folder, kernel_id)
        environment = {**(os.environ if env is None else env), **files.environment}
        if session is not None:
            self.give(kernel_id, session, query)
        try:
            await super().start_kernel(kernel_id=kernel_id, env=environment, **kwargs)
        except BaseException:
            self._forget(kernel_id)
            raise
        if session is not None and session.is_over:  # It ended meanwhile
            await self.end_session(session)
        return kernel_id

    def give(self, kernel_id: str, session: Session, query: str) -> None:
        """
        Give a kernel to a session, whose page's address has `query`.

        Raises
        ------
        HTTPError
            If it has an owner, or the session is over.

        """
        if kernel_id in self._owners or session.is_over:
            raise web.HTTPError(403, "the kernel is another page's, or the session is over")
        self._owners[kernel_id] = session
        KernelFiles(self._folder, kernel_id).write(session.token, query)

    def is_owner(self, kernel_id: str, session: Session) -> bool:
        """Return whether a kernel is of `session`."""
        return self._owners.get(kernel_id) is session

    def list_owners(self) -> set[Session]:
        """Return the sessions that have kernels."""
        return set(self._owners.values())

    def renew(self, session: Session) -> None:
        """Give the kernels of `session` the token with which its person signed in again."""
        for kernel_id, owner in self._owners.items():
            if owner is session:
                files = KernelFiles(self._folder, kernel_id)
                query = files.page.read_text() if files.page.is_file() else ""
                files.write(session.token, query)

    async def end_session(self, session: Session) -> None:
        """
        End the kernels of a session at once: first their files go, then they are killed.

        They hold nothing that is not the server's. Their pages hear of it as of any kernel that dies.
        """
        for kernel_id in [k for k, owner in self._owners.items() if owner is session]:
            KernelFiles(self._folder, kernel_id).remove()
            with contextlib.suppress(KeyError, ProcessLookupError, RuntimeError, web.HTTPError):
                await self.get_kernel(kernel_id).signal_kernel(signal.SIGKILL)

    async def _async_shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> None:
        """End a kernel; one that waits for a page has nothing to put away, and would not hear that it is to end."""
        is_waiting = kernel_id not in self._owners
        await super()._async_shutdown_kernel(kernel_id, now=now or is_waiting, restart=restart)

    # Under both names, as Jupyter has it: who ends all kernels calls the first.
    shutdown_kernel = _async_shutdown_kernel

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel that is over, and what it was told."""
        self._forget(kernel_id)
        return super().remove_kernel(kernel_id)

    def _forget(self, kernel_id: str) -> None:
        self._owners.pop(kernel_id, None)
        KernelFiles(self._folder, kernel_id).remove()


class _Kernels:
    """The kernels as one request sees them: what it starts or takes is its session's."""

    def __init__(self, kernels: Any, session: Session, query: str) -> None:
        self._kernels = kernels
        self._session = session
        self._query = query

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    async def start_kernel(self, **kwargs: Any) -> Any:
        return await self._kernels.start_kernel(session=self._session, query=self._query, **kwargs)

    async def get_rendered_notebook(self, notebook_name: str, **_: Any) -> Any:
        # Voila hands the address of this page on to the next kernel of the pool, which will be somebody else's.
        task, cache, kernel_id = await self._kernels.get_rendered_notebook(notebook_name=notebook_name)
        self._kernels.give(kernel_id, self._session, self._query)
        return task, cache, kernel_id


class PageHandler(TornadoVoilaHandler):
    """A dashboard: Voila's, with a kernel that is the session's own."""

    @property
    def kernel_manager(self) -> Any:
        """Return the kernels as this request sees them."""
        return _Kernels(super().kernel_manager, self.current_user.session, self.request.query)
