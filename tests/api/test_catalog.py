"""Datasets and their coverage over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Serving, serving
from tests.backtest.tiny import BID, ROWS, add_bars, build_catalog, prices

DIRECTORY = BID.replace("/", "")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, catalog: Path) -> Iterator[Serving]:
    """Return a server of a workspace with a default catalog, and one of the same name beside it."""
    workspace = tmp_path_factory.mktemp("catalogs")
    shutil.copytree(catalog, workspace / "catalog")
    shutil.copytree(catalog, workspace / "catalogs" / "catalog")
    (workspace / "catalogs" / "notes").mkdir()
    with serving(workspace, slots=1) as parts:
        yield parts


def count_questions(api: Serving, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with what the child is asked."""
    asked: list[str] = []
    ask = api.service.ask

    def note(task: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        asked.append(task)
        return ask(task, *args, **kwargs)

    monkeypatch.setattr(api.service, "ask", note)
    return asked


def test_datasets_of_all_catalogs_are_listed_the_default_one_first(stocked: Serving) -> None:
    items = stocked.get("/catalog/datasets", user="viewer").json()["items"]

    assert [(i["catalog"], i["is_default"]) for i in items] == [
        ("catalog", True),
        ("catalog", True),
        ("catalog~2", False),
        ("catalog~2", False),
    ]
    assert items[1]["identifier"] == BID
    assert items[1]["id"] == f"catalog/bars/{DIRECTORY}"
    assert items[1]["catalog_path"] == str(stocked.settings.catalog)
    assert items[1]["instrument"]["quote_currency"] == "USD"


def test_coverage_is_found_by_the_id_of_a_dataset(stocked: Serving) -> None:
    for item in stocked.get("/catalog/datasets").json()["items"]:
        found = stocked.get(f"/catalog/datasets/{item['id']}/coverage", params={"bins": 12}).json()
        assert (found["id"], found["rows"], sum(found["bins"]["rows"])) == (item["id"], ROWS, ROWS)
        assert len(found["bins"]["start_ms"]) == 12
        assert "poor" in found["rule"]


def test_answers_are_kept_until_the_catalog_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_catalog(tmp_path / "catalog")
    with serving(tmp_path, slots=1) as api:
        asked = count_questions(api, monkeypatch)
        addresses = ["/catalog/datasets", f"/catalog/datasets/catalog/bars/{DIRECTORY}/coverage"]
        for address in addresses * 3:
            assert api.get(address).status_code == 200
        assert len(asked) == 2

        api.get(addresses[1], params={"bins": 7})
        assert len(asked) == 3

        more = prices(rows=ROWS + 60)
        add_bars(tmp_path / "catalog", more.iloc[ROWS:])
        assert api.get(addresses[0]).json()["items"][1]["rows"] == ROWS + 60
        assert api.get(addresses[1]).json()["rows"] == ROWS + 60


def test_workspace_without_data_has_no_datasets(shared: Serving) -> None:
    assert shared.get("/catalog/datasets").json() == {"items": []}


@pytest.mark.parametrize(
    "name", ["nothing/bars/x", "catalog/bars/x", "catalog/books/x", "catalog/bars/..", "catalog/bars/%2e%2e"]
)
def test_coverage_of_nothing_is_not_found(stocked: Serving, name: str) -> None:
    response = stocked.get(f"/catalog/datasets/{name}/coverage")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_number_of_bins_is_bounded(stocked: Serving) -> None:
    response = stocked.get(f"/catalog/datasets/catalog/bars/{DIRECTORY}/coverage", params={"bins": 2_001})

    assert (response.status_code, response.json()["field"]) == (422, "bins")
