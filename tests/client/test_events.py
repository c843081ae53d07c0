"""Events: in order, none lost and none twice, over lost connections and new servers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import build_config, make_settings
from workbench.client import events
from workbench.client.client import Client
from workbench.client.connection import connect, stop_server
from workbench.client.events import EventStream
from workbench.client.transport import Endpoint, Transport
from workbench.config import Settings
from workbench.errors import AuthenticationError, ServerError
from workbench.states import JobState


def take_jobs(stream: EventStream, job_id: str, until: JobState) -> list[dict[str, Any]]:
    """Return the messages about changes of state, as far as the one in which a job is in `until`."""
    told = []
    while (message := stream.take(60)) is not None:
        if message["type"] == "job":
            told.append(message)
            if message["job"]["id"] == job_id and message["job"]["state"] == until:
                return told
    raise AssertionError(f"{job_id} did not become {until}: {told}")


def test_events_begin_with_hello_and_what_is_unfinished(client: Client) -> None:
    found = []
    for message in client.events(timeout_secs=5):
        found.append(message["type"])
        if len(found) == 2:
            break

    assert found == ["hello", "snapshot"]


def test_quiet_stream_ends_after_its_time(client: Client) -> None:
    assert {m["type"] for m in client.events(after=client.list_jobs().total + 10**9, timeout_secs=0.3)} <= {
        "hello",
        "gap",
        "snapshot",
    }


def test_changes_of_state_are_told_in_order_and_again_from_any_number(
    client: Client, stocked: Settings
) -> None:
    with EventStream(client.transport) as stream:
        assert stream.take(10)["type"] == "hello"  # type: ignore[index]
        job = client.submit_backtest(build_config(stocked, pause_secs=0.0))
        told = take_jobs(stream, job.id, JobState.COMPLETED)
    mine = [m for m in told if m["job"]["id"] == job.id]
    assert [m["job"]["state"] for m in mine] == ["PENDING", "RUNNING", "COMPLETED"]
    seqs = [m["seq"] for m in told]
    assert seqs == sorted(set(seqs))

    with EventStream(client.transport, after=mine[0]["seq"]) as stream:
        again = take_jobs(stream, job.id, JobState.COMPLETED)
    assert [m["seq"] for m in again] == [s for s in seqs if s > mine[0]["seq"]]


def test_wrong_token_is_refused_and_not_tried_for_ever(client: Client) -> None:
    transport = Transport(Endpoint(client.url, "wb_wrong"))
    with EventStream(transport) as stream, pytest.raises(AuthenticationError):
        stream.take(10)
    transport.close()


def test_lost_server_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LOST_SECS", 0.5)
    with connect(settings=settings) as client, EventStream(client.transport) as stream:
        assert stream.take(10) is not None
        stop_server(settings)
        with pytest.raises(ServerError, match="is lost"):
            while True:
                stream.take(10)


def test_server_killed_and_started_again_loses_nothing(tmp_path: Path, settings: Settings) -> None:
    """What was finished is there, what ran is interrupted, and who listened is told so, once."""
    from tests.backtest.tiny import build_catalog

    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    with connect(settings=settings) as client, EventStream(client.transport) as stream:
        assert stream.take(10) is not None
        done = client.submit_backtest(build_config(settings, pause_secs=0.0)).wait(120)
        cut = client.submit_backtest(build_config(settings, pause_secs=0.5))
        told = take_jobs(stream, cut.id, JobState.RUNNING)
        os.kill(client.health()["pid"], signal.SIGKILL)

        with connect(settings=settings):
            told += take_jobs(stream, cut.id, JobState.INTERRUPTED)
            cut.wait(60)

            assert cut.record.state == JobState.INTERRUPTED
            with pytest.raises(Exception, match=f"workbench jobs requeue {cut.id}"):
                cut.raise_for_failure()
            assert client.job(done.id).record.state == JobState.COMPLETED
            assert client.job(done.id).metrics == done.metrics
            seqs = [m["seq"] for m in told]
            assert seqs == sorted(set(seqs))
            assert cut.requeue().record.requeued_from == cut.id


def test_client_by_url_listens_too(client: Client, stocked: Settings, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, server=client.url, token_file=stocked.token_file)
    with connect(settings=settings) as other:
        assert json.dumps(next(iter(other.events(timeout_secs=10)))).startswith('{"type": "hello"')
