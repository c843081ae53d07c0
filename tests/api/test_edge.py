"""The outermost layer: foreign hosts and origins, and bodies that are too large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import Serving
from workbench.api.app import build_app
from workbench.api.backtests import PREFIX
from workbench.api.server import _find_hosts

MEGABYTE = 1024 * 1024


def ask(parts: Serving, headers: dict[str, str]) -> httpx.Response:
    app = build_app(parts.service, parts.store, parts.settings, hosts=_find_hosts("127.0.0.1", is_local=True))

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.get(f"{PREFIX}/health", headers=headers)

    return asyncio.run(go())


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_host_of_this_machine_is_served(shared: Serving, host: str) -> None:
    assert ask(shared, {"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[", "localhost@evil.example"]
)
def test_host_of_somebody_else_is_refused(shared: Serving, host: str) -> None:
    response = ask(shared, {"Host": host})

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", ""]
)
def test_page_of_another_origin_is_refused(shared: Serving, origin: str) -> None:
    response = ask(shared, {"Origin": origin})

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_page_of_the_same_origin_is_served(shared: Serving) -> None:
    assert ask(shared, {"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_body_that_says_it_is_too_large_is_refused_unread(shared: Serving) -> None:
    response = shared.post("/backtests", content=b"{}", headers={"Content-Length": str(17 * MEGABYTE)})

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_body_that_grows_too_large_is_refused(shared: Serving) -> None:
    sent = 0

    async def grow() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * MEGABYTE

    response = shared.post("/backtests", content=grow(), headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert sent == 17


def test_body_just_below_the_limit_is_read(shared: Serving) -> None:
    content = b"{" + b" " * (16 * MEGABYTE - 2) + b"}"

    response = shared.post("/users", content=content, headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (422, "input_invalid")


def test_requests_are_noted_and_health_too(shared: Serving, tmp_path: Path) -> None:
    activity = shared.app.state.context.activity
    before = activity.quiet_secs

    shared.get("/health", user=None)

    assert activity.quiet_secs < max(before, 1.0)
    assert activity.requests == 0
