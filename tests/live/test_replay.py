from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.common.config import msgspec_decoding_hook

from tests.live.replay_catalogs import ASK, BID, MINUTE_NS, NAME, add_quotes, build_bars
from tests.live.replay_nodes import NodeProcess, build_config
from workbench.errors import ConfigError
from workbench.live.replay_config import ReplayDataClientConfig, parse_stamp


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_quotes(build_bars(tmp_path_factory.mktemp("replay") / "catalog"))


def _seen(node: NodeProcess, what: str) -> list[dict[str, Any]]:
    return [seen for seen in node.find("seen") if seen["what"] == what]


def test_replay_feeds_a_node_and_answers_for_history(catalog: Path, tmp_path: Path) -> None:
    watcher = {"bar_types": [BID, ASK], "quotes": [NAME], "history": BID, "limit": 20}
    speed = 600.0
    config = build_config(
        catalog,
        ("Watcher", watcher),
        feed={"start": "2012-02-01T01:00:00", "speed": speed},
        bar_types=[],
    )
    with NodeProcess(tmp_path, config) as node:
        node.wait(lambda: len(_seen(node, "bar")) >= 30 and len(_seen(node, "history")) >= 20)
        described = node.describe()["replay"]["REPLAY"]

    history, bars = _seen(node, "history"), _seen(node, "bar")
    assert len(history) == 20
    # The last 20 minutes before the start, as far apart as the bars that followed, and up to them
    stamps = [seen["event"] for seen in history]
    assert {b - a for a, b in pairwise(stamps)} == {int(MINUTE_NS / speed)}
    assert all(stamp < bars[0]["event"] for stamp in stamps)
    assert bars[0]["event"] - stamps[-1] <= 2 * MINUTE_NS / speed
    assert [seen["event"] for seen in bars] == sorted(seen["event"] for seen in bars)
    pairs = {BID: [], ASK: []}
    for seen in bars:
        pairs[seen["name"]].append(seen["init"])
    assert pairs[BID][:10] == pairs[ASK][:10]
    assert described["state"] == "REPLAYING"
    assert described["sent"] >= 30
    assert described["start"].startswith("2012-02-01T01:00:00")
    assert NAME in described["last_event_ns"]
    assert described["datasets"] == sorted([f"{BID} bars", f"{ASK} bars", f"{NAME} quotes"])


def test_replay_disconnects_on_a_drill_and_comes_back(catalog: Path, tmp_path: Path) -> None:
    config = build_config(catalog, ("Watcher", {"bar_types": [BID]}))
    with NodeProcess(tmp_path, config) as node:
        node.wait(lambda: len(_seen(node, "bar")) > 5)

        node.send({"mode": "disconnect"})
        node.wait(lambda: not node.describe()["replay"]["REPLAY"]["is_connected"])
        quiet = len(_seen(node, "bar"))
        node.wait(lambda: node.describe()["replay"]["REPLAY"]["withheld"] > 20)
        assert len(_seen(node, "bar")) == quiet
        node.send({"mode": None})
        node.wait(lambda: node.describe()["replay"]["REPLAY"]["is_connected"])
        node.wait(lambda: len(_seen(node, "bar")) > quiet + 5)

        node.send({"mode": "stall", "secs": 0.5})
        stalled = node.wait(lambda: next(iter(_drills(node)), None))
        assert stalled["mode"] == "stall"
        assert node.describe()["replay"]["REPLAY"]["is_connected"]
        node.wait(lambda: not _drills(node))
        count = len(_seen(node, "bar"))
        node.wait(lambda: len(_seen(node, "bar")) > count)


def _drills(node: NodeProcess) -> list[dict[str, Any]]:
    drills: list[dict[str, Any]] = node.describe()["replay"]["REPLAY"]["drills"]
    return drills


def test_replay_that_ends_says_so_and_the_node_stops_in_order(catalog: Path, tmp_path: Path) -> None:
    feed = {"is_looping": False, "end": "2012-02-01T00:30:00", "speed": 60_000.0}
    config = build_config(catalog, ("Watcher", {"bar_types": [BID]}), feed=feed)
    with NodeProcess(tmp_path, config) as node:
        node.wait(lambda: node.describe()["replay"]["REPLAY"]["state"] == "ENDED")
        assert len(_seen(node, "bar")) == 30
        assert node.describe()["running"]

        node.send("stop")
        deadline = time.monotonic() + 30
        while node.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert node.process.returncode == 0


def test_replay_of_a_damaged_file_fails_and_the_process_lives(tmp_path: Path) -> None:
    catalog = build_bars(tmp_path / "catalog")
    config = build_config(catalog, ("Watcher", {"bar_types": [BID]}))
    (path,) = (catalog / "data" / "bar").glob("*BID*/*.parquet")
    data = bytearray(path.read_bytes())
    data[600:900] = bytes(255 - b for b in data[600:900])  # Within the pages: the footer is as it was
    path.write_bytes(data)
    with NodeProcess(tmp_path, config) as node:
        described = node.wait(lambda: _failed(node))

        assert str(path) in described["problem"]
        assert not described["is_connected"]
        assert node.process.poll() is None
        assert not _seen(node, "bar")


def _failed(node: NodeProcess) -> dict[str, Any] | None:
    described: dict[str, Any] = node.describe()["replay"]["REPLAY"]
    return described if described["state"] == "FAILED" else None


def test_replay_is_configured_by_plain_values() -> None:
    text = b'{"catalog_path": "data", "venues": ["SIM", "XNAS"], "speed": 2.5}'

    config = msgspec.json.decode(text, type=ReplayDataClientConfig, dec_hook=msgspec_decoding_hook)

    assert config.routing.venues == frozenset({"SIM", "XNAS"})
    assert config.is_looping
    assert config.is_restamped


@pytest.mark.parametrize(
    "wrong", [{"speed": 0}, {"speed": -1}, {"speed": 2e6}, {"venues": []}, {"max_lag_secs": 0}, {"spead": 1}]
)
def test_replay_with_a_wrong_field_is_refused(wrong: dict[str, Any]) -> None:
    values = {"catalog_path": "data", "venues": ["SIM"], **wrong}

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, ReplayDataClientConfig)


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        (None, None),
        (5, 5),
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_replay_parses_times(value: str | int | None, nanos: int | None) -> None:
    assert parse_stamp(value, "start") == nanos


def test_replay_refuses_what_is_no_time() -> None:
    with pytest.raises(ConfigError) as info:
        parse_stamp("soon", "end")

    assert info.value.field == "end"
