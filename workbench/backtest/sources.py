"""Strategy source: by import path, from a file, or from a class that was defined in a notebook cell."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import inspect
import linecache
import sys
import types
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.common.config import (
    NautilusConfig,
    msgspec_encoding_hook,
    resolve_config_path,
    resolve_path,
)
from nautilus_trader.config import ImportableStrategyConfig, StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from workbench.errors import ConfigError, NotFoundError

__all__ = [
    "MODULE_PREFIX",
    "SourceModule",
    "build_strategy_config",
    "capture_class",
    "capture_config_files",
    "capture_file",
    "check_strategies",
    "sources_path",
]

MODULE_PREFIX = "workbench_strategy_"


class SourceModule(msgspec.Struct, frozen=True):
    """A captured module: its name holds the hash of its text, so one name is one content."""

    name: str
    text: str

    @classmethod
    def from_text(cls, text: str) -> SourceModule:
        """Return `text` as a module named by its content."""
        return cls(MODULE_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16], text)

    def write(self, directory: Path) -> Path:
        """Write the module into `directory` and return its path; the same content is written once."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.py"
        if not path.exists():
            temporary = path.with_suffix(f".{id(self)}.tmp")
            temporary.write_text(self.text)
            temporary.replace(path)
        return path


def sources_path(runs: Path) -> Path:
    """Return where captured strategy modules are kept beside the run directories."""
    return runs / "_strategies"


def build_strategy_config(
    strategy: type[Strategy] | str,
    config: StrategyConfig | dict[str, Any],
    *,
    runs: Path,
    config_class: type[StrategyConfig] | str | None = None,
) -> ImportableStrategyConfig:
    """
    Return an importable configuration of `strategy`, capturing its source where no import path leads to it.

    Parameters
    ----------
    strategy : type[Strategy] or str
        A class (also one from a notebook cell), ``package.module:Class``, or ``path/to/file.py:Class``.
    config : StrategyConfig or dict
        Its configuration.
    runs : Path
        Where the run directories are; captured source is kept beside them.
    config_class : type or str, optional
        The configuration class, when neither `config` nor the name ``<Strategy>Config`` tells.

    Raises
    ------
    NotFoundError
        If the class cannot be found.
    ConfigError
        If it is not a strategy, or its source cannot be captured.

    """
    if isinstance(strategy, str):
        strategy_path, config_path = _resolve_names(strategy, config, config_class, runs)
    else:
        strategy_path, config_path = _resolve_class(strategy, config, config_class, runs)
    plain = _encode(config)
    _check(strategy_path, config_path, plain, runs)
    return ImportableStrategyConfig(strategy_path=strategy_path, config_path=config_path, config=plain)


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
    text = path.read_text()
    try:
        tree = ast.parse(text, str(path))
    except SyntaxError as e:
        raise ConfigError(f"{path}, line {e.lineno}: {e.msg}", expected="valid Python") from e
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        for name in names:
            beside = path.parent / name.lstrip(".").split(".")[0]
            if (
                name.startswith(".")
                or beside.with_suffix(".py").exists()
                or (beside / "__init__.py").exists()
            ):
                raise ConfigError(
                    f"{path}, line {node.lineno}: imports {name!r}, which lies beside it",
                    expected="a file that stands alone, so that the run can be repeated",
                    advice="put both into one file, or install the module and name its import path",
                )
    return SourceModule.from_text(text)


def capture_class(cls: type) -> SourceModule:
    """
    Return a module with the class and everything of the notebook that it uses.

    The module holds the class, the classes and functions from other cells that it names, their imports, and
    constants of plain types.

    Raises
    ------
    ConfigError
        If something it uses has no source, or is a value that cannot be written down.

    """
    return SourceModule.from_text(_Capture(cls).build())


class _Capture:
    """Walks from a class in ``__main__`` to all that it needs."""

    def __init__(self, cls: type) -> None:
        self._namespace = vars(sys.modules[cls.__module__])
        self._imports: dict[str, None] = {}
        self._constants: dict[str, str] = {}
        self._blocks: dict[str, str] = {}
        self._open: set[str] = set()
        self._add_object(cls.__name__, cls)

    def build(self) -> str:
        head = ["from __future__ import annotations", *sorted(self._imports)]
        constants = [f"{name} = {value}" for name, value in self._constants.items()]
        parts = ["\n".join(head), "\n".join(constants), *self._blocks.values()]
        return "\n\n\n".join(p for p in parts if p) + "\n"

    def _add_object(self, name: str, value: Any) -> None:
        if name in self._blocks or name in self._open:
            return
        self._open.add(name)
        node, text = _find_definition(name, value)
        for used in _names(node):
            if used != name and used in self._namespace and not hasattr(builtins, used):
                self._add_name(used, self._namespace[used])
        self._blocks[name] = text

    def _add_name(self, name: str, value: Any) -> None:
        module = getattr(value, "__module__", None)
        if isinstance(value, types.ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            self._imports[f"import {value.__name__}{alias}"] = None
        elif isinstance(value, type | types.FunctionType) and module == self._namespace["__name__"]:
            self._add_object(name, value)
        elif getattr(value, "__name__", None) and module and hasattr(sys.modules.get(module), value.__name__):
            alias = "" if value.__name__ == name else f" as {name}"
            self._imports[f"from {module} import {value.__name__}{alias}"] = None
        elif isinstance(value, Decimal):
            self._imports["from decimal import Decimal"] = None
            self._constants[name] = repr(value)
        elif _is_plain(value):
            self._constants[name] = repr(value)
        else:
            raise ConfigError(
                f"the strategy uses {name!r}, a {type(value).__name__} of the notebook",
                expected="classes, functions, imports, and constants of plain types",
                advice="make it a field of the strategy's config, or build it inside the strategy",
            )


def _find_definition(name: str, value: Any) -> tuple[ast.AST, str]:
    """Return the newest definition of `name` in the file or cell that `value` came from."""
    for filename in _filenames(value):
        text = "".join(linecache.getlines(filename))
        try:
            tree = ast.parse(text)
        except SyntaxError:  # A cell with magics: only plain Python can be captured
            continue
        for node in reversed(tree.body):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return node, "\n".join(text.splitlines()[start - 1 : node.end_lineno])
    raise ConfigError(
        f"the source of {name!r} cannot be found",
        expected="a class that is defined in a notebook cell without magics, or in a file",
        advice="run its cell again, or put it into a file",
    )


def _filenames(value: Any) -> Iterator[str]:
    """Yield where `value` may have been defined; a class knows it only through its functions."""
    functions = [value] if isinstance(value, types.FunctionType) else list(vars(value).values())
    for function in functions:
        function = inspect.unwrap(function) if callable(function) else function
        code = getattr(function, "__code__", None)
        if code is not None:
            yield code.co_filename
    # A class without functions, such as a config: look through the cells, the newest first.
    yield from reversed([f for f in linecache.cache if "ipykernel" in f or f.startswith("<ipython-input")])
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        yield main


def _names(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            yield child.id
        elif isinstance(child, ast.Constant) and isinstance(child.value, str) and child.value.isidentifier():
            yield child.value  # An annotation in quotes


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return all(_is_plain(v) for v in value)
    if isinstance(value, dict):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, bool | int | float | str | bytes)


def _resolve_class(
    cls: type, config: StrategyConfig | dict[str, Any], config_class: type | str | None, runs: Path
) -> tuple[str, str]:
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        raise ConfigError(f"{cls!r} is not a strategy", expected="a subclass of nautilus_trader's Strategy")
    if config_class is None and isinstance(config, NautilusConfig):
        config_class = type(config)
    if cls.__module__ != "__main__":
        name = f"{cls.__module__}:{cls.__name__}"
        return name, _config_path(config_class, f"{name}Config")
    capture = _Capture(cls)
    if isinstance(config_class, type) and config_class.__module__ == "__main__":
        capture._add_object(config_class.__name__, config_class)
    module = SourceModule.from_text(capture.build())
    module.write(sources_path(runs))
    default = f"{module.name}:{cls.__name__}Config"
    if isinstance(config_class, type) and config_class.__module__ == "__main__":
        return f"{module.name}:{cls.__name__}", f"{module.name}:{config_class.__name__}"
    return f"{module.name}:{cls.__name__}", _config_path(config_class, default)


def _resolve_names(
    strategy: str, config: Any, config_class: type | str | None, runs: Path
) -> tuple[str, str]:
    module, colon, name = strategy.rpartition(":")
    if not colon or not module or not name.isidentifier():
        raise ConfigError(
            f"{strategy!r} does not name a strategy", expected="package.module:Class or path/to/file.py:Class"
        )
    if config_class is None and isinstance(config, NautilusConfig):
        config_class = type(config)
    if module.endswith(".py"):
        captured = capture_file(Path(module))
        captured.write(sources_path(runs))
        module = captured.name
    return f"{module}:{name}", _config_path(config_class, f"{module}:{name}Config")


def _config_path(config_class: type | str | None, default: str) -> str:
    if config_class is None:
        return default
    if isinstance(config_class, str):
        return config_class if ":" in config_class else f"{default.partition(':')[0]}:{config_class}"
    return f"{config_class.__module__}:{config_class.__name__}"


def _encode(config: StrategyConfig | dict[str, Any]) -> dict[str, Any]:
    if isinstance(config, dict):
        return config
    plain: dict[str, Any] = msgspec.json.decode(config.json())
    return plain


def capture_config_files(config: BacktestRunConfig, runs: Path) -> BacktestRunConfig:
    """
    Return the configuration with every strategy that is named by file (``path/to/file.py:Class``) captured.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConfigError
        If it cannot stand alone.

    """
    if config.engine is None:
        return config
    strategies = []
    for strategy in config.engine.strategies:
        names = {}
        for field in ("strategy_path", "config_path"):
            module, _, name = getattr(strategy, field).rpartition(":")
            if module.endswith(".py"):
                captured = capture_file(Path(module))
                captured.write(sources_path(runs))
                names[field] = f"{captured.name}:{name}"
        strategies.append(msgspec.structs.replace(strategy, **names))
    engine = msgspec.structs.replace(config.engine, strategies=strategies)
    return msgspec.structs.replace(config, engine=engine)


def check_strategies(config: BacktestRunConfig, runs: Path) -> None:
    """
    Try the names and the configuration of every strategy: here the user is still looking.

    Raises
    ------
    NotFoundError
        If a strategy cannot be imported.
    ConfigError
        If it is not a strategy, or its configuration cannot be built; the message names the field.

    """
    for strategy in config.engine.strategies if config.engine is not None else []:
        _check(strategy.strategy_path, strategy.config_path, strategy.config, runs)


def _check(strategy_path: str, config_path: str, config: dict[str, Any], runs: Path) -> None:
    directory = str(sources_path(runs))
    sys.path.insert(0, directory)
    importlib.invalidate_caches()  # The module may have been written a moment ago
    try:
        strategy = resolve_path(strategy_path)
        config_class = resolve_config_path(config_path)
    except (ImportError, AttributeError, TypeError, ValueError) as e:
        raise NotFoundError(
            f"the strategy {strategy_path} with {config_path} cannot be imported: {e}",
            expected="package.module:Class or path/to/file.py:Class",
        ) from e
    finally:
        sys.path.remove(directory)
    if not (isinstance(strategy, type) and issubclass(strategy, Strategy)):
        raise ConfigError(
            f"{strategy_path} is not a strategy", expected="a subclass of nautilus_trader's Strategy"
        )
    try:
        config_class.parse(msgspec.json.encode(config, enc_hook=msgspec_encoding_hook))
    except (msgspec.MsgspecError, ValueError, TypeError) as e:
        raise ConfigError(f"{config_class.__name__}: {e}", expected="the fields of this class") from e
