from __future__ import annotations

from typing import Any

import pytest

from tests.api.serving import Serving


def body(**more: Any) -> dict[str, Any]:
    return {"backtest": {"config": {}}, "search": {"space": {"kind": "grid", "grid": {"a": [1]}}}, **more}


@pytest.mark.parametrize("route", ["/sweeps", "/sweeps/preview"])
@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (body(search={"space": {"kind": "dice"}}), "search.space.kind"),
        (body(parallel=0), "parallel"),
        (body(), "backtest.venues"),
    ],
)
def test_post_wrong_sweep_names_the_field(api: Serving, route: str, wish: dict[str, Any], field: str) -> None:
    answer = api.post(route, json=wish)

    assert answer.status_code == 422
    problem = answer.json()
    fields = [problem["field"], *(e["field"] for e in problem.get("errors") or [])]
    assert any(field in f for f in fields), problem


def test_get_sweep_of_another_kind_is_not_found(api: Serving) -> None:
    assert api.get("/sweeps/nothing").status_code == 404
    assert api.get("/sweeps").json() == {"items": [], "total": 0}
