"""The same run on a local catalog by the local pool, and on an object store by a cluster without a shared disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import httpx
import msgspec
import pyarrow.parquet as pq
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.config import ImportableStrategyConfig

from tests.api.serving import Process, server_process
from tests.backtest.tiny import BID, MARKER, NAME, ROWS, build_catalog, entry, tiny_config
from tests.client.conftest import SLOW
from tests.jobs.clusters import BUCKET, cluster, object_store
from tests.jobs.walks import wait_until
from workbench.api.backtests import PREFIX
from workbench.backtest.capture import SourceModule
from workbench.backtest.datasets import check_run_data
from workbench.backtest.engine import TASK
from workbench.backtest.objects import localised
from workbench.backtest.prices import find_sources, load_series
from workbench.backtest.rundir import TABLES, RunDirectory
from workbench.errors import CatalogError, ConfigError, InputError, NotFoundError
from workbench.jobs.worker import Worker
from workbench.states import JobState

EMA = "nautilus_trader.examples.strategies.ema_cross"
STRATEGY = ImportableStrategyConfig(
    strategy_path=f"{EMA}:EMACross",
    config_path=f"{EMA}:EMACrossConfig",
    config={
        "instrument_id": NAME,
        "bar_type": BID,
        "trade_size": "100000",
        "fast_ema_period": 3,
        "slow_ema_period": 8,
    },
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("objects") / "catalog")


@pytest.fixture(scope="module")
def bucket(local: Path) -> Iterator[str]:
    """Return a bucket that holds the catalog, as ``catalog``."""
    with object_store():
        fsspec.filesystem("s3").put(f"{local}/", f"{BUCKET}/catalog/", recursive=True)
        yield BUCKET


def remote(bucket: str, **changes: Any) -> BacktestDataConfig:
    values = {"catalog_path": f"{bucket}/catalog", "catalog_fs_protocol": "s3", **changes}
    return msgspec.structs.replace(entry(Path("nowhere")), **values)


def run(config: BacktestRunConfig, path: Path) -> RunDirectory:
    """Make the run in a child of a local worker."""
    directory = RunDirectory(path)
    directory.create()
    with Worker() as worker:
        outcome = worker.run(TASK, {"config": config.json().decode(), "path": str(path)})
    assert outcome.state == JobState.COMPLETED, outcome.failure
    return directory


@pytest.fixture(scope="module")
def truth(local: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return the run on the local catalog."""
    path = tmp_path_factory.mktemp("truth") / "20261122-101010-abcdef"
    return run(tiny_config(local, STRATEGY), path)


def assert_equal(found: RunDirectory, expected: RunDirectory) -> None:
    assert found.read_manifest().identity == expected.read_manifest().identity
    for name in TABLES:
        assert found.read_table(name).equals(expected.read_table(name)), name
    assert found.read_table("fills").num_rows > 10
    assert found.verify() == []


def test_catalog_in_an_object_store_is_found_by_its_footers(local: Path, bucket: str) -> None:
    found = check_run_data(tiny_config(local, data=[remote(bucket)]))
    expected = check_run_data(tiny_config(local))

    assert msgspec.structs.replace(found, files=[]) == msgspec.structs.replace(expected, files=[])
    assert [f.relative_to(f"{bucket}/catalog") for f in found.files] == [
        f.relative_to(local) for f in expected.files
    ]


def test_run_on_an_object_store_equals_the_run_on_the_local_catalog(
    local: Path, bucket: str, truth: RunDirectory, tmp_path: Path
) -> None:
    found = run(tiny_config(local, STRATEGY, data=[remote(bucket)]), tmp_path / "20261122-101010-fedcba")

    assert_equal(found, truth)


def test_entries_of_local_and_remote_catalogs_go_together(local: Path, bucket: str) -> None:
    config = tiny_config(local, data=[remote(bucket, bar_types=[BID]), entry(local), remote(bucket)])

    with localised(config) as copy:
        paths = [data.catalog_path for data in copy.data]
        assert paths[0] == paths[2] != paths[1]
        assert paths[1] == str(local)
        assert check_run_data(copy).rows == 5 * ROWS
    assert not Path(paths[0]).exists()


def test_only_what_is_in_the_range_is_copied(local: Path, bucket: str) -> None:
    config = tiny_config(local, data=[remote(bucket)], end="2012-02-01T01:00:00Z")

    with localised(config) as copy:
        (data,) = copy.data
        files = sorted(
            p.relative_to(data.catalog_path).parts[1] for p in Path(data.catalog_path).rglob("*.parquet")
        )
        assert files == ["bar", "bar", "currency_pair"]
        assert check_run_data(copy).rows == 120


def test_prices_of_an_object_store_equal_the_local_ones(local: Path, bucket: str) -> None:
    config, other = tiny_config(local, data=[remote(bucket)]), tiny_config(local)

    found = load_series(config, find_sources(config)[0], max_bars=20)
    expected = load_series(other, find_sources(other)[0], max_bars=20)

    assert found.total == expected.total == ROWS
    assert {n: list(v) for n, v in found.columns.items()} == {n: list(v) for n, v in expected.columns.items()}


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"catalog_path": f"{BUCKET}/nothing"}, NotFoundError, "catalog_path"),
        ({"catalog_path": "nobucket/catalog"}, NotFoundError, "catalog_path"),
        ({"catalog_path": "/a/directory"}, ConfigError, "catalog_fs_protocol"),
        ({"catalog_fs_protocol": "nonsense"}, ConfigError, "catalog_fs_protocol"),
        ({"bar_types": ["EUR/USD.SIM-1-MINUTE-BID-EXTERNAL"]}, NotFoundError, "bar_types"),
        ({"bar_types": [BID.replace("MINUTE", "HOUR")]}, NotFoundError, "bar_types"),
        ({"filter_expr": "field('nothing') > 1"}, ConfigError, "filter_expr"),
        ({"start_time": "2013-01-01"}, ConfigError, "start_time"),
    ],
)
def test_entry_of_an_object_store_that_is_wrong_is_refused(
    local: Path, bucket: str, change: dict[str, Any], kind: type[InputError], field: str
) -> None:
    with pytest.raises(kind) as caught:
        check_run_data(tiny_config(local, data=[remote(bucket, **change)]))

    assert caught.value.field == f"data.0.{field}"


def test_object_that_is_damaged_is_named(local: Path, bucket: str) -> None:
    files = fsspec.filesystem("s3")
    files.copy(f"{bucket}/catalog/", f"{bucket}/damaged/", recursive=True)
    name = next(n for n in files.find(f"{bucket}/damaged") if n.endswith(".parquet") and BID[8:] in n)
    files.pipe_file(name, b"PAR1 not a table")

    with pytest.raises(CatalogError, match=r"damaged/data/bar.*cannot be read"):
        check_run_data(tiny_config(local, data=[remote(bucket, catalog_path=f"{bucket}/damaged")]))


def test_catalog_that_others_change_is_seen_as_it_is(local: Path, bucket: str) -> None:
    others = fsspec.filesystem("s3", skip_instance_cache=True)
    others.copy(f"{bucket}/catalog/", f"{bucket}/changed/", recursive=True)
    config = tiny_config(local, data=[remote(bucket, catalog_path=f"{bucket}/changed")])
    assert check_run_data(config).rows == 2 * ROWS

    one, other = (n for n in others.find(f"{bucket}/changed/data/bar") if "02-31" in n)
    with localised(config):
        others.rm(one)
    table = pq.read_table(other, filesystem=others)
    with others.open(other, "wb") as file:
        pq.write_table(table, file, compression="none", use_dictionary=False)

    with localised(config) as copy:
        assert check_run_data(copy).rows == 2 * ROWS - 90


def submit(server: Process, body: dict[str, Any]) -> str:
    """Submit a backtest, and return its id."""
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.wait_until_up().url}{PREFIX}/backtests"
    response = httpx.post(url, json=body, headers=headers, timeout=60)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def wait_for_run(server: Process, job_id: str) -> RunDirectory:
    wait_until(lambda: server.get(f"/jobs/{job_id}").json()["finished_at"] is not None)
    job = server.get(f"/jobs/{job_id}").json()
    assert job["state"] == "COMPLETED", job
    return RunDirectory(server.settings.runs / job_id)


def test_server_with_a_cluster_runs_without_a_shared_disk(
    local: Path, bucket: str, truth: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = SourceModule.from_text(MARKER)
    marker = {
        "strategy_path": f"{module.name}:Marker",
        "config_path": f"{module.name}:MarkerConfig",
        "config": {},
    }
    config = msgspec.json.decode(tiny_config(local, STRATEGY, data=[remote(bucket)]).json())
    marked = {**config, "engine": {**config["engine"], "strategies": [marker]}}
    sleeper = SourceModule.from_text(SLOW)
    sleep = {
        "strategy_path": f"{sleeper.name}:Slow",
        "config_path": f"{sleeper.name}:SlowConfig",
        "config": {},
    }
    slowed = {**config, "engine": {**config["engine"], "strategies": [sleep]}}
    with cluster(tmp_path / "cluster", workers=1) as processes:
        monkeypatch.setenv("WORKBENCH_CLUSTER", processes.address)
        monkeypatch.setenv("WORKBENCH_RESULTS", f"s3://{bucket}/runs")
        with server_process(tmp_path / "workspace") as server:
            assert server.get("/jobs/resources").json()["slots"] == 1
            found = wait_for_run(server, submit(server, {"config": config}))
            source = {module.name: MARKER}
            other = wait_for_run(server, submit(server, {"config": marked, "sources": source}))
            slow = submit(server, {"config": slowed, "sources": {sleeper.name: SLOW}})
            wait_until(lambda: (server.get(f"/jobs/{slow}").json()["progress"] or {}).get("events", 0) > 0)
            server.end()
        for process in processes.workers:
            assert not list(process.home.rglob("*.parquet")), "a worker keeps nothing"

    assert_equal(found, truth)
    interrupted = RunDirectory(found.path.parent / slow)
    assert interrupted.read_manifest().state == JobState.INTERRUPTED
    assert interrupted.read_table("equity").num_rows > 0, "a server that stops gets the results so far"
    assert b"marked none" in (other.path / "log.jsonl").read_bytes()
    assert fsspec.filesystem("s3").exists(f"{bucket}/runs/{found.run_id}/manifest.json")


@pytest.mark.parametrize(
    ("results", "message"),
    [("", "input_invalid.*no place for results"), ("nowhere://x", "input_invalid.*nowhere://x")],
)
def test_server_with_a_cluster_needs_a_place_for_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: str, message: str
) -> None:
    monkeypatch.setenv("WORKBENCH_CLUSTER", "tcp://127.0.0.1:9")
    monkeypatch.setenv("WORKBENCH_RESULTS", results)

    code, output = Process(tmp_path).wait_for_end()

    assert code == 1
    assert re.search(message, output)
