"""The OpenAPI document is true: whatever is sent, the answer is one that it promises, and never a 5xx."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.engine_hosts import hosting
from tests.api.serving import Serving, build_settings, listening
from tests.api.test_backtests import build_config
from tests.jobs.walks import wait_for
from workbench import api
from workbench.api.app import build_app
from workbench.roles import Role

COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# The routes need no service to be described.
DOCUMENT = build_app(None, None, build_settings(Path("nowhere"))).state.context.document  # type: ignore[arg-type]
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]


@pytest.fixture(scope="module")
def address(shared: Serving) -> Iterator[str]:
    with listening(shared.app) as place:
        yield f"http://{place}"


@pytest.fixture(scope="module")
def engines(shared: Serving) -> Iterator[None]:
    """Run two engines: what is sent to them must not start processes."""
    with tempfile.TemporaryDirectory(prefix="wb") as runtime, contextlib.ExitStack() as stack:
        for name in ("default", "subject"):
            stack.enter_context(hosting(shared.settings.engines, Path(runtime), name))
        yield


@pytest.fixture(scope="module")
def names(shared: Serving, catalog: Path, engines: None) -> dict[str, str]:
    """Return values of path parameters that name something."""
    job = shared.post("/backtests", json={"config": build_config(catalog)}).json()
    wait_for(shared.service, job["id"])
    shared.add_user("subject", Role.VIEWER)
    found = {"job_id": job["id"], "name": "subject", "table": "equity"}
    return {**found, "client_order_id": "O-1", "position_id": "P-1", "preset": "sandbox-replay"}


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda m: m.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.label)
def test_answer_is_one_that_the_document_promises(
    shared: Serving, address: str, names: dict[str, str], operation: Any, mode: GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {shared.tokens['admin']}"}

    @settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def check(case: Any, is_known: bool) -> None:
        if is_known:
            for name in set(names) & set(case.path_parameters or {}):
                case.path_parameters[name] = names[name]
        response = case.call(base_url=address, headers=headers)
        case.validate_response(response, checks=CHECKS, headers=headers)

    check()


def test_document_needs_a_token_and_is_what_is_served(shared: Serving) -> None:
    served = shared.get("/api/v1/openapi.json", user="viewer").json()

    assert shared.get("/api/v1/openapi.json", user=None).status_code == 401
    assert served == DOCUMENT
    assert len(OPERATIONS) > 20


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.label)
def test_operation_documents_itself_and_its_problems(operation: Any) -> None:
    definition = DOCUMENT["paths"][operation.path][operation.method]

    assert definition["description"].endswith(".")
    problems = {status for status in definition["responses"] if status >= "400"}
    assert {"401", "403", "422", "500", "503"} <= problems
    for status in problems:
        assert list(definition["responses"][status]["content"]) == ["application/problem+json"]
    if "requestBody" in definition:
        assert {"400", "413"} <= problems


def test_answers_of_two_routes_never_share_a_name() -> None:
    """The document knows a type by its name alone: of two of one name it would describe one for both."""
    found = Counter(
        kind.__name__
        for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}.")
        for kind in vars(importlib.import_module(module.name)).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.name
    )
    assert [name for name, count in found.items() if count > 1] == []
