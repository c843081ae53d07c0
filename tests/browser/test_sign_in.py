"""People sign in to the app: each page acts for its own person, and nobody reaches another's."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_socket

import workbench
from tests.api.engine_hosts import Host, hosting
from tests.browser.pages import Front, Sheet, open_sheet, run_front, wait_until
from tests.conftest import ROOT
from workbench.client.client import Client
from workbench.config import _load
from workbench.roles import Role

pytestmark = pytest.mark.browser

SIGN_IN_SECS = 60.0
END_SECS = 30.0
DASHBOARD = "live.ipynb"
OTHER = "00000000-0000-0000-0000-000000000000"
CELL = "import os\nfrom IPython.display import HTML\nHTML(f'<p id=pid>{os.getpid()}</p>')"


@dataclass
class App:
    """The app, the engine that it shows, and the people that the server knows."""

    front: Front
    host: Host
    owner: Client
    tokens: dict[str, str]

    def add_person(self, name: str, role: Role) -> str:
        """Let the server know somebody; return their token."""
        self.owner.add_user(name, role)
        token = self.owner.add_token(name)
        self.tokens[name] = token
        return token


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("people")
    workspace = folder / "workspace"
    sockets = Path(tempfile.mkdtemp(prefix="wb"))  # The path of a socket has to be short
    try:
        with (
            hosting(workspace / "engines", sockets) as host,
            run_front(
                "voila",
                folder,
                root=ROOT / "dashboards",
                arguments=("--preheated=1",),
                WORKBENCH_HOME=str(workspace),
            ) as front,
            workbench.connect(settings=_load({"WORKBENCH_HOME": str(workspace)})) as owner,
        ):
            yield App(front, host, owner, {})
    finally:
        shutil.rmtree(sockets)


def enter(sheet: Sheet, token: str, page: str) -> None:
    """Go to a page, sign in where it asks for that, and wait until it names somebody."""
    sheet.page.goto(f"{sheet.front.url}{page}", wait_until="commit")
    sheet.page.locator("#token").wait_for()

    def is_in() -> bool:
        sheet.page.locator("#token").fill(token)
        sheet.page.locator("button[type=submit]").click()
        sheet.page.wait_for_load_state()
        return sheet.page.locator("#token").count() == 0

    wait_until(is_in, "room for another sign-in", SIGN_IN_SECS)
    sheet.page.locator("#person-name").wait_for(timeout=SIGN_IN_SECS * 1000)


def find_kernel(front: Front, token: str) -> tuple[str, psutil.Process]:
    """Return the kernel that acts with `token`: its id and its process."""
    for process in front.find_kernels():
        with contextlib.suppress(OSError, psutil.Error):
            file = Path(process.environ()["WORKBENCH_TOKEN_FILE"])
            if file.read_text() == token:
                assert file.stat().st_mode & 0o777 == 0o600
                return file.stem, process
    raise AssertionError("nobody's kernel has this token")


def read_cookies(sheet: Sheet) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in sheet.page.context.cookies()}


def ask(front: Front, path: str, cookies: dict[str, str], method: str = "GET") -> int:
    """Ask as a page of the app does, with everything but the right person."""
    token = next((value for name, value in cookies.items() if "xsrf" in name), "")
    return httpx.request(
        method, f"{front.url}{path}", cookies=cookies, headers={"X-XSRFToken": token, "Origin": front.url}
    ).status_code


def knock(front: Front, kernel_id: str, cookies: dict[str, str]) -> int:
    """Open the WebSocket of a kernel; return the status of the answer."""
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    url = f"ws://127.0.0.1:{front.port}/api/kernels/{kernel_id}/channels"
    try:
        with connect_socket(url, additional_headers={"Cookie": header}, origin=front.url):  # type: ignore[arg-type]
            return 101
    except InvalidStatus as e:
        return e.response.status_code


def has_ended(sheet: Sheet) -> bool:
    return "You are signed out" in (sheet.page.locator("#person").text_content() or "")


def test_two_people_at_once_act_each_for_themselves(app: App, browser: Any) -> None:
    front, page = app.front, app.front.build_page(DASHBOARD)
    tess = app.add_person("tess", Role.TRADER)
    vera = app.add_person("vera", Role.VIEWER)
    with open_sheet(browser, front) as trader, open_sheet(browser, front) as viewer:
        enter(trader, tess, page)
        enter(viewer, vera, page)
        for sheet, person in ((trader, "tess · trader"), (viewer, "vera · viewer")):
            sheet.page.locator("#wb-state-REDUCING").wait_for(timeout=SIGN_IN_SECS * 1000)
            assert person in sheet.page.locator("#person").inner_text()

        # A viewer sees what cannot be done, and a button that is forced does nothing.
        viewer.page.wait_for_function("() => document.querySelector('#wb-state-REDUCING').disabled")
        viewer.page.evaluate(
            "() => { const b = document.querySelector('#wb-state-REDUCING'); b.disabled = false; b.click() }"
        )
        trader.page.wait_for_function("() => !document.querySelector('#wb-state-REDUCING').disabled")
        trader.page.locator("#wb-state-REDUCING").click()
        trader.page.locator("#wb-state-REDUCING[aria-pressed=true]").wait_for()
        told = [t for t in app.host.told if t["method"] == "POST"]
        assert [(t["path"], t["user"]) for t in told] == [("/trading-state", "tess")]
        headers = {"Authorization": f"Bearer {vera}"}
        place = f"{app.owner.url}/api/v1/nautilus/engine/trading-state"
        forced = httpx.post(place, json={"state": "ACTIVE", "reason": ""}, headers=headers)
        assert forced.status_code == 403

        # Neither reaches the other's kernel, and both their own.
        (hers, process), (other, _) = find_kernel(front, tess), find_kernel(front, vera)
        mine, foreign = read_cookies(trader), read_cookies(viewer)
        assert hers != other
        for kernel_id, cookies, status in ((hers, mine, 101), (hers, foreign, 403), (hers, {}, 403)):
            assert knock(front, kernel_id, cookies) == status
            assert ask(front, f"/api/kernels/{kernel_id}", cookies) == (200 if status == 101 else 403)
        assert ask(front, f"/api/kernels/{hers}", foreign, "DELETE") == 403
        assert ask(front, f"/voila/api/shutdown/{hers}", foreign, "POST") == 404
        waiting = {
            Path(k.environ()["WORKBENCH_TOKEN_FILE"]).stem for k in front.find_kernels() if k.is_running()
        } - {hers, other}
        assert [knock(front, kernel_id, mine) for kernel_id in waiting] == [403] * len(waiting)
        assert process.is_running()

        # A token is in the private file of its kernel, and nowhere else.
        for sheet in (trader, viewer):
            text = sheet.page.content() + sheet.page.url
            assert not any(token in text for token in app.tokens.values())
        for kernel in front.find_kernels():
            shown = " ".join([*kernel.cmdline(), *map("=".join, kernel.environ().items())])
            assert not any(token in shown for token in app.tokens.values())
        assert not any(token in front.log.read_text() for token in app.tokens.values())

        # Who signs out ends their own kernel alone.
        trader.page.locator("#sign-out").click()
        trader.page.locator("#token").wait_for()
        wait_until(lambda: not process.is_running(), "the end of the trader's kernel", END_SECS)
        assert not (front.runtime.kernels / f"{hers}.token").exists()
        assert knock(front, hers, mine) == 403
        assert knock(front, other, foreign) == 101
        trader.page.goto(f"{front.url}{page}")
        assert "/login" in trader.page.url
        assert not has_ended(viewer)


def test_wrong_token_is_refused_in_words_and_not_repeated(app: App, browser: Any) -> None:
    wrong = "wb_" + "x" * 43
    with open_sheet(browser, app.front) as sheet:
        page = sheet.page
        page.goto(f"{app.front.url}{app.front.build_page(DASHBOARD, engine='desk')}")
        page.locator("#token").fill(wrong)
        page.locator("button[type=submit]").click()
        page.get_by_role("alert").wait_for()

        assert re.search("is unknown, has expired|Too many tokens", page.get_by_role("alert").inner_text())
        assert page.locator("#token").evaluate("e => e === document.activeElement")
        assert page.locator("#token").input_value() == ""
        assert wrong not in page.content() + page.url + app.front.log.read_text()
        assert "engine%3Ddesk" in page.url or "engine=desk" in page.url
        # The page that was asked for is the one that is shown afterwards.
        token = app.add_person("una", Role.VIEWER)
        enter(sheet, token, app.front.build_page(DASHBOARD, engine="desk"))
        assert page.url.endswith("/voila/render/live.ipynb?engine=desk")
        page.get_by_text("desk").first.wait_for(timeout=SIGN_IN_SECS * 1000)


def test_person_who_is_barred_loses_page_kernel_and_sign_in(app: App, browser: Any) -> None:
    token = app.add_person("bart", Role.TRADER)
    with open_sheet(browser, app.front) as sheet:
        enter(sheet, token, app.front.build_page(DASHBOARD))
        kernel_id, process = find_kernel(app.front, token)

        app.owner.update_user("bart", is_active=False)

        wait_until(lambda: not process.is_running(), "the end of the kernel", END_SECS)
        wait_until(lambda: has_ended(sheet), "the page to say so", END_SECS)
        assert not (app.front.runtime.kernels / f"{kernel_id}.token").exists()
        assert knock(app.front, kernel_id, read_cookies(sheet)) == 403
        sheet.page.locator("#person a", has_text="Sign in").click()
        sheet.page.locator("#token").fill(token)
        sheet.page.locator("button[type=submit]").click()
        sheet.page.get_by_role("alert").wait_for()
        sheet.wrong.clear()  # A page whose kernel is killed may complain of it


def test_link_signs_in_once_as_who_started_the_app(app: App, browser: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "workbench.cli.main", "live", "--sign-in"]
    asked = subprocess.run([*command, f"--port={app.front.port}"], capture_output=True, text=True)
    link = asked.stdout.strip()
    assert link.startswith(f"{app.front.url}/login?ticket="), asked.stderr
    opener = tmp_path / "open.html"
    opener.write_text(f'<meta http-equiv="refresh" content="0; url={link}">')
    with open_sheet(browser, app.front) as sheet:
        # As a browser is opened: by a file, whose pages are another site's.
        sheet.page.goto(opener.as_uri())
        sheet.page.locator("h1", has_text="Dashboards").wait_for(timeout=SIGN_IN_SECS * 1000)
        assert "ticket" not in sheet.page.url
        (cookie,) = [c for c in sheet.page.context.cookies() if "session" in c["name"]]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert sheet.page.evaluate("() => !document.cookie.includes('session')")
        person = sheet.page.evaluate("() => fetch('/person').then(answer => answer.json())")
        assert person["name"] == app.owner.whoami()["name"]
        assert 0 < person["expires_at"] - cookie["expires"] + 60 < 120
        sheet.outside.clear()  # The file

    with open_sheet(browser, app.front) as sheet:
        sheet.page.goto(link)
        assert "has been used" in sheet.page.get_by_role("alert").inner_text()
        assert "session" not in "".join(read_cookies(sheet))


def test_nothing_is_told_to_who_is_not_signed_in(app: App) -> None:
    front = app.front
    redirected = ("/", "/voila/tree/", f"/voila/render/{DASHBOARD}", "/voila/render/nowhere.ipynb")
    for path in redirected:
        answer = httpx.get(f"{front.url}{path}?token={front.token}")
        assert (answer.status_code, answer.headers["location"][:11]) == (302, "/login?next"), path
    assert ask(front, f"/api/kernels/{OTHER}", {}) == 403
    assert ask(front, "/voila/api/contents", {}) in (302, 403)
    assert ask(front, "/voila/files/picture.png", {}) == 403
    assert httpx.get(f"{front.url}/person").json() == {"name": None}
    assert ask(front, "/logout", {}) == 302  # A link signs nobody out
    assert knock(front, OTHER, {}) == 403
    for path in (f"/voila/query/{OTHER}", f"/voila/api/shutdown/{OTHER}", f"/voila/execution/{OTHER}"):
        assert ask(front, path, {}) == 404
    # A page elsewhere neither signs anybody in nor gives its own name to this machine.
    form = httpx.get(f"{front.url}/login")
    cookies = dict(form.cookies)
    (value,) = re.findall('name="_xsrf" value="([^"]+)"', form.text)
    data = {"token": "wb_x", "_xsrf": value}
    foreign = httpx.post(
        f"{front.url}/login", data=data, cookies=cookies, headers={"Origin": "http://a.test"}
    )
    assert foreign.status_code in (403, 404)
    assert httpx.post(f"{front.url}/login", data={"token": "wb_x"}).status_code == 403
    assert httpx.get(f"{front.url}/login", headers={"Host": "a.test"}).status_code == 403
    for page in ("//a.test", "https://a.test", "javascript:alert(1)", "/\\a.test"):
        form = httpx.get(f"{front.url}/login", params={"next": page})
        assert "a.test" not in form.text, page
        assert "alert" not in form.text


def test_many_wrong_tokens_are_held_off_and_a_link_is_not(app: App) -> None:
    with httpx.Client(base_url=app.front.url) as browser:
        (value,) = re.findall('name="_xsrf" value="([^"]+)"', browser.get("/login").text)
        data = {"token": "wb_" + "y" * 43, "_xsrf": value}

        answers = [browser.post("/login", data=data) for _ in range(14)]

        assert {answer.status_code for answer in answers} == {401, 429}
        assert 0 < int(answers[-1].headers["retry-after"]) <= 5
        link = app.front.build_url("")
        assert httpx.get(link, follow_redirects=True).status_code == 200


def test_session_that_is_over_ends_its_kernel_and_lets_nobody_in(tmp_path: Path, chromium: str) -> None:
    with (
        run_front("voila", tmp_path, arguments=("--session-hours=0.002",)) as front,
        httpx.Client(base_url=front.url, timeout=60, follow_redirects=True) as reader,
    ):
        notebook = front.write("pid", CELL)
        page = front.build_page(notebook)

        shown = reader.get(front.build_url(notebook))

        assert "Max-Age=7;" in shown.history[0].headers["set-cookie"]
        assert "Kernel started" in front.log.read_text()
        wait_until(lambda: not front.find_kernels(), "the end of the kernel", END_SECS)
        assert list(front.runtime.kernels.glob("*.token")) == []
        cookies = {cookie.name: cookie.value or "" for cookie in shown.history[0].cookies.jar}
        assert "session" in "".join(cookies)
        assert ask(front, page, cookies) == 302
