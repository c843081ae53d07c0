from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from workbench.errors import InputError, NotFoundError
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.notebook_html import build_notebook_html, export_notebook_html
from workbench.ui.static import build_runtime_html
from workbench.ui.theme import load_style


def _notebook(*outputs: dict[str, Any]) -> nbformat.NotebookNode:
    cells = [
        nbformat.v4.new_code_cell("1 + 1", outputs=[nbformat.v4.new_output("display_data", data=data)])
        for data in outputs
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title $x$"), *cells])


def test_build_notebook_html_runtime_and_style_are_written_once(equity: pd.DataFrame) -> None:
    html = EquityCurveChart(equity, "USD").to_html()
    page = build_notebook_html(_notebook({"text/html": html}, {"text/html": html}), title="T")
    assert page.count("data-wb-runtime=") == 1
    assert page.count(load_style()) == 1
    assert page.count('class="wb-chart"') == 2


def test_build_notebook_html_output_with_runtime_deleted_gets_it_back(equity: pd.DataFrame) -> None:
    html = EquityCurveChart(equity, "USD").to_html().replace(build_runtime_html(), "")
    assert build_runtime_html() in build_notebook_html(_notebook({"text/html": html}), title="T")


def test_build_notebook_html_without_charts_carries_no_runtime() -> None:
    page = build_notebook_html(_notebook({"text/html": "<b>x</b>"}), title="T <b>")
    assert "data-wb-runtime" not in page
    assert len(page) < 60_000
    assert "<title>T &lt;b&gt;</title>" in page


def test_build_notebook_html_refers_to_nothing_outside() -> None:
    page = build_notebook_html(_notebook({"text/plain": "2"}), title="T")
    for word in ("cdnjs", "cloudflare", "jsdelivr", "unpkg", "require.min.js", "MathJax.js", "mermaid.esm"):
        assert word not in page
    assert "default-src 'none'" in page


def test_build_notebook_html_live_widgets_are_left_out() -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "HBox(children=())"}
    assert "HBox" not in build_notebook_html(_notebook(view), title="T")


def test_build_notebook_html_given_notebook_is_not_changed(equity: pd.DataFrame) -> None:
    notebook = _notebook({"text/html": EquityCurveChart(equity, "USD").to_html()})
    before = nbformat.writes(notebook)
    build_notebook_html(notebook, title="T")
    assert nbformat.writes(notebook) == before


def test_build_notebook_html_code_hides_where_asked() -> None:
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell("first_secret", metadata={"tags": ["hide-input"]}),
        nbformat.v4.new_code_cell("second_secret", metadata={"tags": ["remove-cell"]}),
        nbformat.v4.new_code_cell("shown_name"),
    ])  # fmt: skip
    page = build_notebook_html(notebook, title="T")
    assert "secret" not in page
    assert "shown_name" in page
    assert "shown_name" not in build_notebook_html(notebook, title="T", has_code=False)


def test_build_notebook_html_unknown_theme_raises() -> None:
    with pytest.raises(InputError, match="auto, light or dark"):
        build_notebook_html(_notebook(), title="T", theme="sepia")  # type: ignore[arg-type]


def test_export_notebook_html_writes_the_page_in_place_of_an_older_one(tmp_path: Path) -> None:
    source, target = tmp_path / "a.ipynb", tmp_path / "a.html"
    nbformat.write(_notebook({"text/plain": "2"}), source)
    target.write_text("old")
    assert export_notebook_html(source, target) == target
    assert "<title>a</title>" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.ipynb"]


def test_export_notebook_html_missing_notebook_raises(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.ipynb"):
        export_notebook_html(tmp_path / "none.ipynb", tmp_path / "x.html")


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_export_notebook_html_not_a_notebook_raises_and_writes_nothing(tmp_path: Path, text: str) -> None:
    source = tmp_path / "a.ipynb"
    source.write_text(text)
    with pytest.raises(InputError, match="not a notebook"):
        export_notebook_html(source, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_export_notebook_html_missing_folder_raises(tmp_path: Path) -> None:
    source = tmp_path / "a.ipynb"
    nbformat.write(_notebook(), source)
    with pytest.raises(InputError, match="does not exist"):
        export_notebook_html(source, tmp_path / "no" / "x.html")
