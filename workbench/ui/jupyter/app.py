"""Voila with people: each signs in, and each page has a kernel that acts for its person alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

from traitlets import Bool, Float
from traitlets import default as default_of
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import AllowListFileHandler
from voila.tornado.handler import TornadoVoilaHandler

from workbench.config import load_settings
from workbench.errors import WorkbenchError
from workbench.ui.jupyter.identity import KernelAuthorizer, PersonIdentityProvider
from workbench.ui.jupyter.kernels import PageHandler, PersonalKernelManager
from workbench.ui.jupyter.runtime import RuntimeDirectory
from workbench.ui.jupyter.sessions import Attempts, Sessions
from workbench.ui.jupyter.sign_in import FileHandler

__all__ = ["LiveApp", "main"]

_WATCH_SECS = 5.0
# Neither asks who sends it: one tells requests to whoever names a kernel, the other ends kernels.
_DROPPED = (RequestInfoSocketHandler, VoilaShutdownKernelHandler)
_OURS = {TornadoVoilaHandler: PageHandler, AllowListFileHandler: FileHandler}


class LiveApp(Voila):
    """
    The app.

    Attributes
    ----------
    directory : RuntimeDirectory
        What it keeps while it runs.

    """

    session_hours = Float(12.0, min=0.0, config=True, help="How long somebody stays signed in.")
    is_link_printed = Bool(False, config=True, help="Whether a link that signs in is printed.")

    directory: RuntimeDirectory

    @default_of("identity_provider_class")
    def _find_identity_provider(self) -> type:
        return PersonIdentityProvider

    @default_of("authorizer_class")
    def _find_authorizer(self) -> type:
        return KernelAuthorizer

    @property
    def display_url(self) -> str:
        """Return the address to print; with a ticket where no browser is opened."""
        if not self.is_link_printed:
            return str(self.connection_url)
        return self._build_link()

    def start(self) -> None:
        """Serve until a signal ends it."""
        self.directory = RuntimeDirectory(load_settings().runtime, self.port)
        self.directory.open()
        self.connection_dir_root = str(self.directory.path)
        self.voila_configuration.multi_kernel_manager_class = PersonalKernelManager
        try:
            super().start()
        finally:
            self.directory.close()

    def init_settings(self) -> dict[str, Any]:
        """Return Voila's settings, for this machine's names alone."""
        settings: dict[str, Any] = super().init_settings()
        self.identity_provider.sessions = Sessions(self.session_hours * 3600)
        self.identity_provider.attempts = Attempts()
        # A page elsewhere may give its own name this machine's address.
        settings["allow_remote_access"] = False
        settings["xsrf_cookies"] = True
        settings["xsrf_cookie_name"] = f"workbench-xsrf-{self.port}"
        settings["xsrf_cookie_kwargs"] = {"samesite": "Strict"}
        return settings

    def init_handlers(self) -> list[Any]:
        """Return Voila's routes, but those that do not ask who comes, and with our pages."""
        routes = []
        for route in super().init_handlers():
            handler, *options = route[1:]
            if handler not in _DROPPED:
                routes.append((route[0], _OURS.get(handler, handler), *options))
        return routes

    def listen(self) -> None:
        """Serve, and look after the sessions meanwhile."""
        loop = asyncio.get_event_loop()
        self._watch = loop.create_task(self._watch_sessions())
        super().listen()

    def launch_browser(self) -> None:
        """Open a browser that is signed in: by a file, since others can read the arguments of its process."""
        with contextlib.suppress(webbrowser.Error):
            browser = webbrowser.get(self.browser or None)
            path = self.directory.path / "open.html"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f'<meta http-equiv="refresh" content="0; url={self._build_link()}">')
            opening: Callable[[], object] = lambda: browser.open(path.as_uri(), new=self.webbrowser_open_new)  # noqa: E731
            threading.Thread(target=opening, daemon=True).start()

    def _build_link(self) -> str:
        base = str(self.connection_url).rstrip("/")
        return f"{base}{self.directory.build_path(self.directory.make_ticket(), self.base_url)}"

    async def _watch_sessions(self) -> None:
        """End the sessions whose time is over or whose person was barred, so that their open pages end too."""
        provider = self.identity_provider
        while True:
            await asyncio.sleep(min(_WATCH_SECS, provider.sessions.secs / 4))
            try:
                for session in provider.sessions.take_expired():
                    await provider.end(session)
                for session in self.kernel_manager.list_owners():
                    await provider.check(session, _WATCH_SECS)
            except (OSError, WorkbenchError):
                self.log.exception("The sessions could not be looked after.")


def main() -> None:
    """Serve the folder that the command line names."""
    LiveApp.launch_instance()


if __name__ == "__main__":
    main()
