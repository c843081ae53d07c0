"""Problem details: every error of the tree comes back as what it was."""

from __future__ import annotations

import json

import pytest

from workbench.client.problems import build_problem_error
from workbench.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    ServerError,
    WorkbenchError,
)


@pytest.mark.parametrize("kind", [ConflictError, ForbiddenError, NotFoundError, ServerError])
def test_problem_with_known_code_is_the_error_itself(kind: type[WorkbenchError]) -> None:
    problem = {
        "detail": "d",
        "code": kind.code,
        "expected": "e",
        "advice": "a",
        "field": "data.0",
        "status": 400,
    }

    error = build_problem_error(400, json.dumps(problem).encode())

    assert type(error) is kind
    assert (error.message, error.expected, error.advice, error.field) == ("d", "e", "a", "data.0")


def test_all_wrong_fields_of_a_problem_are_errors_of_the_error() -> None:
    errors = [{"field": "a", "message": "m", "expected": "e", "advice": "d"}, {"field": "b", "message": "n"}]
    problem = {"detail": "m", "code": "config_invalid", "field": "a", "errors": [*errors, 7, {}]}

    error = build_problem_error(422, json.dumps(problem).encode())

    assert [(e.field, e.message, e.expected, e.advice) for e in error.errors] == [
        ("a", "m", "e", "d"),
        ("b", "n", "", ""),
    ]
    assert {type(e) for e in error.errors} == {type(error)}


@pytest.mark.parametrize(
    ("status", "content", "kind", "words"),
    [
        (502, b"<html>Bad Gateway</html>", ServerError, "answered 502: <html>Bad Gateway"),
        (500, b"", ServerError, "answered 500: without a reason"),
        (500, b"\xff\xfe", ServerError, "answered 500"),
        (413, b'{"code": "body_too_large", "detail": "too many bytes"}', InputError, "413: too many bytes"),
        (404, b'{"code": "not_found"}', InputError, "answered 404"),
        (500, b'["code"]', ServerError, "answered 500"),
    ],
)
def test_answer_that_is_no_known_problem_says_what_came(
    status: int, content: bytes, kind: type[WorkbenchError], words: str
) -> None:
    error = build_problem_error(status, content)

    assert type(error) is kind
    assert words in str(error)


def test_long_page_of_a_proxy_is_cut() -> None:
    assert len(str(build_problem_error(502, b"x" * 100_000))) < 400
