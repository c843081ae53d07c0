"""The way to a host: a connection that is kept for what only reads, and survives the host."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.engine_hosts import ORDER, Host, hosting
from workbench.api.engine_line import ask_host
from workbench.engine_records import OrderRow


@pytest.fixture
def runtime() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wb"))
    yield path
    shutil.rmtree(path)


async def ask(host: Host) -> list[OrderRow]:
    return await ask_host(host.directory, "GET", "/orders", list[OrderRow], user="ann")


def test_connection_is_kept_for_reading_and_opened_again_for_the_next_host(
    tmp_path: Path, runtime: Path
) -> None:
    async def work() -> None:
        with hosting(tmp_path, runtime) as host:
            assert host._server is not None
            for _ in range(3):
                assert await ask(host) == [ORDER]
            assert len(host._server.server_state.connections) == 1
            await asyncio.gather(*(ask(host) for _ in range(5)))
            await asyncio.to_thread(host.__exit__)
        with hosting(tmp_path, runtime, incarnation=2) as host:
            assert await ask(host) == [ORDER]
            found = await ask_host(host.directory, "POST", "/orders", dict, user="ann", body={})
            assert found == {"client_order_id": "O-2"}

    asyncio.run(work())
