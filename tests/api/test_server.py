"""The server's process: one for a workspace, private, ended in order, gone when nobody needs it."""

from __future__ import annotations

import fcntl
import json
import logging
import signal
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.api.serving import Process, build_settings, server_process
from tests.api.test_backtests import build_config
from tests.jobs.walks import wait_until
from workbench.api.app import API_VERSION, name_workspace
from workbench.api.backtests import PREFIX
from workbench.api.logs import keep_log
from workbench.api.owner import ensure_owner
from workbench.api.server import run
from workbench.errors import InputError, ServerError
from workbench.roles import Role
from workbench.store.store import Store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with server_process(tmp_path_factory.mktemp("server")) as process:
        process.wait_until_up()
        yield process


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_server_says_where_it_is_and_answers_there(server: Process) -> None:
    record = server.wait_until_up()

    assert (record.pid, record.api) == (server.popen.pid, API_VERSION)
    assert record.url.startswith("http://127.0.0.1:")
    health = httpx.get(f"{record.url}{PREFIX}/health").json()
    assert health["pid"] == record.pid
    assert health["workspace"] == name_workspace(server.settings.workspace)


def test_local_owner_is_an_admin_whose_token_lies_in_a_private_file(server: Process) -> None:
    server.wait_until_up()

    assert server.get("/whoami").json()["role"] == "admin"
    state = server.settings.state
    assert mode(state) == 0o700
    assert {mode(state / name) for name in ("token", "server.json", "server.lock", "server.log")} == {0o600}
    assert {mode(path) for path in state.glob("records.sqlite*")} == {0o600}


def test_second_server_of_a_workspace_is_refused(server: Process) -> None:
    server.wait_until_up()

    with pytest.raises(ServerError, match="has a server already"):
        run(server.settings)

    assert server.record_path.exists()
    assert server.get("/whoami").status_code == 200


def test_backtest_runs_and_nautilus_stays_out_of_the_server(server: Process, catalog: Path) -> None:
    url = server.wait_until_up().url
    headers = {"Authorization": f"Bearer {server.token}"}
    body = {"config": build_config(catalog)}
    job = httpx.post(f"{url}{PREFIX}/backtests", json=body, headers=headers, timeout=60).json()

    wait_until(lambda: server.get(f"/jobs/{job['id']}").json()["state"] == "COMPLETED")

    assert server.get(f"/backtests/{job['id']}/results/equity").json()["total"] > 0
    assert server.get("/strategies/nowhere:Nobody/schema").status_code in (404, 422)
    maps = Path(f"/proc/{server.popen.pid}/maps").read_text()
    assert "pyarrow" in maps
    assert "nautilus_trader" not in maps


def test_token_is_nowhere_but_in_its_file(server: Process) -> None:
    token = server.token.encode()
    server.get("/whoami")
    server.get("/nowhere")

    found = [
        path.name
        for path in server.settings.workspace.rglob("*")
        if path.is_file() and token in path.read_bytes()
    ]

    assert found == ["token"]
    for path in ("/whoami", "/users", "/jobs", "/nowhere"):
        assert token.decode() not in server.get(path).text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_signal_ends_the_server_in_order(tmp_path: Path, number: int) -> None:
    with server_process(tmp_path) as process:
        url = process.wait_until_up().url
        address = f"ws{url.removeprefix('http')}{PREFIX}/jobs/events"
        headers = {"Authorization": f"Bearer {process.token}"}
        with connect(address, additional_headers=headers, proxy=None, close_timeout=1) as client:
            client.recv(timeout=10)
            began = time.monotonic()
            code, output = process.end(number)
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    client.recv(timeout=10)

    assert (code, output) == (0, "")
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012  # Come again
    assert time.monotonic() - began < 20
    assert not process.record_path.exists()


def test_server_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    with server_process(tmp_path) as process:
        process.wait_until_up()
        token = process.token
        process.popen.kill()
        process.wait_for_end()
        assert process.record_path.exists()
        before = process.record_path.read_bytes()
    with server_process(tmp_path) as process:
        wait_until(lambda: process.record_path.read_bytes() != before)
        assert process.get("/whoami").status_code == 200
        assert process.token == token


def test_server_with_a_listener_does_not_end_by_itself(tmp_path: Path) -> None:
    with server_process(tmp_path, idle_secs=0.5) as process:
        url = process.wait_until_up().url
        address = f"ws{url.removeprefix('http')}{PREFIX}/jobs/events"
        headers = {"Authorization": f"Bearer {process.token}"}
        with connect(address, additional_headers=headers, proxy=None, close_timeout=1) as client:
            while True:  # hello, snapshot, and silence for longer than it would wait alone
                try:
                    client.recv(timeout=1.5)
                except TimeoutError:
                    break
            assert process.popen.poll() is None
        assert process.wait_for_end() == (0, "")


def test_server_with_work_does_not_end_by_itself(tmp_path: Path, catalog: Path) -> None:
    with server_process(tmp_path, idle_secs=0.5) as process:
        url = process.wait_until_up().url
        headers = {"Authorization": f"Bearer {process.token}"}
        job = httpx.post(
            f"{url}{PREFIX}/backtests", json={"config": build_config(catalog)}, headers=headers, timeout=60
        ).json()
        assert process.wait_for_end() == (0, "")

    manifest = json.loads((process.settings.runs / job["id"] / "manifest.json").read_text())
    assert manifest["state"] == "COMPLETED"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_address_beyond_this_machine_needs_tls_or_a_word(tmp_path: Path, host: str) -> None:
    with pytest.raises(InputError, match="other machines") as caught:
        run(build_settings(tmp_path), host=host)

    assert caught.value.field == "host"
    assert not (tmp_path / ".workbench").exists()


def test_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its key"):
        run(build_settings(tmp_path), tls_cert=tmp_path / "cert.pem")


def test_server_beyond_this_machine_speaks_tls_and_answers_to_any_name(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    with server_process(tmp_path, host="0.0.0.0", tls_cert=str(cert), tls_key=str(key)) as process:
        url = process.wait_until_up().url
        headers = {"Authorization": f"Bearer {process.token}", "Host": "workbench.example"}
        context = ssl.create_default_context(cafile=str(cert))
        answer = httpx.get(f"{url}{PREFIX}/whoami", headers=headers, verify=context, timeout=20)

    assert url.startswith("https://127.0.0.1:")
    assert answer.json()["mode"] == "multi-user"


def test_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerError, match="cannot be listened on"):
            run(build_settings(tmp_path), port=taken.getsockname()[1])
    with (tmp_path / ".workbench" / "server.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Given back


def test_state_that_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / ".workbench").write_text("a file")

    with pytest.raises(ServerError, match="cannot be made private"):
        run(build_settings(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.sqlite'}")
    yield opened
    opened.close()


def test_owner_keeps_a_good_token_and_replaces_a_bad_one(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "token"
    name = ensure_owner(store, path)
    first = path.read_text()
    path.chmod(0o644)

    assert ensure_owner(store, path) == name
    assert (path.read_text(), mode(path)) == (first, 0o600)
    (record,) = store.list_tokens(name)
    store.revoke_token(name, record.id)
    ensure_owner(store, path)

    assert path.read_text() != first
    path.write_bytes(b"\xff\xfe")
    ensure_owner(store, path)
    assert path.read_text().startswith("wb_")


@pytest.mark.parametrize("account", ["DOMAIN\\bob", ".hidden", "böb", "@", "x" * 100])
def test_owner_of_any_account_has_a_name(
    store: Store, tmp_path: Path, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: account)

    name = ensure_owner(store, tmp_path / "token")
    store.add_user("somebody", Role.ADMIN)  # The last admin cannot be barred
    store.update_user(name, role=Role.VIEWER, is_active=False)
    ensure_owner(store, tmp_path / "token")

    assert (store.get_user(name).role, store.get_user(name).is_active) == (Role.ADMIN, True)


def test_log_is_bounded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with keep_log(path):
        for _ in range(100):
            logging.getLogger("workbench.test").info("x" * 100_000)

    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert sum(f.stat().st_size for f in files) <= 6_000_000
    assert {mode(f) for f in files} == {0o600}
