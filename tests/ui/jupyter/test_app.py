"""What the app serves: nothing of Voila's that does not ask who comes."""

from __future__ import annotations

import inspect
import signal
from pathlib import Path

import pytest
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import StaticFileHandler
from voila.static_file_handler import AllowListFileHandler

from workbench.ui.jupyter.app import LiveApp
from workbench.ui.jupyter.identity import KernelAuthorizer, PersonIdentityProvider
from workbench.ui.jupyter.kernels import PageHandler
from workbench.ui.jupyter.runtime import RuntimeDirectory
from workbench.ui.jupyter.sign_in import FileHandler, PersonHandler, SignInHandler, SignOutHandler

OPEN = {SignInHandler, SignOutHandler, PersonHandler}


def test_every_route_asks_for_a_person_or_serves_what_is_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # It would keep this process's signals
    app = LiveApp(root_dir=str(tmp_path))
    app.initialize([f"--Voila.root_dir={tmp_path}", "--VoilaConfiguration.template=lab"])
    app.directory = RuntimeDirectory(tmp_path, 8866)
    app.voila_configuration.preheat_kernel = False
    app.init_settings()
    assert isinstance(app.identity_provider, PersonIdentityProvider)
    assert isinstance(app.authorizer, KernelAuthorizer)

    app.voila_configuration.preheat_kernel = True
    app.voila_configuration.progressive_rendering = False
    handlers = {route[1] for route in app.init_handlers()}

    assert PageHandler in handlers
    public = {h for h in handlers if issubclass(h, StaticFileHandler) and h is not FileHandler}
    assert AllowListFileHandler not in public
    closed = handlers - public - OPEN - {FileHandler}
    assert all(issubclass(handler, JupyterHandler) for handler in closed), closed
    # Jupyter turns away whom nobody knows, unless a method says that it does not mind.
    minds = [
        (handler.__name__, name)
        for handler in closed
        for name, method in inspect.getmembers(handler, inspect.isfunction)
        if name != "options" and getattr(method, "__allow_unauthenticated", False)
    ]
    assert minds == []
