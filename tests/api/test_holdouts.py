"""A sealed range over HTTP: sealed, refused, used, counted, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Serving
from tests.api.test_backtests import build_config
from tests.jobs.walks import wait_for
from workbench.states import JobState

PLACE = "engine.strategies.0.config.fast_ema_period"


def preview(api: Serving, catalog: Path) -> dict[str, Any]:
    answer = api.post("/backtests/preview", json={"config": build_config(catalog)}, user="researcher")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def seal(api: Serving, catalog: Path) -> Iterator[dict[str, Any]]:
    """Return a seal over the last moment of the data; it is broken afterwards."""
    found = preview(api, catalog)
    body = {"dataset": found["dataset"], "start": found["end"], "end": "2262-01-01"}
    answer = api.post("/holdouts", json=body, user="researcher")
    assert answer.status_code == 201, answer.text
    yield answer.json()
    assert api.request("DELETE", "/holdouts", params={"dataset": found["dataset"]}).status_code == 204
    assert api.get("/holdouts").json() == {"items": []}


def test_seal_is_listed_for_everybody_and_stands_once(
    api: Serving, catalog: Path, seal: dict[str, Any]
) -> None:
    end = preview(api, catalog)["end"]

    again = api.post("/holdouts", json={name: seal[name] for name in ("dataset", "start", "end")})

    assert (seal["start"], seal["end"]) == (end, "2262-01-01T00:00:00.000000000Z")
    assert seal["sealed_by"] == "researcher"
    assert api.get("/holdouts", user="viewer").json() == {"items": [seal]}
    assert (again.status_code, again.json()["code"]) == (409, "exists")


def test_backtest_that_touches_the_seal_is_refused_until_it_says_that_it_uses_it(
    api: Serving, catalog: Path, seal: dict[str, Any]
) -> None:
    body = {"config": build_config(catalog), "name": "a look"}
    jobs = api.get("/jobs").json()["total"]
    used = preview(api, catalog)["holdout"]["uses"]

    refused = api.post("/backtests", json=body, user="researcher")

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (422, "config_invalid", "config.end")
    assert seal["start"] in problem["detail"]
    assert "use_holdout" in problem["advice"]
    assert api.get("/jobs").json()["total"] == jobs
    assert preview(api, catalog)["touches_holdout"]

    taken = api.post("/backtests", json={**body, "use_holdout": True}, user="researcher")

    assert taken.status_code == 201, taken.text
    job = wait_for(api.service, taken.json()["id"])
    assert (job.state, job.spec["use_holdout"]) == (JobState.COMPLETED, True)
    assert preview(api, catalog)["holdout"]["uses"] == used + 1

    again = api.post(f"/jobs/{job.id}/requeue", user="admin").json()

    assert again["spec"]["use_holdout"] is True
    uses = api.get("/holdouts/uses", params={"dataset": seal["dataset"]}, user="viewer").json()["items"]
    assert {(u["job_id"], u["user"]) for u in uses} >= {(job.id, "researcher"), (again["id"], "admin")}
    assert api.get("/holdouts").json()["items"][0]["uses"] == used + 2 == len(uses)


def test_backtest_that_ends_before_the_seal_runs(api: Serving, catalog: Path, seal: dict[str, Any]) -> None:
    start = preview(api, catalog)["start"]
    body = {"config": build_config(catalog), "overrides": {"start": start, "end": start}}

    shown = api.post("/backtests/preview", json=body).json()
    job = api.post("/backtests", json=body, user="researcher")

    assert (shown["holdout"]["start"], shown["touches_holdout"]) == (seal["start"], False)
    assert job.status_code == 201, job.text
    assert "use_holdout" not in job.json()["spec"]


@pytest.mark.parametrize("flag", [False, True])
def test_sweep_never_looks(api: Serving, catalog: Path, seal: dict[str, Any], flag: bool) -> None:
    body = {
        "backtest": {"config": build_config(catalog), "use_holdout": flag},
        "search": {"space": {"kind": "grid", "grid": {PLACE: [2, 3]}}},
    }

    shown = api.post("/sweeps/preview", json=body)
    refused = api.post("/sweeps", json=body, user="researcher")

    assert shown.status_code == 200, shown.text
    assert shown.json()["touches_holdout"]
    assert (refused.status_code, refused.json()["field"]) == (422, "config.end")
    assert api.get("/sweeps").json()["total"] == 0


def test_range_that_is_none_is_refused_and_named(api: Serving) -> None:
    body = {"dataset": "somewhere", "start": "2012-02-06", "end": "2012-02-05"}

    backwards = api.post("/holdouts", json=body)
    wordy = api.post("/holdouts", json={**body, "start": "soon"})

    assert (backwards.status_code, backwards.json()["field"]) == (422, "end")
    assert (wordy.status_code, wordy.json()["field"]) == (422, "start")


def test_seal_that_does_not_stand_cannot_be_broken_and_only_an_admin_breaks_one(
    api: Serving, seal: dict[str, Any]
) -> None:
    missing = api.request("DELETE", "/holdouts", params={"dataset": "nothing"})
    mine = api.request("DELETE", "/holdouts", params={"dataset": seal["dataset"]}, user="researcher")

    assert (missing.status_code, mine.status_code) == (404, 403)
    assert api.get("/holdouts").json() == {"items": [seal]}
    assert api.get("/holdouts/uses", params={"dataset": "nothing"}).json() == {"items": []}
    assert api.get("/holdouts/uses").status_code == 422
