"""Lists and steering over HTTP, with jobs that really run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.serving import Serving
from tests.jobs.walks import wait_for, wait_until
from workbench.records import JobRecord
from workbench.roles import Role
from workbench.states import JobState

S = JobState
LONG = {"steps": 1_000_000}


def submit(api: Serving, spec: dict[str, Any], *, owner: str = "researcher", name: str = "") -> JobRecord:
    return api.service.submit("walk", spec, owner=owner, name=name)


def test_list_is_filtered_sorted_and_paged(api: Serving) -> None:
    names = ["list a", "list b", "list c"]
    for steps, name in enumerate(names, 1):
        wait_for(api.service, submit(api, {"steps": steps}, name=name).id)

    def find(**query: Any) -> tuple[list[str], int]:
        page = api.get("/jobs", params={"text": "list", **query}).json()
        return [job["name"] for job in page["items"]], page["total"]

    assert find(sort="-total_return") == (names[::-1], 3)
    assert find(sort="name", limit=1, offset=1) == (["list b"], 3)
    assert find(state=["COMPLETED", "FAILED"], owner="researcher")[1] == 3
    assert find(state="FAILED") == ([], 0)
    assert find(kind="backtest") == ([], 0)


def test_job_is_returned_whole_with_its_progress(api: Serving) -> None:
    job = submit(api, LONG)
    wait_for(api.service, job.id, S.RUNNING)

    found = api.get(f"/jobs/{job.id}").json()

    assert (found["id"], found["state"], found["owner"]) == (job.id, "RUNNING", "researcher")
    assert found["spec"]["steps"] == 1_000_000


def test_trace_of_a_job_at_work_is_its_equity_so_far(api: Serving) -> None:
    job = submit(api, LONG)
    wait_until(lambda: len(api.service.find_trace(job.id).points) > 1)

    trace = api.get(f"/jobs/{job.id}/trace", user="viewer").json()

    assert trace["currency"] == "USD"
    assert trace["points"][0] == [1, "1.00"]
    api.post(f"/jobs/{job.id}/cancel")
    wait_for(api.service, job.id)
    assert api.get(f"/jobs/{job.id}/trace").json() == {"points": [], "currency": ""}
    assert api.get("/jobs/nothing/trace").status_code == 404


def test_job_is_paused_inspected_resumed_and_cancelled(api: Serving) -> None:
    job = submit(api, LONG)
    wait_for(api.service, job.id, S.RUNNING)

    assert api.get(f"/jobs/{job.id}/inspection").status_code == 409
    assert api.post(f"/jobs/{job.id}/pause", user="researcher").status_code == 202
    wait_for(api.service, job.id, S.PAUSED)
    assert api.get("/jobs/resources").json()["paused"] == 1
    inspection = api.get(f"/jobs/{job.id}/inspection", user="viewer").json()
    assert inspection["positions"][0]["quantity"].isdigit()
    assert api.post(f"/jobs/{job.id}/resume", user="researcher").status_code == 202
    wait_for(api.service, job.id, S.RUNNING)
    assert api.post(f"/jobs/{job.id}/cancel", user="researcher").status_code == 202

    assert wait_for(api.service, job.id).state == S.CANCELLED
    again = api.post(f"/jobs/{job.id}/cancel", user="researcher")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_job_of_somebody_else_is_steered_by_an_admin_alone(api: Serving, verb: str) -> None:
    job = submit(api, LONG, owner="somebody")
    wait_for(api.service, job.id, S.RUNNING)

    refused = api.post(f"/jobs/{job.id}/{verb}", user="researcher")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert api.service.get(job.id).state == S.RUNNING
    expected = 409 if verb == "resume" else 202
    assert api.post(f"/jobs/{job.id}/{verb}", user="admin").status_code == expected


def test_requeue_makes_a_new_job_for_whoever_asks(api: Serving) -> None:
    job = submit(api, {"steps": 2}, owner="somebody", name="again")
    wait_for(api.service, job.id)

    response = api.post(f"/jobs/{job.id}/requeue", user="researcher")

    assert response.status_code == 201
    new = response.json()
    assert (new["requeued_from"], new["owner"], new["name"]) == (job.id, "researcher", "again")
    assert wait_for(api.service, new["id"]).state == S.COMPLETED


def test_requeue_of_a_job_at_work_is_a_conflict(api: Serving) -> None:
    job = submit(api, LONG)

    assert api.post(f"/jobs/{job.id}/requeue", user="researcher").status_code == 409


def test_reindex_is_for_an_admin_and_finds_what_is_there(api: Serving) -> None:
    job = submit(api, {"steps": 1})
    wait_for(api.service, job.id)

    assert api.post("/jobs/reindex", json={"rebuild": True}, user=Role.RESEARCHER.value).status_code == 403
    response = api.post("/jobs/reindex", json={"rebuild": True})

    assert response.status_code == 200
    assert response.json()["added"] >= 1
    assert api.get(f"/jobs/{job.id}").json()["state"] == "COMPLETED"
