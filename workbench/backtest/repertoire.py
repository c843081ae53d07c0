"""What is done in a child for the server: which strategies there are to choose from."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench.backtest.capture import MODULE_PREFIX
from workbench.errors import NotFoundError
from workbench.jobs.control import Control

__all__ = ["find_workspace_file", "list_strategies"]

_EXAMPLES = "nautilus_trader.examples.strategies"
_ROOT = "Strategy"
_OTHER_CORE = (
    "nautilus_pyo3"  # Its strategies are of another class of the same name, which no backtest here takes
)
_MAX_RUNS = 200
_MAX_FILE_BYTES = 1_000_000


def list_strategies(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return the strategies that a form can offer; their source is read, and nothing is imported.

    Parameters
    ----------
    spec : dict
        ``strategies``: the directory of the workspace's own files; ``runs``: the run directories.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``items``: for each strategy with a configuration class of its own ``path``, ``name``, ``config_path``,
        ``doc``, ``origin`` (``nautilus``, ``workspace`` or ``captured``) and, for captured ones, ``used_by``:
        the latest run.

    """
    items = [
        *_list_files(Path(spec["strategies"])),
        *_list_captured(Path(spec["runs"])),
        *_list_examples(),
    ]
    return {"items": items}


def find_workspace_file(strategies: Path, module: str) -> Path:
    """
    Return the file of the workspace's own that `module` names, such as ``mine.py``.

    Raises
    ------
    NotFoundError
        If there is none; it must lie in `strategies` itself.

    """
    path = strategies / module
    if Path(module).name != module or not path.is_file():
        known = ", ".join(p.name for p in sorted(strategies.glob("*.py")))
        raise NotFoundError(
            f"the workspace has no strategy file {module}", expected=f"one of {known or 'none'}", field="path"
        )
    return path


def _list_files(directory: Path) -> Iterator[dict[str, str]]:
    for path in sorted(directory.glob("*.py")):
        yield from _read_file(path, path.name, "workspace")


def _list_examples() -> Iterator[dict[str, str]]:
    package = importlib.util.find_spec(_EXAMPLES)
    for place in (package and package.submodule_search_locations) or []:
        for path in sorted(Path(place).glob("*.py")):
            yield from _read_file(path, f"{_EXAMPLES}.{path.stem}", "nautilus")


def _list_captured(runs: Path) -> Iterator[dict[str, str]]:
    """Yield the captured strategies of the latest runs, the latest first, each once."""
    seen: set[str] = set()
    for directory in _find_latest(runs):
        for strategy_path, config_path in _read_names(directory / "config.json"):
            module, _, name = strategy_path.partition(":")
            file = directory / "strategies" / f"{module}.py"
            if strategy_path in seen or not module.startswith(MODULE_PREFIX) or not file.is_file():
                continue
            seen.add(strategy_path)
            doc = next((_summarise(c) for c in _parse(file) if c.name == name), "")
            yield {
                "path": strategy_path,
                "name": name,
                "config_path": config_path,
                "doc": doc,
                "origin": "captured",
                "used_by": directory.name,
            }


def _find_latest(runs: Path) -> list[Path]:
    """Return the latest directories that hold captured strategies; a job's id begins with its time."""
    try:
        with os.scandir(runs) as entries:
            names = sorted((e.name for e in entries if not e.name.startswith(("_", "."))), reverse=True)
    except OSError:  # There was no run yet
        return []
    return [runs / name for name in names[:_MAX_RUNS] if (runs / name / "strategies").is_dir()]


def _read_names(path: Path) -> list[tuple[str, str]]:
    try:
        config = msgspec.json.decode(path.read_bytes())
        return [(s["strategy_path"], s["config_path"]) for s in config["engine"]["strategies"]]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):  # A directory of something else
        return []


def _read_file(path: Path, module: str, origin: str) -> Iterator[dict[str, str]]:
    """Yield the classes that come from `Strategy` and have a configuration of their name beside them."""
    classes = {c.name: c for c in _parse(path)}
    for name, node in classes.items():
        if _is_strategy(node, classes) and f"{name}Config" in classes:
            yield {
                "path": f"{module}:{name}",
                "name": name,
                "config_path": f"{module}:{name}Config",
                "doc": _summarise(node),
                "origin": origin,
                "used_by": "",
            }


def _parse(path: Path) -> list[ast.ClassDef]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return []
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # Half written: it is not offered until it is whole
        return []
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if any(_OTHER_CORE in (i.module or "") and _ROOT in [a.name for a in i.names] for i in imports):
        return []
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def _is_strategy(node: ast.ClassDef, classes: dict[str, ast.ClassDef], depth: int = 0) -> bool:
    for base in node.bases:
        name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        if name == _ROOT:
            return True
        if name in classes and depth < len(classes) and _is_strategy(classes[name], classes, depth + 1):
            return True
    return False


def _summarise(node: ast.ClassDef) -> str:
    doc = inspect.cleandoc(ast.get_docstring(node) or "")
    return " ".join(doc.partition("\n\n")[0].split())
