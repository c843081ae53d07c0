"""
Whom the server trusts, with OS users of their own: one has the workspace, each role is another, a stranger has nothing.

Needs root, which CI is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nbformat
import psutil
import pytest

from tests.api.os_users import ROOT, build_command, run_as
from tests.api.serving import build_settings
from tests.conftest import require_or_skip
from tests.live.engines import INSTRUMENT, build_catalog
from workbench.api.app import build_app
from workbench.api.auth import list_permissions
from workbench.api.backtests import PREFIX
from workbench.roles import Role

OWNER, STRANGER = 61_001, 61_002
ROLES = {role: 61_010 + number for number, role in enumerate(Role)}
SECS = 90.0

# Who may, by hand: a route that is not here, or for others than the application says, fails.
LOOK = """
GET /backtests  GET /backtests/{job_id}  GET /backtests/{job_id}/results/metrics  GET /backtests/{job_id}/results/prices
GET /backtests/{job_id}/results/{table}  GET /catalog/datasets
GET /catalog/datasets/{catalog}/{data_type}/{directory}/coverage  GET /engine-adapters  GET /engine-presets
GET /engines  GET /holdouts  GET /holdouts/uses  GET /jobs  WS /jobs/events  GET /jobs/resources  GET /jobs/{job_id}
GET /jobs/{job_id}/inspection  GET /jobs/{job_id}/trace  GET /strategies  GET /sweeps  GET /sweeps/{job_id}  GET /whoami
GET /api/v1/openapi.json
"""
LOOK_AT_ENGINE = """
GET accounts  GET config  GET config/diff  GET config/versions  GET equity  WS events  GET fills  GET log  GET orders
GET positions  GET status
"""
RESEARCH = """
POST /backtests  POST /backtests/preview  POST /backtests/sizing  POST /holdouts  POST /jobs/{job_id}/cancel
POST /jobs/{job_id}/pause  POST /jobs/{job_id}/requeue  POST /jobs/{job_id}/resume  POST /strategies/schema
GET /strategies/{path}/schema  POST /sweeps  POST /sweeps/preview
"""
TRADE = "POST /engines/emergency-stop  POST /engine-presets/{preset}  GET /engine-parts/{path}/schema"
TRADE_ON_ENGINE = """
PUT config  POST config/check  POST drills  POST emergency-clear  POST emergency-stop  POST orders
DELETE orders/{client_order_id:path}  PATCH orders/{client_order_id:path}  POST positions/{position_id:path}/close
POST restart  POST start  POST stop  POST strategies  DELETE strategies/{strategy_id}
POST strategies/{strategy_id}/start  POST strategies/{strategy_id}/stop  POST trading-state
"""
ADMINISTER = """
DELETE /holdouts  POST /jobs/reindex  GET /users  POST /users  PATCH /users/{name}  GET /users/{name}/tokens
POST /users/{name}/tokens  DELETE /users/{name}/tokens/{token_id}
"""
EVERYBODY = frozenset(Role)
RESEARCHERS = frozenset({Role.RESEARCHER, Role.ADMIN})
TRADERS = frozenset({Role.TRADER, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
# Neither asks for a role: one is open to all, the other to the guard of its job alone.
HEALTH, CHANNEL = ("GET", f"{PREFIX}/health"), ("WS", f"{PREFIX}/jobs/{{job_id}}/channel")


def _build_table() -> dict[tuple[str, str], frozenset[Role]]:
    table = {}
    parts = [
        (LOOK, [""], EVERYBODY),
        (LOOK_AT_ENGINE, ["/engine/", "/engines/{name}/"], EVERYBODY),
        (RESEARCH, [""], RESEARCHERS),
        (TRADE, [""], TRADERS),
        (TRADE_ON_ENGINE, ["/engine/", "/engines/{name}/"], TRADERS),
        (ADMINISTER, [""], ADMINS),
    ]
    for text, places, roles in parts:
        for method, path in re.findall(r"([A-Z]+) (\S+)", text):
            for place in places:
                table[method, path if path.startswith("/api/") else f"{PREFIX}{place}{path}"] = roles
    return table


TABLE = _build_table()


def fill(path: str) -> str:
    """Return an address of the route that names nothing that there is."""
    values = {"{path}": "nowhere:Nobody", "{table}": "equity"}
    return re.sub(r"\{[\w:]+\}", lambda found: values.get(found[0], "nothing"), path)


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECS
    while not is_so():
        assert time.monotonic() < deadline, f"waited {SECS:.0f} s for {what}"
        time.sleep(0.05)


@dataclass
class Workspace:
    """A workspace of one OS user, and its server."""

    path: Path
    sockets: Path
    url: str
    tokens: dict[Role, str]
    environment: dict[str, str]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as its owner."""
        done = subprocess.run(
            build_command(OWNER, "-P", "-m", "workbench.cli.main", *arguments),
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def find_processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.uids().real == OWNER and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    """Serve a workspace in a place where everybody may look, as homes often are."""
    if os.geteuid() != 0:
        require_or_skip("root", "only root can start processes of other OS users")
    base = Path(tempfile.mkdtemp(prefix="wb"))
    path, sockets = base / "w", base / "s"
    for folder, mode in ((base, 0o755), (path, 0o755), (sockets, 0o1777)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    os.chown(path, OWNER, OWNER)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "JUPYTER", "IPYTHON"))}
    environment = {
        **kept,
        "HOME": str(path),
        "USER": "ada",
        "LOGNAME": "ada",
        "PYTHONPATH": str(ROOT),
        "WORKBENCH_HOME": str(path),
        "XDG_RUNTIME_DIR": str(sockets),
    }
    server = subprocess.Popen(
        build_command(OWNER, "-P", "-m", "workbench.cli.main", "serve"),
        cwd=path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = Workspace(path, sockets, "", {}, environment)
    try:
        record = path / ".workbench" / "server.json"
        wait_until(lambda: record.is_file() or server.poll() is not None, "the server")
        found.url = msgspec.json.decode(record.read_bytes())["url"]
        headers = {"Authorization": f"Bearer {(path / '.workbench' / 'token').read_text().strip()}"}
        with httpx.Client(base_url=found.url + PREFIX, headers=headers, timeout=30) as client:
            for role in Role:
                client.post("/users", json={"name": f"the-{role}", "role": role}).raise_for_status()
                made = client.post(f"/users/the-{role}/tokens", json={}).raise_for_status()
                found.tokens[role] = made.json()["token"]
        yield found
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in found.find_processes():
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)
            server.poll()
            psutil.wait_procs(found.find_processes(), timeout=15)
        server.wait(15)
        shutil.rmtree(base, ignore_errors=True)


def test_table_names_every_route_and_no_other() -> None:
    routes = set(list_permissions(build_app(None, None, build_settings(Path("nowhere")))))  # type: ignore[arg-type]

    assert sorted(routes ^ {*TABLE, HEALTH, CHANNEL}) == [], "say in this file who may use a new route"


@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_os_user_with_a_role_may_do_on_every_route_what_the_table_says(
    workspace: Workspace, role: Role | None
) -> None:
    routes = sorted([*TABLE, HEALTH, CHANNEL])
    addresses = [(method, fill(path)) for method, path in routes]
    uid = STRANGER if role is None else ROLES[role]

    answers = run_as(
        uid, "tests.api.os_probes:ask_routes", workspace.url, role and workspace.tokens[role], addresses
    )

    wrong = []
    for route, answer in zip(routes, answers, strict=True):
        refused = {401, 4401} if role is None else {403, 4403}
        if route == HEALTH:
            is_right = answer == 200
        elif route == CHANNEL:  # A guard has no role, and no role makes a guard
            is_right = answer in {1008, 4401, 4403}
        elif role is None or role not in TABLE[route]:
            is_right = answer in refused
        else:
            is_right = answer not in {401, 403, 4401, 4403} and not 500 <= answer < 600
        if not is_right:
            wrong.append((*route, answer))
    assert wrong == []


@pytest.fixture(scope="module")
def working(workspace: Workspace) -> Iterator[Workspace]:
    """Return the workspace with an engine that trades, and the app with a kernel that waits."""
    catalog = build_catalog(workspace.path / "quotes")
    values = {"catalog_path": catalog, "venue": "SIM", "quotes": INSTRUMENT, "speed": "5"}
    sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    workspace.call("engine", "config", "set", "--engine", "desk", "--preset", "sandbox-replay", *sets)
    workspace.call("engine", "start", "--engine", "desk")
    pages = workspace.path / "pages"
    pages.mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("import workbench; workbench.connect()")],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        ),
        pages / "page.ipynb",
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    live = ["live", f"--folder={pages}", f"--port={port}", "--no-browser"]
    app = subprocess.Popen(
        build_command(OWNER, "-P", "-m", "workbench.cli.main", *live),
        cwd=workspace.path,
        env=workspace.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: list(workspace.sockets.glob("wb-live-*/voila_*/*-ipc-1")), "a kernel")
        yield workspace
    finally:
        app.terminate()
        app.wait(SECS)


def test_stranger_reaches_no_file_socket_or_process_and_the_owner_does(working: Workspace) -> None:
    secret = [working.path / ".workbench", working.path / "engines" / "desk"]
    secret += [folder for folder in working.sockets.iterdir() if folder.is_dir()]
    names = {path.name for folder in secret for path in folder.rglob("*")}
    for name in ("token", "records.sqlite", "server.log", "journal.sqlite", "host.json", "host.sock", "lock"):
        assert name in names
    assert any(name.endswith("-ipc-1") for name in names)
    processes = working.find_processes()
    roles = " ".join(" ".join(process.cmdline()) for process in processes)
    for role in ("main serve", "live.host", "live.guardian", "ui.jupyter.app", "ipykernel_launcher"):
        assert role in roles
    arguments = [list(map(str, secret)), [process.pid for process in processes]]

    assert run_as(STRANGER, "tests.api.os_probes:reach", *arguments) == []
    # The same as its owner: it is the user that is refused, and not the attempt.
    reached = run_as(OWNER, "tests.api.os_probes:reach", *arguments)
    for what in ("read", "change", "list", "write in", "connect to", "signal"):
        assert any(line.startswith(what) for line in reached), what
    # What everybody can see of a process holds no secret.
    token = (working.path / ".workbench" / "token").read_text().strip()
    shown = json.dumps([process.cmdline() for process in processes])
    assert not any(secret in shown for secret in (token, *working.tokens.values()))


def test_trader_acts_through_the_server_and_a_viewer_does_not(working: Workspace) -> None:
    place = f"{PREFIX}/engines/desk/trading-state"
    body: dict[str, Any] = {"state": "REDUCING", "reason": "a drill"}
    for role, status in ((Role.VIEWER, 403), (Role.TRADER, 200)):
        headers = {"Authorization": f"Bearer {working.tokens[role]}"}
        answer = httpx.post(f"{working.url}{place}", json=body, headers=headers, timeout=30)
        assert answer.status_code == status, answer.text
