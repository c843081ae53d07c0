"""Who gets in, and what each role may do: read off the application's own routes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.api.serving import Serving, build_settings
from workbench.api.app import build_app
from workbench.api.auth import hash_token, list_permissions, make_token
from workbench.api.backtests import PREFIX
from workbench.roles import Permission, Role, is_allowed

# The routes need no service to be listed.
ROUTES = list_permissions(build_app(None, None, build_settings(Path("nowhere"))))  # type: ignore[arg-type]
HEALTH = ("GET", f"{PREFIX}/health")
# A guard's token is of its job, not of a user: tests/jobs/test_guard.py.
CHANNEL = ("WS", f"{PREFIX}/jobs/{{job_id}}/channel")
# The guard of a job on another machine shows the job's own token, which the route itself checks.
CHANNEL = ("WS", f"{PREFIX}/jobs/{{job_id}}/channel")
PLAIN = sorted(route for route in ROUTES if route != HEALTH and route[0] != "WS")
ADMIN_ONLY = ("/users", "/reindex")


def fill(path: str) -> str:
    """Return an address of the route that names nothing that there is."""
    values = {"path": "nowhere:Nobody", "table": "equity"}
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], "nothing"), path)


def test_every_route_but_health_and_the_channel_of_guards_declares_one_permission() -> None:
    undeclared = [route for route, asked in ROUTES.items() if len(asked) != 1]

    assert set(undeclared) == {HEALTH, CHANNEL}
    assert len(ROUTES) > 20


def test_permissions_follow_the_method_and_the_subject() -> None:
    for (method, path), asked in ROUTES.items():
        if (method, path) in (HEALTH, CHANNEL):
            continue
        expected = Permission.VIEW if method in ("GET", "WS") else Permission.RESEARCH
        if path.endswith("/schema"):  # It imports what the path names
            expected = Permission.RESEARCH
        if "/engine" in path:  # Whoever acts on an engine, orders by hand too
            is_look = method in ("GET", "WS") and not path.endswith("/schema")
            expected = Permission.VIEW if is_look else Permission.TRADE
        elif any(part in path for part in ADMIN_ONLY) or method == "DELETE":
            expected = Permission.ADMINISTER
        assert asked == {expected}, (method, path)


@pytest.mark.parametrize("route", PLAIN, ids=" ".join)
@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_route_lets_in_who_may_and_nobody_else(
    shared: Serving, route: tuple[str, str], role: Role | None
) -> None:
    method, path = route
    (asked,) = ROUTES[route]

    response = shared.request(method, fill(path), user=role and role.value)

    if role is None:
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
    elif is_allowed(role, asked):
        assert response.status_code not in (401, 403), response.text
        assert response.status_code < 500
    else:
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_health_needs_no_token_and_tells_no_path(shared: Serving) -> None:
    response = shared.get("/health", user=None)

    assert response.status_code == 200
    assert set(response.json()) == {"status", "version", "api", "pid", "workspace"}
    assert str(shared.settings.workspace) not in response.text


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer wb_x",
        "Bearer " + "x" * 9_000,
    ],
)
def test_header_without_a_good_token_is_refused(shared: Serving, header: str) -> None:
    value = header.format(token=shared.tokens["admin"])

    response = shared.get("/whoami", user=None, headers={"Authorization": value})

    assert response.status_code == 401


def test_scheme_is_read_whatever_its_case(shared: Serving) -> None:
    value = f"bEARER {shared.tokens['admin']}"

    assert shared.get("/whoami", user=None, headers={"Authorization": value}).status_code == 200


def test_unknown_route_without_token_tells_nothing(shared: Serving) -> None:
    assert shared.get("/api/nowhere", user=None).status_code == 401
    assert shared.get("/api/v1/openapi.json", user=None).status_code == 401


def test_wrong_body_without_token_is_not_read(shared: Serving) -> None:
    response = shared.post(
        "/backtests", user=None, content=b"{", headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 401


def test_token_that_is_revoked_expired_or_of_an_inactive_user_is_refused(shared: Serving) -> None:
    token = shared.add_user("leaver", Role.VIEWER)
    assert shared.get("/whoami", user="leaver").json()["name"] == "leaver"

    shared.store.update_user("leaver", is_active=False)
    assert shared.get("/whoami", user="leaver").status_code == 401
    shared.store.update_user("leaver", is_active=True)
    (record,) = shared.store.list_tokens("leaver")
    shared.store.revoke_token("leaver", record.id)
    assert shared.get("/whoami", user="leaver").status_code == 401

    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    shared.store.add_token("leaver", token_hash=hash_token(token + "2"), expires_at=past)
    shared.tokens["leaver"] = token + "2"
    assert shared.get("/whoami", user="leaver").status_code == 401


def test_tokens_are_long_and_only_their_hash_is_stored(shared: Serving) -> None:
    token = make_token()

    assert re.fullmatch(r"wb_[\w-]{43}", token)
    assert make_token() != token
    assert re.fullmatch(r"[0-9a-f]{64}", hash_token(token))
    found = [
        path
        for path in shared.settings.state.rglob("*")
        if path.is_file() and any(t.encode() in path.read_bytes() for t in shared.tokens.values())
    ]
    assert found == []
