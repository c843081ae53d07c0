"""Every error has one shape, whoever found it."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import httpx
import pytest

from tests.api.serving import Serving
from workbench import errors
from workbench.api.problems import Problem, build_problem, build_response
from workbench.client.problems import build_problem_error
from workbench.errors import ConfirmationRequiredError, WorkbenchError

KINDS = [k for name in errors.__all__ if isinstance(k := getattr(errors, name), type)]
STATUSES = {
    "AuthenticationError": 401,
    "CatalogError": 500,
    "ConfigError": 422,
    "ConfirmationRequiredError": 409,
    "ConflictError": 409,
    "DataError": 422,
    "ExistsError": 409,
    "ForbiddenError": 403,
    "InputError": 422,
    "NotFoundError": 404,
    "RunError": 500,
    "ServerError": 503,
    "StartError": 409,
    "StoreError": 503,
    "WorkbenchError": 500,
    "WorkerError": 503,
}
MEMBERS = set(Problem.__struct_fields__)


def check(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code"} <= set(problem) <= MEMBERS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(code)
    return problem


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_error_of_the_tree_reaches_the_client_as_itself(kind: type[WorkbenchError]) -> None:
    parts = [kind(f"wrong {n}", expected="right", advice="mend it", field=f"data.{n}") for n in range(2)]
    error = kind(
        "it is so", expected="it otherwise", advice="do this", field="data.0.catalog_path", errors=parts
    )

    response = build_response(error)
    rebuilt = build_problem_error(response.status_code, bytes(response.body))

    assert response.status_code == STATUSES[kind.__name__]
    assert type(rebuilt) is kind
    assert (str(rebuilt), rebuilt.field) == (str(error), error.field)
    assert [(str(e), e.field) for e in rebuilt.errors] == [(str(e), e.field) for e in parts]


def test_risks_and_token_reach_the_client() -> None:
    error = ConfirmationRequiredError("look", risks={"lines": ["a"], "orders": []}, confirm_token="t")

    response = build_response(error)
    rebuilt = build_problem_error(response.status_code, bytes(response.body))

    assert isinstance(rebuilt, ConfirmationRequiredError)
    assert (rebuilt.risks, rebuilt.confirm_token) == (error.risks, "t")
    again = pickle.loads(pickle.dumps(rebuilt))
    assert (again.risks, again.confirm_token, str(again)) == (error.risks, "t", "look")
    odd = build_problem_error(409, b'{"code": "confirmation_required", "detail": "d", "risks": 7}')
    assert isinstance(odd, ConfirmationRequiredError)
    assert (odd.risks, odd.confirm_token) == ({}, "")


def test_error_nobody_foresaw_is_logged_by_a_reference_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="workbench.api"):
        problem = build_problem(ZeroDivisionError("a secret of the server"))

    assert (problem.status, problem.code) == (500, "internal_error")
    assert "secret" not in str(problem)
    assert problem.reference in caplog.text
    assert "a secret of the server" in caplog.text


def test_error_nobody_foresaw_in_a_route_is_a_problem(
    shared: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a secret of the server")

    monkeypatch.setattr(shared.service, "describe_resources", fail)

    with caplog.at_level(logging.ERROR, logger="workbench.api"):
        problem = check(shared.get("/jobs/resources"), 500, "internal_error")

    assert "secret" not in str(problem)
    assert problem["reference"] in caplog.text


def test_unknown_route_is_a_problem(shared: Serving) -> None:
    check(shared.get("/nowhere"), 404, "not_found")
    check(shared.get("/jobs/"), 404, "not_found")


def test_unknown_method_is_a_problem(shared: Serving) -> None:
    response = shared.request("DELETE", "/jobs")

    check(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


def test_unknown_record_is_a_problem(shared: Serving) -> None:
    assert "nothing" in check(shared.get("/jobs/nothing"), 404, "not_found")["detail"]


def test_wrong_query_names_every_wrong_field(shared: Serving) -> None:
    problem = check(
        shared.get("/jobs", params={"limit": "0", "offset": "x", "state": "DONE", "colour": "red"}),
        422,
        "input_invalid",
    )

    assert {e["field"] for e in problem["errors"]} == {"limit", "offset", "state.0", "colour"}
    assert problem["field"] == problem["errors"][0]["field"]
    assert all(e["message"] for e in problem["errors"])


def test_wrong_body_names_every_wrong_field_and_repeats_no_value(shared: Serving) -> None:
    body = {"config": "hunter2", "sources": {"a": 1}, "limits": {"memory_bytes": -1}, "extra": 1}

    response = shared.post("/backtests", json=body)

    problem = check(response, 422, "input_invalid")
    assert {e["field"] for e in problem["errors"]} == {"config", "sources.a", "limits.memory_bytes", "extra"}
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 422, "input_invalid"),
        (b"[]", 422, "input_invalid"),
        (b"", 422, "input_invalid"),
        (b'"\xff"', 400, "body_unreadable"),
        (b"[" * 100_000, 400, "body_unreadable"),
    ],
)
def test_body_that_is_no_json_object_is_a_problem(
    shared: Serving, content: bytes, status: int, code: str
) -> None:
    response = shared.post(
        "/backtests/preview", content=content, headers={"Content-Type": "application/json"}
    )

    assert check(response, status, code).get("field", "body") == "body"


@pytest.mark.parametrize("value", ['"\\ud800"', "1" + "0" * 30, "-1" + "0" * 30])
def test_value_that_no_child_could_be_sent_is_a_problem(shared: Serving, value: str) -> None:
    content = f'{{"config": {{"x": {value}}}}}'.encode()

    response = shared.post(
        "/backtests/preview", content=content, headers={"Content-Type": "application/json"}
    )

    assert check(response, 422, "input_invalid")["field"] == "config"


def test_wrong_sort_names_the_ones_there_are(shared: Serving) -> None:
    problem = check(shared.get("/jobs", params={"sort": "colour"}), 422, "input_invalid")

    assert problem["field"] == "sort"
    assert "created_at" in problem["expected"]


def test_table_that_is_none_is_not_found(shared: Serving) -> None:
    assert check(shared.get("/backtests/x/results/colours"), 404, "not_found")["field"] == "table"
