"""Whose a token is: only the workbench's server can say."""

from __future__ import annotations

from workbench.client.local_server import LocalServer, load_token
from workbench.client.transport import Endpoint, Transport
from workbench.config import Settings
from workbench.errors import ServerError
from workbench.ui.jupyter.sessions import Person

__all__ = ["find_owner", "find_person"]

_START_SECS = 30.0
_ANSWER_SECS = 5.0


def find_person(token: str, settings: Settings, *, is_starting: bool = True) -> Person:
    """
    Return whose `token` is.

    Parameters
    ----------
    token : str
        What somebody has shown.
    settings : Settings
        Where the server is.
    is_starting : bool
        Whether the workspace's own server is started where it does not run.

    Raises
    ------
    AuthenticationError
        If the server does not know it, or not any more.
    ServerError
        If the server does not answer.

    """
    url = settings.server or _find_local(settings, is_starting=is_starting)
    transport = Transport(Endpoint(url, token))
    try:
        facts = transport.fetch_json("GET", "whoami", timeout_secs=_ANSWER_SECS)
    finally:
        transport.close()
    return Person(facts["name"], facts["role"], facts["note"])


def find_owner(settings: Settings) -> tuple[Person, str]:
    """
    Return the person whose token this process was given, and the token: who started the app.

    Raises
    ------
    AuthenticationError
        If there is none, or it is not good.
    ServerError
        If the server does not answer.

    """
    if settings.server is None:
        _find_local(settings, is_starting=True)  # Its start makes the owner's token
    token = load_token(settings.token_file)
    return find_person(token, settings), token


def _find_local(settings: Settings, *, is_starting: bool) -> str:
    server = LocalServer(settings)
    endpoint = server.find()
    if endpoint is None:
        if not is_starting:
            raise ServerError(f"the server of {settings.workspace} does not answer")
        endpoint = server.start(_START_SECS)
    return endpoint.url
