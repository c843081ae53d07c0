"""Strategies at run time and drills over HTTP: what reaches the host, in whose name, and after which confirmation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.engine_hosts import LIVE, SANDBOX, Host, hosting
from tests.api.serving import Serving
from tests.api.test_problems import check

ADDED = {"strategy_path": "my.module:Mine", "config_path": "my.module:MineConfig", "config": {"n": 1}}
ANSWER = {"strategy_id": "Mine-001", "state": "RUNNING"}
CALLS: list[tuple[str, str, Any, int]] = [
    ("POST", "/strategies", ADDED, 201),
    ("DELETE", "/strategies/Mine-001", None, 202),
    ("POST", "/strategies/Mine-001/start", {}, 202),
    ("POST", "/strategies/Mine-001/stop", {"is_cancelling": True}, 202),
    ("POST", "/drills", {"mode": "slow", "secs": 3}, 200),
]


@pytest.fixture
def host(shared: Serving, request: pytest.FixtureRequest) -> Iterator[Host]:
    runtime = Path(tempfile.mkdtemp(prefix="wb"))
    shutil.rmtree(shared.settings.engines, ignore_errors=True)
    with hosting(shared.settings.engines, runtime, config=getattr(request, "param", SANDBOX)) as host:
        host.answers = {path: (200, ANSWER) for _, path, _, _ in CALLS[:4]}
        host.answers["/drills"] = 200, {"feeds": ["REPLAY"]}
        yield host
    shutil.rmtree(shared.settings.engines, ignore_errors=True)
    shutil.rmtree(runtime)


def test_calls_reach_the_host_in_the_name_of_who_asks(shared: Serving, host: Host) -> None:
    for method, path, body, status in CALLS:
        found = shared.request(method, f"/engine{path}", user="trader", json=body)
        assert found.status_code == status, found.text
        assert found.json() == ({"feeds": ["REPLAY"]} if path == "/drills" else ANSWER)
    told = [(one["method"], one["path"], one["user"]) for one in host.told]
    assert told == [(method, path, "trader") for method, path, _, _ in CALLS]
    assert host.told[0]["body"] == {**ADDED, "is_started": True}
    assert host.told[3]["body"] == {"is_cancelling": True}
    assert host.told[4]["body"] == {"mode": "slow", "secs": 3.0, "every": 5}


def test_who_may_only_look_changes_nothing(shared: Serving, host: Host) -> None:
    for method, path, body, _ in CALLS:
        check(shared.request(method, f"/engine{path}", user="viewer", json=body), 403, "forbidden")
    assert host.told == []


@pytest.mark.parametrize("host", [LIVE], indirect=True)
@pytest.mark.parametrize("number", [0, 2])
def test_more_risk_in_a_live_engine_takes_two_calls(shared: Serving, host: Host, number: int) -> None:
    method, path, body, status = CALLS[number]
    problem = check(
        shared.request(method, f"/engine{path}", user="trader", json=body), 409, "confirmation_required"
    )
    assert problem["risks"]["word"] == "LIVE"
    sent = {**body, "confirm_token": problem["confirm_token"]}
    other = {**sent, "config": {"n": 2}} if number == 0 else sent
    if number == 0:  # Another strategy than the one that was looked at
        check(
            shared.request(method, f"/engine{path}", user="trader", json=other), 409, "confirmation_required"
        )
    assert shared.request(method, f"/engine{path}", user="trader", json=sent).status_code == status
    assert [one["path"] for one in host.told if one["method"] == "POST"] == [path]


@pytest.mark.parametrize("host", [LIVE], indirect=True)
def test_less_risk_in_a_live_engine_takes_one_call(shared: Serving, host: Host) -> None:
    for number in (1, 3):
        method, path, body, status = CALLS[number]
        assert shared.request(method, f"/engine{path}", user="trader", json=body).status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/strategies", {**ADDED, "strategy_path": "no path"}),
        ("/strategies", {**ADDED, "more": 1}),
        ("/strategies/Mine-001/stop", {"is_cancelling": "yes"}),
        ("/drills", {"mode": "flood"}),
        ("/drills", {"mode": "slow", "secs": 0}),
    ],
)
def test_wrong_request_never_reaches_the_host(shared: Serving, host: Host, path: str, body: Any) -> None:
    check(shared.post(f"/engine{path}", user="trader", json=body), 422, "input_invalid")
    assert host.told == []
