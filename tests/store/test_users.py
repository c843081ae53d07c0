from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from workbench.errors import ConflictError, ExistsError, InputError, NotFoundError
from workbench.roles import Role
from workbench.store import Store

NOW = "2026-01-01T12:00:00.000Z"


def test_user_is_added_changed_and_listed_by_name(store: Store) -> None:
    ann = store.add_user("ann", Role.VIEWER)
    store.add_user("Bob", Role.ADMIN)

    assert store.get_user("ann") == ann
    assert (ann.role, ann.is_active) == (Role.VIEWER, True)
    assert [user.name for user in store.list_users()] == ["Bob", "ann"]
    assert store.update_user("ann", role=Role.TRADER).role is Role.TRADER
    changed = store.update_user("ann", is_active=False)
    assert (changed.role, changed.is_active) == (Role.TRADER, False)
    assert store.update_user("ann") == changed
    assert store.get_user("Bob").is_active


def test_user_of_a_known_name_is_refused(store: Store) -> None:
    store.add_user("ann", Role.VIEWER)

    with pytest.raises(ExistsError, match="'ann'"):
        store.add_user("ann", Role.ADMIN)
    assert store.get_user("ann").role is Role.VIEWER


@pytest.mark.parametrize("name", ["", " ann", "a/b", "-x", "a" * 65, "a\0", "a\n", "é", "a b", ".."])
def test_user_of_a_bad_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InputError) as caught:
        store.add_user(name, Role.VIEWER)
    assert caught.value.field == "name"


def test_user_unknown_is_not_found(store: Store) -> None:
    for call in (
        lambda: store.get_user("nobody"),
        lambda: store.update_user("nobody", role=Role.ADMIN),
        lambda: store.update_user("nobody"),
        lambda: store.list_tokens("nobody"),
        lambda: store.add_token("nobody", token_hash="h"),
        lambda: store.revoke_token("nobody", "t"),
    ):
        with pytest.raises(NotFoundError, match="'nobody'"):
            call()


def test_token_finds_its_user_until_it_is_revoked(store: Store) -> None:
    store.add_user("ann", Role.VIEWER)
    store.add_user("bob", Role.VIEWER)
    token = store.add_token("ann", token_hash="h1", label="laptop")
    other = store.add_token("ann", token_hash="h2")

    assert store.find_user_by_token("h1", NOW) == store.get_user("ann")
    assert [t.id for t in store.list_tokens("ann")] == [
        t.id for t in sorted((token, other), key=lambda t: (t.created_at, t.id))
    ]
    assert (token.user, token.label, token.expires_at, token.last_used_at) == ("ann", "laptop", None, None)
    assert store.find_user_by_token("unknown", NOW) is None
    with pytest.raises(NotFoundError):
        store.revoke_token("bob", token.id)
    store.revoke_token("ann", token.id)
    assert store.find_user_by_token("h1", NOW) is None
    assert store.find_user_by_token("h2", NOW) is not None
    with pytest.raises(NotFoundError, match="no token"):
        store.revoke_token("ann", token.id)


@pytest.mark.parametrize("change", [{"role": Role.TRADER}, {"is_active": False}])
def test_last_active_admin_stays_one(store: Store, change: dict[str, Any]) -> None:
    for name, role in (("ann", Role.ADMIN), ("bob", Role.ADMIN), ("carl", Role.VIEWER)):
        store.add_user(name, role)
    assert store.update_user("bob", **change)  # There is another

    with pytest.raises(ConflictError, match="'ann' is the last active admin") as caught:
        store.update_user("ann", **change)

    assert caught.value.advice
    assert store.get_user("ann") == store.update_user("ann", role=Role.ADMIN, is_active=True)
    assert store.update_user("carl", is_active=False).is_active is False
    store.update_user("bob", role=Role.ADMIN, is_active=True)
    assert store.update_user("ann", **change) == store.get_user("ann")


def test_two_admins_who_bar_each_other_leave_one(url: str) -> None:
    # Two stores, as in two processes: only the database itself can tell them apart.
    stores, names = [Store.open(url), Store.open(url)], ["ann", "bob"]
    for name in names:
        stores[0].add_user(name, Role.ADMIN)
    started = threading.Barrier(2, timeout=30)

    def bar(number: int) -> str:
        started.wait()
        try:
            stores[number].update_user(names[number], is_active=False)
        except ConflictError:
            return "refused"
        return "done"

    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            assert sorted(pool.map(bar, range(2))) == ["done", "refused"]
            for name in names:
                stores[0].update_user(name, is_active=True)
    for store in stores:
        store.close()


def test_token_of_an_inactive_user_finds_nobody(store: Store) -> None:
    store.add_user("ann", Role.VIEWER)
    store.add_token("ann", token_hash="h")
    store.update_user("ann", is_active=False)

    assert store.find_user_by_token("h", NOW) is None
    store.update_user("ann", is_active=True)
    assert store.find_user_by_token("h", NOW) is not None


@pytest.mark.parametrize(
    ("expires_at", "is_valid"),
    [
        ("2026-01-01T12:00:00.001Z", True),
        ("2026-01-01T12:00:00Z", False),
        ("2026-01-01T13:30:00+01:00", True),
        ("2026-01-01T12:30:00+01:00", False),
        ("2026-01-01T12:00:00.000999Z", False),
    ],
)
def test_token_is_valid_until_its_time(store: Store, expires_at: str, is_valid: bool) -> None:
    store.add_user("ann", Role.VIEWER)
    store.add_token("ann", token_hash="h", expires_at=expires_at)

    assert (store.find_user_by_token("h", NOW) is not None) is is_valid


@pytest.mark.parametrize(
    "expires_at", ["", "tomorrow", "2026-01-01T12:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"]
)
def test_token_with_a_time_that_is_none_is_refused(store: Store, expires_at: str) -> None:
    store.add_user("ann", Role.VIEWER)

    with pytest.raises(InputError) as caught:
        store.add_token("ann", token_hash="h", expires_at=expires_at)
    assert caught.value.field == "expires_at"


def test_token_known_already_is_refused(store: Store) -> None:
    store.add_user("ann", Role.VIEWER)
    store.add_token("ann", token_hash="h")

    with pytest.raises(ExistsError) as caught:
        store.add_token("ann", token_hash="h")
    assert "'h'" not in str(caught.value)
    with pytest.raises(InputError, match="label"):
        store.add_token("ann", token_hash="h2", label="x" * 201)


def test_use_of_a_token_is_written_down_once_a_minute(store: Store) -> None:
    store.add_user("ann", Role.VIEWER)
    store.add_token("ann", token_hash="h")

    def use(now: str) -> str | None:
        store.find_user_by_token("h", now)
        return store.list_tokens("ann")[0].last_used_at

    assert use("2026-01-01T12:00:00.000Z") == "2026-01-01T12:00:00.000Z"
    assert use("2026-01-01T12:00:59.999Z") == "2026-01-01T12:00:00.000Z"
    assert use("2026-01-01T12:01:00.000Z") == "2026-01-01T12:01:00.000Z"
