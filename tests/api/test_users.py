from __future__ import annotations

import getpass

import pytest

from tests.api.serving import Serving
from workbench.api.app import build_app
from workbench.roles import Permission, Role


@pytest.mark.parametrize("role", Role, ids=str)
def test_whoami_tells_name_role_and_permissions(shared: Serving, role: Role) -> None:
    answer = shared.get("/whoami", user=role.value).json()

    assert (answer["name"], answer["role"], answer["mode"]) == (role.value, role.value, "single-user")
    assert "view" in answer["permissions"]
    assert ("administer" in answer["permissions"]) == (role == Role.ADMIN)
    assert set(answer["permissions"]) <= set(Permission)


def test_whoami_says_how_far_roles_bind(shared: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    single = shared.get("/whoami").json()["note"]
    beyond = build_app(shared.service, shared.store, shared.settings, is_multi_user=True)
    monkeypatch.setattr(shared, "app", beyond)
    multi = shared.get("/whoami").json()

    assert "advisory" in single
    assert repr(getpass.getuser()) in single
    assert multi["mode"] == "multi-user"
    assert "advisory" not in multi["note"]


def test_user_is_added_changed_and_shut_out(shared: Serving) -> None:
    added = shared.post("/users", json={"name": "ann", "role": "viewer"})
    assert (added.status_code, added.json()["role"]) == (201, "viewer")
    issued = shared.post("/users/ann/tokens", json={"label": "laptop", "expires_days": 30})
    assert issued.status_code == 201
    assert issued.headers["cache-control"] == "no-store"
    shared.tokens["ann"] = issued.json()["token"]
    assert shared.get("/whoami", user="ann").json()["role"] == "viewer"
    assert shared.post("/jobs/x/cancel", user="ann").status_code == 403

    assert shared.request("PATCH", "/users/ann", json={"role": "researcher"}).json()["role"] == "researcher"
    assert shared.post("/jobs/x/cancel", user="ann").status_code == 404
    shared.request("PATCH", "/users/ann", json={"is_active": False})

    assert shared.get("/whoami", user="ann").status_code == 401
    assert "ann" in {u["name"] for u in shared.get("/users").json()["items"]}


def test_tokens_are_listed_without_themselves_and_revoked_by_id(shared: Serving) -> None:
    shared.post("/users", json={"name": "bob", "role": "viewer"})
    issued = shared.post("/users/bob/tokens", json={}).json()
    shared.tokens["bob"] = issued["token"]

    listed = shared.get("/users/bob/tokens")
    assert [t["id"] for t in listed.json()["items"]] == [issued["record"]["id"]]
    assert issued["token"] not in listed.text
    assert issued["record"].get("expires_at") is None
    path = f"/users/bob/tokens/{issued['record']['id']}"
    assert shared.request("DELETE", path).status_code == 204

    assert shared.get("/whoami", user="bob").status_code == 401
    assert shared.request("DELETE", path).status_code == 404


@pytest.mark.parametrize("change", [{"role": "trader"}, {"is_active": False}])
def test_last_admin_stays_one(shared: Serving, change: dict[str, object]) -> None:
    response = shared.request("PATCH", "/users/admin", json=change)

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "last active admin" in response.json()["detail"]
    assert shared.get("/whoami").json()["role"] == "admin"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "admin", "role": "viewer"}, 409, "name"),
        ({"name": "a b", "role": "viewer"}, 422, "name"),
        ({"name": "carl", "role": "king"}, 422, "role"),
        ({"name": "carl"}, 422, "role"),
    ],
)
def test_user_that_cannot_be_is_refused(
    shared: Serving, body: dict[str, str], status: int, field: str
) -> None:
    response = shared.post("/users", json=body)

    assert (response.status_code, response.json()["field"]) == (status, field)


@pytest.mark.parametrize(
    "body", [{"expires_days": 0}, {"expires_days": "30"}, {"label": "a\nb"}, {"token": "x"}]
)
def test_token_that_cannot_be_is_refused(shared: Serving, body: dict[str, object]) -> None:
    assert shared.post("/users/admin/tokens", json=body).status_code == 422


def test_token_of_nobody_is_not_found(shared: Serving) -> None:
    assert shared.post("/users/nobody/tokens", json={}).status_code == 404
    assert shared.get("/users/nobody/tokens").status_code == 404
    assert shared.request("PATCH", "/users/nobody", json={}).status_code == 404
