"""Capture strategy source that no import path leads to: a file, or a class from a notebook cell."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.metadata
import inspect
import linecache
import math
import symtable
import sys
import tokenize
import types
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ConfigError, NotFoundError, RunError
from workbench.files import write_atomically

__all__ = ["MODULE_PREFIX", "SourceModule", "capture_class", "capture_file"]

MODULE_PREFIX = "workbench_strategy_"


class SourceModule(msgspec.Struct, frozen=True):
    """A captured module: its name holds the hash of its text, so one name is one content."""

    name: str
    text: str

    @classmethod
    def from_text(cls, text: str) -> SourceModule:
        """Return `text` as a module named by its content."""
        return cls(MODULE_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16], text)

    @classmethod
    def from_captured(cls, path: Path) -> SourceModule:
        """
        Return the captured module in the file `path`.

        Raises
        ------
        NotFoundError
            If there is no such file.
        ConfigError
            If it is not what its name says.

        """
        try:
            module = cls.from_text(path.read_bytes().decode())
        except OSError as e:
            raise NotFoundError(
                f"the captured strategy {path} cannot be read: {e.strerror}",
                advice="build the strategy config again, or restore it from the run directory",
            ) from e
        except UnicodeDecodeError:
            module = cls("", "")
        if module.name != path.stem:
            raise ConfigError(
                f"the captured strategy {path} was changed after it was captured",
                expected="the text that its name is a hash of",
                advice="change the strategy where it came from, and build its config again",
            )
        return module

    def write(self, directory: Path) -> Path:
        """
        Write the module into `directory` and return its path; the same content is written once.

        Raises
        ------
        RunError
            If it cannot be written.

        """
        path = directory / f"{self.name}.py"
        content = self.text.encode()
        try:
            if not (path.is_file() and path.read_bytes() == content):  # One that was changed is put right
                write_atomically(path, content)
        except OSError as e:
            raise RunError(f"{path} cannot be written: {e.strerror}", advice="free some space") from e
        return path


def capture_file(path: Path) -> SourceModule:
    """
    Return the Python file at `path` as a module.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConfigError
        If it is not valid Python, or imports a module that lies beside it: that would not be captured.

    """
    if not path.is_file():
        raise NotFoundError(f"there is no strategy file {path}", expected="path/to/file.py:Class")
    try:
        with tokenize.open(path) as file:
            text = file.read()
        tree = ast.parse(text, str(path))
    except SyntaxError as e:
        line = "" if e.lineno is None else f", line {e.lineno}"
        raise ConfigError(f"{path}{line}: {e.msg}", expected="valid Python") from e
    except (OSError, UnicodeDecodeError, ValueError) as e:
        raise ConfigError(f"{path} cannot be read: {e}", expected="a text file with Python") from e
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        for name in names:
            if name.startswith(".") or _lies_beside(name, path.parent):
                raise ConfigError(
                    f"{path}, line {node.lineno}: imports {name!r}, which lies beside it",
                    expected="a file that stands alone, so that the run can be repeated",
                    advice="put both into one file, or install the module and name its import path",
                )
    return SourceModule.from_text(text)


def capture_class(*classes: type) -> SourceModule:
    """
    Return a module with the classes and everything of the notebook that they use.

    The module holds the classes, the classes and functions from other cells that they name, their imports,
    and constants of plain types.

    Raises
    ------
    ConfigError
        If something they use has no source, or is a value that cannot be written down.

    """
    capture = _Capture(vars(sys.modules[classes[0].__module__]))
    for cls in classes:
        capture.add_object(cls.__name__, cls)
    return SourceModule.from_text(capture.build())


class _Capture:
    """Walks from a class in ``__main__`` to all that it needs."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._imports: dict[str, None] = {}
        self._constants: dict[str, str] = {}
        self._blocks: dict[str, str] = {}
        self._open: set[str] = set()

    def build(self) -> str:
        head = ["from __future__ import annotations", *sorted(self._imports)]
        constants = [f"{name} = {value}" for name, value in sorted(self._constants.items())]
        parts = ["\n".join(head), "\n".join(constants), *self._blocks.values()]
        return "\n\n\n".join(p for p in parts if p) + "\n"

    def add_object(self, name: str, value: Any) -> None:
        """Add a class or a function, behind all that it needs."""
        if name in self._open:
            return
        self._open.add(name)
        node, text = _find_definition(value.__name__, value)
        for used in sorted(_find_globals(node, text)):
            if used in self._namespace and not _is_builtin(used, self._namespace[used]):
                self._add_name(used, self._namespace[used], node)
        if name != value.__name__:  # Used under another name
            self.add_object(value.__name__, value)
            text = f"{name} = {value.__name__}"
        self._blocks[name] = text

    def _add_name(self, name: str, value: Any, node: ast.AST) -> None:
        module = getattr(value, "__module__", None)
        if isinstance(value, types.ModuleType):
            self._add_module(name, value, node)
        elif isinstance(value, type | types.FunctionType) and module == self._namespace["__name__"]:
            self.add_object(name, value)
        elif _is_importable(value, module):
            self._refuse_beside(name, str(module))
            alias = "" if value.__name__ == name else f" as {name}"
            self._imports[f"from {module} import {value.__name__}{alias}"] = None
        elif (statement := _find_import(name, value)) is not None:
            self._refuse_beside(name, statement.split()[1])
            self._imports[statement] = None
        elif (text := _write_constant(value)) is not None:
            if "Decimal(" in text:
                self._imports["from decimal import Decimal"] = None
            self._constants[name] = text
        else:
            raise ConfigError(
                f"the strategy uses {name!r}, a {type(value).__name__} of the notebook",
                expected="classes, functions, imports, and constants of plain types",
                advice="make it a field of the strategy's config, or build it inside the strategy",
            )

    def _add_module(self, name: str, module: types.ModuleType, node: ast.AST) -> None:
        self._refuse_beside(name, module.__name__)
        if module.__name__ != name:
            self._imports[f"import {module.__name__} as {name}"] = None
            return
        self._imports[f"import {name}"] = None
        # `import a.b` binds only `a`: what is used tells which submodules were meant.
        for path in _find_chains(node, name):
            while path not in sys.modules:
                path = path.rpartition(".")[0]
            if path != name:
                self._imports[f"import {path}"] = None

    @staticmethod
    def _refuse_beside(name: str, module: str) -> None:
        if _lies_beside(module, Path.cwd()):
            raise ConfigError(
                f"the strategy uses {name!r} of the module {module!r}, which lies beside the notebook",
                expected="a notebook that stands alone, so that the run can be repeated",
                advice="define it in the notebook, or install the module",
            )


def _lies_beside(module: str, directory: Path) -> bool:
    """Return whether the module is a file of `directory` that nobody has installed."""
    root = module.partition(".")[0]
    beside = directory / root
    if not (beside.with_suffix(".py").exists() or (beside / "__init__.py").exists()):
        return False
    return root not in importlib.metadata.packages_distributions()


def _find_definition(name: str, value: Any) -> tuple[ast.AST, str]:
    """Return the newest definition of `name` in the file or cell that `value` came from."""
    for filename in _filenames(value):
        text = "".join(linecache.getlines(filename))
        try:
            tree = ast.parse(text)
        except SyntaxError:  # A cell with magics: only plain Python can be captured
            continue
        for node in reversed(tree.body):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return node, "\n".join(text.splitlines()[start - 1 : node.end_lineno])
    raise ConfigError(
        f"the source of {name!r} cannot be found",
        expected="a class that is defined in a notebook cell without magics, or in a file",
        advice="run its cell again, or put it into a file",
    )


def _find_import(name: str, value: Any) -> str | None:
    """
    Return the ``from`` statement of a cell that bound `name` to `value`.

    A value that does not know where it comes from, such as a type alias or a constant, is found by the
    statement that imported it.
    """
    for filename in _cells():
        try:
            tree = ast.parse("".join(linecache.getlines(filename)))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
                continue
            for alias in node.names:
                bound = getattr(sys.modules.get(node.module), alias.name, None)
                if (alias.asname or alias.name) == name and bound is value:
                    suffix = "" if alias.asname is None else f" as {alias.asname}"
                    return f"from {node.module} import {alias.name}{suffix}"
    return None


def _cells() -> Iterator[str]:
    """Yield the file names under which cells are kept, the last run first, then the script if there is one."""
    main = sys.modules.get("__main__")
    # A cell that is run again keeps its file name and its place in the cache: the history tells the order.
    ran = {text.strip(): i for i, text in enumerate(getattr(main, "In", ()))}
    names = [f for f in linecache.cache if "ipykernel" in f or f.startswith("<ipython-input")]
    names.reverse()
    yield from sorted(names, key=lambda f: -ran.get("".join(linecache.getlines(f)).strip(), -1))
    main = getattr(main, "__file__", None)
    if main:
        yield main


def _filenames(value: Any) -> Iterator[str]:
    """Yield where `value` may have been defined; a class knows it only through its functions."""
    functions = [value] if isinstance(value, types.FunctionType) else list(vars(value).values())
    for function in functions:
        function = inspect.unwrap(function) if callable(function) else function
        code = getattr(function, "__code__", None)
        if code is not None and getattr(function, "__module__", None) == value.__module__:
            yield code.co_filename
    # A class without functions, such as a config: look through the cells.
    yield from _cells()


def _find_globals(node: ast.AST, text: str) -> set[str]:
    """Return the names that the definition takes from outside itself; its locals are none of them."""
    found: set[str] = set()
    tables = [symtable.symtable(text, "<captured>", "exec")]
    is_top = True
    while tables:
        table = tables.pop()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (is_top or symbol.is_global()):
                found.add(symbol.get_name())
        is_top = False
        tables += table.get_children()
    for child in ast.walk(node):
        for note in (getattr(child, "annotation", None), getattr(child, "returns", None)):
            if isinstance(note, ast.AST):
                found |= _find_annotated(note)
    return found - {getattr(node, "name", "")}


def _find_annotated(note: ast.AST) -> set[str]:
    """Return the names in an annotation, also in one that is written as text."""
    found: set[str] = set()
    for child in ast.walk(note):
        if isinstance(child, ast.Name):
            found.add(child.id)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            try:
                found |= _find_annotated(ast.parse(child.value, mode="eval"))
            except SyntaxError:  # The text of a Literal
                continue
    return found


def _find_chains(node: ast.AST, name: str) -> set[str]:
    """Return the attribute chains of `name` in the definition, such as ``numpy.linalg.norm``."""
    found: set[str] = set()
    for child in ast.walk(node):
        parts: list[str] = []
        while isinstance(child, ast.Attribute):
            parts.append(child.attr)
            child = child.value
        if isinstance(child, ast.Name) and child.id == name:
            found.add(".".join([name, *reversed(parts)]))
    return found


def _is_importable(value: Any, module: str | None) -> bool:
    name = getattr(value, "__name__", None)
    return (
        isinstance(name, str)
        and isinstance(module, str)
        and module != "__main__"
        and getattr(sys.modules.get(module), name, None) is value
    )


def _is_builtin(name: str, value: Any) -> bool:
    """Return whether `name` means what it means everywhere, and not something that the notebook put there."""
    if not hasattr(builtins, name):
        return False
    # IPython wraps `open`, and has its own `exit` and `quit`.
    is_same = inspect.unwrap(value) is getattr(builtins, name) if callable(value) else False
    return is_same or type(value).__module__.partition(".")[0] in ("IPython", "ipykernel")


def _write_constant(value: Any) -> str | None:
    """Return Python that makes `value`, or ``None`` if it is not of a plain type."""
    kind = type(value)  # Exactly: an enum's integer is not written as a number
    if kind is Decimal:
        return repr(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or value is ... or kind in (bool, int, float, str, bytes):
        return repr(value)
    if kind is dict:
        pairs = [(_write_constant(k), _write_constant(v)) for k, v in value.items()]
        return (
            None
            if any(None in pair for pair in pairs)
            else "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
        )
    if kind in (list, tuple, set, frozenset):
        items = list(value)
        if kind in (set, frozenset):
            items.sort(key=repr)  # In an order that is the same everywhere: the text is hashed
        texts = [_write_constant(item) for item in items]
        if any(text is None for text in texts):
            return None
        inner = ", ".join(str(text) for text in texts)
        return f"[{inner}]" if kind is list else f"{kind.__name__}([{inner}])"
    return None
