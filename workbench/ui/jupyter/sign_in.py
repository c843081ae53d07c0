"""The page on which people sign in, signing out, and what a page may know of its person."""

from __future__ import annotations

import asyncio
import math
import secrets
from http import HTTPStatus
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from voila.static_file_handler import AllowListFileHandler

from workbench.config import load_settings
from workbench.errors import AuthenticationError, WorkbenchError
from workbench.ui.jupyter.identity import PersonIdentityProvider, SignedIn
from workbench.ui.jupyter.people import find_owner, find_person
from workbench.ui.jupyter.sessions import Person

__all__ = ["FileHandler", "PersonHandler", "SignInHandler", "SignOutHandler"]

_MAX_LENGTH = 200
_UNKNOWN = "This token is unknown, has expired or was revoked."
_SPENT = "This link has been used or is too old. Enter your token, or ask for a new link: workbench live --sign-in."


class FileHandler(AllowListFileHandler):
    """The pictures of the notebooks, for those who may see the notebooks."""

    def prepare(self) -> None:
        """
        Turn away whom nobody knows.

        Raises
        ------
        HTTPError
            If nobody is signed in.

        """
        if self.settings["identity_provider"].find_session(self) is None:
            raise web.HTTPError(HTTPStatus.FORBIDDEN)


class SignInHandler(LoginFormHandler):
    """Signs in with a token, or with the ticket of who started the app."""

    identity_provider: PersonIdentityProvider

    @allow_unauthenticated
    async def get(self) -> None:
        """Show the form, or take a ticket."""
        ticket = self.get_query_argument("ticket", "")
        if ticket:
            await self._take(ticket)
        elif self.current_user is not None and not self._is_again:
            self._redirect_safe(self._next)
        else:
            self._show()

    @allow_unauthenticated
    async def post(self) -> None:
        """Take a token."""
        provider = self.identity_provider
        wait = provider.attempts.wait_secs
        if wait > 0:
            self.set_header("Retry-After", str(math.ceil(wait)))
            self._show(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Too many tokens were wrong. Try again in {math.ceil(wait)} s.",
            )
            return
        token = self.get_body_argument("token", "")
        if not token or len(token) > _MAX_LENGTH:
            provider.attempts.note_failure()
            self._show(HTTPStatus.UNAUTHORIZED, "Enter your token." if not token else _UNKNOWN)
            return
        try:
            person = await asyncio.to_thread(find_person, token, load_settings())
        except AuthenticationError:
            provider.attempts.note_failure()
            self.log.warning("A sign-in was refused.")
            self._show(HTTPStatus.UNAUTHORIZED, _UNKNOWN)
        except WorkbenchError as e:
            self._show_lost(e)
        else:
            self._admit(person, token)
            self._redirect_safe(self._next)

    @property
    def _is_again(self) -> bool:
        """Whether somebody signs in before their session ends, to stay."""
        return "again" in self.request.query_arguments

    @property
    def _next(self) -> str:
        # A path of this app: no other host, no script, and not this page again.
        page: str = self.get_query_argument("next", self.base_url)
        is_ours = page.startswith(self.base_url) and not page.startswith("//") and "\\" not in page
        return page if is_ours and not page.startswith(f"{self.base_url}login") else self.base_url

    async def _take(self, ticket: str) -> None:
        if not self.identity_provider.parent.directory.take_ticket(ticket):
            self._show(HTTPStatus.UNAUTHORIZED, _SPENT)
            return
        try:
            person, token = await asyncio.to_thread(find_owner, load_settings())
        except WorkbenchError as e:
            self._show_lost(e)
            return
        self._admit(person, token)
        if self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            # From a file, as a browser is opened: a redirect would not carry the cookie, a page of ours does.
            self._show(is_done=True)
        else:
            self._redirect_safe(self._next)

    def _admit(self, person: Person, token: str) -> None:
        provider = self.identity_provider
        before = provider.find_session(self)
        session = provider.sessions.begin(person, token, before)
        if session is before:
            provider.parent.kernel_manager.renew(session)
        provider.set_login_cookie(self, SignedIn(session))
        self.log.info("%s (%s) signed in.", person.name, person.role)

    def _show_lost(self, error: WorkbenchError) -> None:
        self.log.warning("Nobody can sign in: %s", error)
        self._show(
            HTTPStatus.SERVICE_UNAVAILABLE, "The workbench's server does not answer. Try again in a moment."
        )

    def _show(self, status: HTTPStatus = HTTPStatus.OK, error: str = "", *, is_done: bool = False) -> None:
        nonce = secrets.token_urlsafe(16)
        self.set_status(status)
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
        self.set_header("Cache-Control", "no-store")
        # A form of a page without any would come from nowhere.
        self.set_header("Referrer-Policy", "same-origin")
        template = self.settings["voila_jinja2_env"].get_template("sign-in.html")
        app = self.identity_provider.parent
        self.write(
            template.render(
                base_url=self.base_url,
                theme=app.voila_configuration.theme,
                next=self._next,
                error=error,
                nonce=nonce,
                is_done=is_done,
                is_again=self._is_again,
                xsrf=self.xsrf_form_html(),
            )
        )


class SignOutHandler(JupyterHandler):
    """Ends a session and the kernels that act for it."""

    @allow_unauthenticated
    async def post(self) -> None:
        """Sign out."""
        session = self.identity_provider.find_session(self)
        if session is not None:
            await self.identity_provider.end(session)
            self.log.info("%s signed out.", session.person.name)
        self.identity_provider.clear_login_cookie(self)
        self.redirect(f"{self.base_url}login", status=HTTPStatus.SEE_OTHER)


class PersonHandler(JupyterHandler):
    """Who is signed in, for the head of a page."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Answer with the person; without a name where nobody is signed in any more."""
        self.set_header("Cache-Control", "no-store")
        user: Any = self.current_user
        if user is None:
            self.finish({"name": None})
            return
        session = user.session
        self.finish(
            {
                "name": session.person.name,
                "role": session.person.role,
                "note": session.person.note,
                "expires_at": session.expires_at,
                "xsrf": self.xsrf_token.decode(),
            }
        )
