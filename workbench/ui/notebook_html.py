"""An executed notebook as one HTML file that needs nothing: no network, no kernel, no other file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.errors import InputError, NotFoundError
from workbench.files import write_atomically
from workbench.notebook_imports import quick_imports
from workbench.ui.static import build_runtime_html
from workbench.ui.theme import load_style

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Theme", "build_notebook_html", "export_notebook_html"]

Theme = Literal["auto", "light", "dark"]

_RUNTIME = re.compile(r'<script data-wb-runtime="(\w+)">.*?</script>', re.DOTALL)
_HIDE_INPUT_TAGS = {"hide-input", "remove-input"}
_HIDE_CELL_TAGS = {"remove-cell"}
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def build_notebook_html(
    notebook: NotebookNode, *, title: str, theme: Theme = "auto", has_code: bool = True
) -> str:
    """
    Return an executed notebook as a self-contained HTML page.

    nbconvert's ``lab`` template does the cells. Its references to a CDN (RequireJS, MathJax, Mermaid, the widget
    manager) are left out, and a content security policy bars the page from the network altogether, whatever a cell put
    into its output. The style sheet and the chart runtime are written once, whichever cells hold them, so that charts
    work although cells were run again or outputs deleted. Live widgets have no static form and are left out. Formulas
    stay TeX.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The notebook, version 4; it is not changed.
    title : str
        The title of the page.
    theme : {"auto", "light", "dark"}, default "auto"
        "auto" follows the reader's system.
    has_code : bool, default True
        Whether the code of the cells is shown. Cells tagged ``hide-input`` never show theirs; cells tagged
        ``remove-cell`` are left out.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InputError
        If the theme is unknown.

    """
    with quick_imports():
        from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    if theme not in get_args(Theme):
        raise InputError(f"theme is {theme!r}", expected="auto, light or dark")
    page, runtimes = _prepare(notebook, title=title)
    folder = Path(__file__).parent
    style = (folder / "notebook.css").read_text(encoding="utf-8")
    opening, closing = {
        "auto": ("@media (prefers-color-scheme:dark){:root", "}"),
        "dark": (":root", ""),
        "light": (":root:not(*)", ""),
    }[theme]
    style = style.replace("@DARK_OPEN@", opening).replace("@DARK_CLOSE@", closing)
    is_light = {"auto": "", "light": ' data-jp-theme-light="true"', "dark": ' data-jp-theme-light="false"'}
    exporter = HTMLExporter(
        config=Config(
            TagRemovePreprocessor={
                "enabled": True,
                "remove_input_tags": _HIDE_INPUT_TAGS,
                "remove_cell_tags": _HIDE_CELL_TAGS,
            }
        ),
        raw_template=(folder / "notebook.html").read_text(encoding="utf-8"),
        exclude_input=not has_code,
    )
    resources: dict[str, Any] = {
        "workbench": {
            "style": f"{style}\n{load_style()}",
            "runtime": "".join(runtimes),
            "body": is_light[theme],
        }
    }
    text, _ = exporter.from_notebook_node(page, resources=resources)
    return str(text)


def export_notebook_html(
    notebook: Path, target: Path, *, title: str = "", theme: Theme = "auto", has_code: bool = True
) -> Path:
    """
    Write an executed notebook as one self-contained HTML file.

    Parameters
    ----------
    notebook : Path
        The executed ``.ipynb`` file.
    target : Path
        The HTML file; replaced in one step if it exists.
    title : str, optional
        The title of the page; default: the notebook's own title or file name.
    theme, has_code
        See `build_notebook_html`.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    NotFoundError
        If there is no such notebook.
    InputError
        If the file is not a notebook, or the target's folder does not exist.

    """
    with quick_imports():
        import nbformat

    if not notebook.is_file():
        raise NotFoundError(f"there is no notebook at {notebook}")
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist", advice="create it first")
    try:
        node = nbformat.read(notebook, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError) as error:
        raise InputError(
            f"{notebook} is not a notebook: {error}", expected="an executed .ipynb file"
        ) from None
    text = build_notebook_html(
        node, title=title or str(node.metadata.get("title") or notebook.stem), theme=theme, has_code=has_code
    )
    write_atomically(target, text.encode())
    return target


def _prepare(notebook: NotebookNode, *, title: str) -> tuple[NotebookNode, list[str]]:
    """Return a copy whose outputs hold neither runtimes, nor style sheets, nor live widgets; and the runtimes."""
    from copy import deepcopy

    page = deepcopy(notebook)
    page.metadata["title"] = title
    page.metadata.pop("widgets", None)
    style = f"<style>{load_style()}</style>"
    runtimes: dict[str, str] = {}
    has_chart = False
    for cell in page.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if _WIDGET_VIEW not in output.get("data", {})]
        for output in cell.outputs:
            html = output.get("data", {}).get("text/html")
            if html is None:
                continue
            text = html if isinstance(html, str) else "".join(html)
            runtimes.update((match[1], match[0]) for match in _RUNTIME.finditer(text))
            has_chart = has_chart or 'class="wb-chart"' in text
            output["data"]["text/html"] = _RUNTIME.sub("", text).replace(style, "")
    if has_chart:
        # Whatever the outputs hold: the runtime of this installation draws the charts that it made.
        current = build_runtime_html()
        runtimes.update((match[1], match[0]) for match in _RUNTIME.finditer(current))
    return page, list(runtimes.values())
