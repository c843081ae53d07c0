from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment, FileSystemLoader

import workbench.ui

TEMPLATES = Path(workbench.ui.__file__).parent / "jupyter"


def test_list_of_dashboards_is_the_same_under_both_of_voilas_names() -> None:
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    content = [
        {"type": "notebook", "path": "a_b.ipynb", "name": "a_b.ipynb"},
        {"type": "directory", "path": "c", "name": "c"},
    ]
    known = {"base_url": "/", "query": "", "theme": "light", "contents": SimpleNamespace(content=content)}
    listed, classic = (
        pages.get_template(f"voila/templates/workbench/{name}.html").render(known)
        for name in ("tree-lab", "tree")
    )
    assert 'href="/voila/render/a_b.ipynb">A b</a>' in listed
    assert classic == listed
