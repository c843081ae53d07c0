"""A backtest over HTTP, from its preview to its tables, against what the run itself has kept."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.config import ImportableStrategyConfig

from tests.api.serving import Serving
from tests.backtest.tiny import BID, NAME, tiny_config
from tests.jobs.walks import wait_for
from workbench.records import JobRecord
from workbench.states import JobState

EMA = "nautilus_trader.examples.strategies.ema_cross"
FILES = {
    "equity": "equity",
    "trades": "positions",
    "orders": "orders",
    "fills": "fills",
    "accounts": "accounts",
}


def build_config(catalog: Path, **changes: Any) -> dict[str, Any]:
    strategy = ImportableStrategyConfig(
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
    return {**msgspec.json.decode(tiny_config(catalog, strategy).json()), **changes}


@pytest.fixture(scope="module")
def run(shared: Serving, catalog: Path) -> JobRecord:
    """Return a backtest that was submitted over HTTP and has ended."""
    body = {"config": build_config(catalog), "name": "a cross"}
    response = shared.post("/backtests", json=body, user="researcher")
    assert response.status_code == 201, response.text
    job = response.json()
    assert response.headers["location"] == f"/api/v1/nautilus/backtests/{job['id']}"
    return wait_for(shared.service, job["id"])


def truth(api: Serving, run: JobRecord, name: str) -> pa.Table:
    return pq.read_table(api.settings.runs / run.id / f"{FILES[name]}.parquet")


def fetch(api: Serving, run: JobRecord, name: str, **query: Any) -> httpx.Response:
    response = api.get(f"/backtests/{run.id}/results/{name}", params=query, user="viewer")
    assert response.status_code == 200, response.text
    return response


def rebuild(answer: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """Return the table that was sent as text with its own types again."""
    columns = list(zip(*answer["rows"], strict=True)) if answer["rows"] else [()] * len(schema)
    arrays = []
    for cells, field in zip(columns, schema, strict=True):
        if pa.types.is_decimal(field.type):
            cells = [None if c is None else Decimal(c) for c in cells]
            arrays.append(pa.array(cells, field.type))
        elif pa.types.is_timestamp(field.type):
            arrays.append(pa.array(cells, pa.string()).cast(field.type))
        else:
            arrays.append(pa.array(cells, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def test_submitted_backtest_runs_and_tells_its_manifest(shared: Serving, run: JobRecord) -> None:
    answer = shared.get(f"/backtests/{run.id}", user="viewer").json()

    assert run.state == JobState.COMPLETED, run.failure
    assert (answer["job"]["owner"], answer["job"]["name"]) == ("researcher", "a cross")
    assert answer["manifest"]["run_id"] == run.id
    assert answer["manifest"]["fills"] > 4
    assert run.id in [j["id"] for j in shared.get("/backtests").json()["items"]]


def test_preview_tells_what_it_would_take_and_queues_nothing(shared: Serving, catalog: Path) -> None:
    before = shared.get("/jobs").json()["total"]

    response = shared.post("/backtests/preview", json={"config": build_config(catalog)}, user="researcher")

    assert response.status_code == 200, response.text
    assert response.json()["rows"] == 480
    assert response.json()["predicted_rss_bytes"] > 0
    assert shared.get("/jobs").json()["total"] == before


def test_size_is_computed_before_the_run_and_nothing_is_queued(shared: Serving, catalog: Path) -> None:
    before = shared.get("/jobs").json()["total"]
    body = {"config": build_config(catalog), "sizing": {"method": "PERCENT_OF_EQUITY", "amount": "5"}}

    response = shared.post("/backtests/sizing", json=body, user="researcher")

    answer = response.json()
    assert response.status_code == 200, response.text
    assert answer["quantity"] == str(50_000 // Decimal(answer["price"]))
    assert (answer["equity"], answer["currency"], answer["instrument_id"]) == ("1000000", "USD", NAME)
    assert shared.get("/jobs").json()["total"] == before
    assert shared.post("/backtests/sizing", json=body, user="viewer").status_code == 403


def test_wrong_size_names_every_field(shared: Serving, catalog: Path) -> None:
    body = {"config": build_config(catalog), "sizing": {"method": "HALF", "amount": "much"}}

    response = shared.post("/backtests/sizing", json=body)

    problem = response.json()
    assert response.status_code == 422
    assert [error["field"] for error in problem["errors"]] == ["sizing.method", "sizing.amount"]


@pytest.mark.parametrize("route", ["/backtests", "/backtests/preview"])
def test_wrong_configuration_names_the_field(shared: Serving, catalog: Path, route: str) -> None:
    config = build_config(catalog)
    config["data"][0]["catalog_path"] = "/nowhere"

    response = shared.post(route, json={"config": config})

    problem = response.json()
    assert response.status_code in (404, 422)
    assert "catalog_path" in problem["field"]
    assert "/nowhere" in problem["detail"]


@pytest.mark.parametrize("name", FILES)
def test_table_equals_the_run_s_own_file(shared: Serving, run: JobRecord, name: str) -> None:
    own = truth(shared, run, name)

    answer = fetch(shared, run, name).json()

    assert [c["name"] for c in answer["columns"]] == own.column_names
    assert answer["total"] == own.num_rows == len(answer["rows"])
    assert own.num_rows > 0
    assert rebuild(answer, own.schema).equals(own)


@pytest.mark.parametrize("name", FILES)
def test_table_as_parquet_equals_the_run_s_own_file(shared: Serving, run: JobRecord, name: str) -> None:
    response = fetch(shared, run, name, format="parquet")

    assert pq.read_table(io.BytesIO(response.content)).equals(truth(shared, run, name))
    assert response.headers["content-disposition"].endswith(f'"{run.id}-{name}.parquet"')


@pytest.mark.parametrize("name", FILES)
def test_table_as_csv_has_the_cells_of_the_json(shared: Serving, run: JobRecord, name: str) -> None:
    answer = fetch(shared, run, name).json()

    response = fetch(shared, run, name, format="csv")
    header, *rows = csv.reader(io.StringIO(response.text))

    def show(cell: Any) -> str:
        return str(cell).lower() if isinstance(cell, bool) else "" if cell is None else str(cell)

    assert header == [c["name"] for c in answer["columns"]]
    kinds = [c["type"] for c in answer["columns"]]
    for row, expected in zip(rows, answer["rows"], strict=True):
        for cell, other, kind in zip(row, expected, kinds, strict=True):
            if kind == "float" and cell:
                assert float(cell) == other
            else:
                assert cell == show(other)


def test_range_holds_both_ends(shared: Serving, run: JobRecord) -> None:
    stamps = [row[0] for row in fetch(shared, run, "fills").json()["rows"]]

    answer = fetch(shared, run, "fills", start=stamps[1], end=stamps[-2]).json()

    assert [row[0] for row in answer["rows"]] == stamps[1:-1]
    assert answer["total"] == len(stamps) - 2


@pytest.mark.parametrize("start", ["2012-02-01", "2012-02-01T00:00", "2012-02-01T01:00:00+01:00"])
def test_range_may_be_a_day_or_have_a_zone(shared: Serving, run: JobRecord, start: str) -> None:
    assert fetch(shared, run, "fills", start=start).json() == fetch(shared, run, "fills").json()


def test_range_after_the_end_is_empty(shared: Serving, run: JobRecord) -> None:
    for form in ("json", "csv", "parquet"):
        response = fetch(shared, run, "fills", start="2020-01-01", format=form)
        if form == "json":
            assert (response.json()["rows"], response.json()["total"]) == ([], 0)


@pytest.mark.parametrize("start", ["yesterday", "", "9999-01-01", "2012-02-30", "\x00"])
def test_range_that_is_no_time_names_the_field(shared: Serving, run: JobRecord, start: str) -> None:
    response = shared.get(f"/backtests/{run.id}/results/fills", params={"start": start})

    assert (response.status_code, response.json()["field"]) == (422, "start")


@pytest.mark.parametrize("points", [2, 5, 20, 100])
def test_thinned_equity_keeps_ends_and_extremes(shared: Serving, run: JobRecord, points: int) -> None:
    whole = fetch(shared, run, "equity").json()
    thin = fetch(shared, run, "equity", points=points).json()

    def values(answer: dict[str, Any]) -> list[Decimal]:
        return [Decimal(row[1]) for row in answer["rows"]]

    assert len(whole["rows"]) > 100
    assert len(thin["rows"]) <= max(points, 4)
    assert thin["total"] == len(whole["rows"])
    assert [thin["rows"][0], thin["rows"][-1]] == [whole["rows"][0], whole["rows"][-1]]
    assert {min(values(whole)), max(values(whole))} <= set(values(thin))
    assert all(row in whole["rows"] for row in thin["rows"])


def test_points_of_what_is_no_line_are_refused(shared: Serving, run: JobRecord) -> None:
    response = shared.get(f"/backtests/{run.id}/results/orders", params={"points": 10})

    assert (response.status_code, response.json()["field"]) == (422, "points")


def test_metrics_are_the_run_s_own(shared: Serving, run: JobRecord) -> None:
    own = msgspec.json.decode((shared.settings.runs / run.id / "metrics.json").read_bytes())

    assert fetch(shared, run, "metrics").json() == own


def test_prices_are_read_in_a_child(shared: Serving, run: JobRecord) -> None:
    answer = fetch(shared, run, "prices", instrument_id=NAME, points=10).json()

    assert answer["instrument_id"] == NAME
    assert len(answer["columns"]["close"]) <= 10
    assert all(isinstance(c, str) for c in answer["columns"]["close"])
    assert sum(int(v) for v in answer["columns"]["volume"]) == answer["total"] * 1_000_000
    assert answer["volume_is_traded"] is False  # Bars of bids
    unknown = shared.get(f"/backtests/{run.id}/results/prices", params={"instrument_id": "X.Y"})
    assert (unknown.status_code, unknown.json()["field"]) == (404, "instrument_id")


def test_results_of_a_job_of_another_kind_or_not_ended_are_not_found(api: Serving, catalog: Path) -> None:
    walk = api.service.submit("walk", {"steps": 1_000_000}, owner="admin")
    other = api.service.submit("walk", {"steps": 1_000_000}, owner="admin")
    waiting = api.post("/backtests", json={"config": build_config(catalog)}).json()["id"]

    assert api.get(f"/backtests/{walk.id}").status_code == 404
    assert api.get(f"/backtests/{other.id}/results/equity").status_code == 404
    assert api.get(f"/backtests/{waiting}").json()["manifest"] is None
    for name in ("equity", "metrics"):
        response = api.get(f"/backtests/{waiting}/results/{name}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("job_id", ["%2e%2e", "..%2f..%2fetc", "%2fetc", "%2e", "_strategies"])
def test_directory_outside_the_runs_cannot_be_named(shared: Serving, run: JobRecord, job_id: str) -> None:
    for rest in ("", "/results/equity", "/results/metrics"):
        assert shared.get(f"/backtests/{job_id}{rest}").status_code == 404


def test_damaged_table_says_so(shared: Serving, run: JobRecord, tmp_path: Path) -> None:
    path = shared.settings.runs / run.id / "accounts.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    try:
        response = shared.get(f"/backtests/{run.id}/results/accounts")
    finally:
        path.write_bytes(content)

    assert (response.status_code, response.json()["code"]) == (500, "run_failed")


def test_strategy_schema_describes_the_fields(shared: Serving) -> None:
    response = shared.get(f"/strategies/{EMA}:EMACross/schema", user="researcher")

    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["config_path"] == f"{EMA}:EMACrossConfig"
    assert "fast_ema_period" in str(answer["schema"])


@pytest.mark.parametrize("path", ["nowhere.at.all:Nobody", f"{EMA}:Nobody", "no-path", "os:path"])
def test_strategy_that_is_none_is_refused(shared: Serving, path: str) -> None:
    assert shared.get(f"/strategies/{path}/schema").status_code in (404, 422)
