"""What holds for the project as a whole: its lock, its public names, its imports, its command line."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workbench"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What `from package import name` may name; the rest is imported from its module.
PUBLIC = {
    "workbench": [
        "ActiveRun",
        "Client",
        "Job",
        "Limits",
        "Run",
        "WorkbenchError",
        "Worker",
        "__version__",
        "build_fill_model",
        "build_risk_gate",
        "build_run_config",
        "build_strategy_config",
        "capture_strategy",
        "connect",
        "load_prices",
        "load_run",
        "load_run_config",
        "load_settings",
        "run_backtest",
        "start_backtest",
    ],
    "workbench.analysis": [],
    "workbench.api": [],
    "workbench.backtest": [],
    "workbench.catalog": [],
    "workbench.cli": [],
    "workbench.client": [],
    "workbench.gate": [],
    "workbench.jobs": [],
    "workbench.live": [],
    "workbench.sizing": ["PositionSizer", "Sizing", "SizingMethod"],
    "workbench.store": ["JobPage", "JobQuery", "Store"],
    "workbench.store.migrations": [],
    "workbench.store.migrations.versions": [],
    "workbench.ui": [
        "AccountsTable",
        "BacktestConfiguration",
        "BacktestResults",
        "BacktestRunner",
        "Columns",
        "EngineConfiguration",
        "EngineControlPanel",
        "EngineStatusIndicator",
        "EquityCurveChart",
        "FillsTable",
        "LogTable",
        "MonthlyReturns",
        "NautilusEngineManager",
        "OrdersTable",
        "PositionsTable",
        "PriceChart",
        "Report",
        "ResourceMonitor",
        "RunComparison",
        "RunProgress",
        "RunView",
        "Slot",
        "SweepView",
        "build_run_view",
        "export_notebook_html",
        "read_address",
        "show_runtime",
    ],
    "workbench.ui.jupyter": [],
}
# Parts of nautilus that run an engine, and who may import them.
ENGINES = ("backtest", "cache", "execution", "live", "portfolio", "risk", "system", "trading")
ENGINE_PACKAGES = {"backtest", "gate", "live", "sizing"}


def _load_project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _load_lock() -> list[str]:
    """Return the entries of the lock, continued lines joined."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _locked() -> dict[str, Requirement]:
    entries = [Requirement(re.split(r"\s+--hash", line)[0]) for line in _load_lock()]
    return {canonicalize_name(r.name): r for r in entries}


def _version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    return pin.version


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _exports(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return None


_REGISTRARS = {"command", "delete", "get", "patch", "post", "put", "websocket"}


def _is_registered(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether it is a command of a group or a route of a router: reached through that, not by name."""
    return any(
        isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and d.func.attr in _REGISTRARS
        for d in node.decorator_list
    )


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _commands(command: click.Command, path: str = "workbench") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(child, f"{path} {name}")


COMMANDS = dict(_commands(cli))


def test_lock_entries_are_exact_hashed_and_without_address() -> None:
    entry = re.compile(r"[\w.-]+==[\w.]+( ; [^\\#@/]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")

    odd = [line[:80] for line in _load_lock() if not entry.fullmatch(line)]

    assert odd == []
    assert "/" not in (ROOT / "requirements.lock").read_text()


def test_lock_satisfies_every_range_of_the_project() -> None:
    project = _load_project()
    ranges = [
        *project["project"]["dependencies"],
        *itertools.chain(*project["project"]["optional-dependencies"].values()),
        *project["build-system"]["requires"],
    ]
    locked = _locked()

    unmet = [
        r
        for r in map(Requirement, ranges)
        if r.name != project["project"]["name"]  # Its own extras
        and not r.specifier.contains(_version(locked[canonicalize_name(r.name)]))
    ]

    assert unmet == []


def test_environment_holds_the_locked_set() -> None:
    environment = {**default_environment(), "extra": ""}
    wanted = {
        n: _version(r) for n, r in _locked().items() if r.marker is None or r.marker.evaluate(environment)
    }
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions()}

    assert {n: installed.get(n) for n in wanted} == wanted, "run `make env`"


def test_conda_environment_ends_with_the_locked_set() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = (ROOT / ".python-version").read_text().strip()

    assert environment["dependencies"] == [f"python={python}", "pip", {"pip": ["-r requirements.lock"]}]


def test_python_search_and_project_agree_on_versions() -> None:
    project = _load_project()["project"]
    search = (ROOT / "tools" / "find-python").read_text()
    low, high = re.search(r"\((3, \d+)\) <= version\[:2\] < \((3, \d+)\)", search).groups()  # type: ignore[union-attr]

    assert project["requires-python"] == f">={low.replace(', ', '.')},<{high.replace(', ', '.')}"
    assert metadata.version("nautilus-workbench") == importlib.import_module("workbench").__version__


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=_name)
def test_module_exports_its_public_names_sorted(path: Path) -> None:
    tree = ast.parse(path.read_text())
    exports = _exports(tree)
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not _is_registered(node)
    }

    assert exports is not None, "a module names what is public in __all__"
    assert exports == sorted(exports, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert {n for n in defined if not n.startswith("_")} <= set(exports), (
        "a public name is missing in __all__"
    )


@pytest.mark.parametrize("package", sorted({_name(p) for p in MODULES if p.name == "__init__.py"}))
def test_package_exports_what_is_listed_here(package: str) -> None:
    module = importlib.import_module(package)

    assert getattr(module, "__all__", []) == PUBLIC[package]
    assert all(hasattr(module, name) for name in PUBLIC[package])


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_has_a_noun_for_a_name(path: Path) -> None:
    assert not {"utils", "helpers", "common", "core", "manager"} & set(_name(path).split("."))


def test_engine_of_nautilus_is_imported_by_the_runs_only() -> None:
    engines = tuple(f"nautilus_trader.{name}" for name in ENGINES)

    found = {
        _name(path): name
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] not in ENGINE_PACKAGES
        for name in _imports(ast.parse(path.read_text()))
        if name.startswith(engines)
    }

    assert found == {}


@pytest.mark.parametrize(
    "statement",
    [
        "import workbench",
        "import workbench.cli.main",
        "import workbench.config, workbench.records",
        "import workbench.ui",
    ],
)
def test_import_of_the_package_is_light(statement: str) -> None:
    heavy = {
        "IPython", "alembic", "bokeh", "distributed", "fastapi", "httpx", "nautilus_trader", "numpy", "optuna",
        "pandas", "panel", "psycopg", "pyarrow", "sqlalchemy", "websockets",
    }  # fmt: skip
    heavy |= {"alembic", "fastapi", "httpx", "sqlalchemy", "uvicorn", "websockets"}
    program = f"import sys; {statement}; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert heavy & set(loaded.split()) == set()


def test_server_knows_neither_nautilus_nor_pandas() -> None:
    program = "import sys; import workbench.api.server, workbench.backtest.sweep_kind; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert {"nautilus_trader", "pandas", "optuna", "distributed"} & set(loaded.split()) == set()


@pytest.mark.parametrize("path", COMMANDS)
def test_command_has_help_for_itself_and_every_option(path: str) -> None:
    command = COMMANDS[path]
    options = [p for p in command.params if isinstance(p, click.Option)]

    assert command.help, "a command says what it does"
    assert [o.name for o in options if not o.help] == []


def test_files_of_the_project_hold_no_path_of_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone: there is no list of the project's files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    # Home directories, this clone, and whatever lies beside it. "<name>" may stand in a text for people.
    paths = re.compile(rf"(?<![\w.])(/home/\w+|/Users/\w+|/roo[t]/\w*|{re.escape(str(ROOT.parent))}/)")

    found = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and (match := paths.search(path.read_text(errors="replace"))):
            found[name] = match.group()

    assert found == {}
