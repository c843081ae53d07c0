"""Jupyter's question who asks, and whether they may, answered by the sessions."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.utils import url_path_join

from workbench.config import load_settings
from workbench.errors import AuthenticationError, WorkbenchError
from workbench.ui.jupyter.people import find_person
from workbench.ui.jupyter.sessions import Attempts, Session, Sessions

__all__ = ["KernelAuthorizer", "PersonIdentityProvider", "SignedIn"]

_FRESH_SECS = 2.0


class SignedIn(NamedTuple):
    """What Jupyter calls a user: a session and whose it is."""

    session: Session

    @property
    def username(self) -> str:
        """Return the name of the person."""
        return self.session.person.name


class PersonIdentityProvider(IdentityProvider):
    """
    Knows a person by the session in their cookie, and asks the server whether their token is good still.

    There is no token of Jupyter's: neither an address nor a header lets anybody in.

    Attributes
    ----------
    sessions : Sessions
        Who is signed in.
    attempts : Attempts
        How often a sign-in may fail.

    """

    sessions: Sessions
    attempts: Attempts

    def get_handlers(self) -> list[tuple[str, object]]:
        """Return the routes of signing in and out."""
        from workbench.ui.jupyter.sign_in import PersonHandler, SignInHandler, SignOutHandler

        routes = {"/login": SignInHandler, "/logout": SignOutHandler, "/person": PersonHandler}
        return [(url_path_join(self.parent.server_url, path), handler) for path, handler in routes.items()]

    async def get_user(self, handler: Any) -> SignedIn | None:
        """Return who sends a request; ``None`` if nobody who is signed in."""
        session = self.find_session(handler)
        return SignedIn(session) if session is not None and await self.check(session) else None

    def find_session(self, handler: Any) -> Session | None:
        """Return the session that the cookie of a request names."""
        return self.sessions.find(handler.get_cookie(self.get_cookie_name(handler)) or "")

    async def check(self, session: Session, fresh_secs: float = _FRESH_SECS) -> bool:
        """
        Return whether the server knows the session's person still; if not, their session is over.

        While the server does not answer nobody is turned away: nothing can be done without it either.
        """
        if self.sessions.is_fresh(session, fresh_secs):
            return True
        try:
            person = await asyncio.to_thread(find_person, session.token, load_settings(), is_starting=False)
        except AuthenticationError:
            self.log.warning("The token of %r is not good any more.", session.person.name)
            await self.end(session)
            return False
        except WorkbenchError as e:
            self.log.warning("Whether %r is known still cannot be asked: %s", session.person.name, e)
            return True
        self.sessions.note_check(session, person)
        return True

    async def end(self, session: Session) -> None:
        """End a session, and the kernels that act for it."""
        self.sessions.end(session)
        await self.parent.kernel_manager.end_session(session)

    def get_cookie_name(self, handler: Any) -> str:
        """Return the name of the cookie: browsers send it to every port of a host."""
        return f"workbench-session-{self.parent.port}"

    def set_login_cookie(self, handler: Any, user: SignedIn) -> None:
        """Give the browser its session."""
        handler.set_cookie(
            self.get_cookie_name(handler),
            user.session.id,
            path=handler.base_url,
            max_age=int(self.sessions.secs) or 1,
            httponly=True,
            samesite="Strict",
            secure=handler.request.protocol == "https",
        )

    def clear_login_cookie(self, handler: Any) -> None:
        """Take the session from the browser."""
        handler.clear_cookie(self.get_cookie_name(handler), path=handler.base_url)

    def is_token_authenticated(self, handler: Any) -> bool:
        """Return ``False``: no request is excused from the checks of its origin."""
        return False

    def identity_model(self, user: User) -> dict[str, Any]:
        """Return what a page may know of the person."""
        return {"username": user.username}


class KernelAuthorizer(Authorizer):
    """Lets each session at the kernels of its own pages, and at nothing else that Jupyter guards."""

    def is_authorized(self, handler: Any, user: SignedIn, action: str, resource: str) -> bool:
        """Return whether the kernel in the address is of the session."""
        kernel_id = handler.path_kwargs.get("kernel_id", "")
        is_owner: bool = self.parent.kernel_manager.is_owner(kernel_id, user.session)
        return resource == "kernels" and is_owner
