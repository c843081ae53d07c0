"""Strategies by import path, from a file, or from a class of a notebook: found, checked, and named."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.common.config import (
    NautilusConfig,
    msgspec_encoding_hook,
    resolve_path,
)
from nautilus_trader.config import ImportableStrategyConfig, StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from workbench.backtest.capture import MODULE_PREFIX, SourceModule, capture_class, capture_file
from workbench.backtest.decoding import DECODE_ERRORS, decode_config, find_field
from workbench.errors import ConfigError, NotFoundError, WorkbenchError

__all__ = [
    "MODULE_PREFIX",
    "SourceModule",
    "build_strategy_config",
    "capture_class",
    "capture_config_files",
    "capture_file",
    "check_strategies",
    "find_captured",
    "importable",
    "load_captured",
    "load_strategy",
    "naming",
    "resolve_names",
    "restore_sources",
    "sources_path",
]


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
        strategy_path, config_path = resolve_names(strategy, config, config_class, runs=runs)
    else:
        strategy_path, config_path = _resolve_class(strategy, config, config_class, runs)
    built = ImportableStrategyConfig(
        strategy_path=strategy_path, config_path=config_path, config=_encode(config)
    )
    with importable(sources_path(runs)):
        _check_strategy(built, "")
    return built


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
    if config_class is None:
        config_class = vars(sys.modules["__main__"]).get(f"{cls.__name__}Config")
    classes = [cls]
    if isinstance(config_class, type) and config_class.__module__ == "__main__":
        classes.append(config_class)
    module = capture_class(*classes)
    module.write(sources_path(runs))
    strategy_path = f"{module.name}:{cls.__name__}"
    if len(classes) > 1:
        return strategy_path, f"{module.name}:{classes[1].__name__}"
    return strategy_path, _config_path(config_class, f"{strategy_path}Config")


def resolve_names(
    strategy: str,
    config: Any = None,
    config_class: type | str | None = None,
    *,
    runs: Path,
) -> tuple[str, str]:
    """
    Return the import paths of the strategy that `strategy` names and of its configuration, captured from a file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConfigError
        If it names no strategy, or the file cannot stand alone.

    """
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
    for i, strategy in enumerate(config.engine.strategies):
        names = {}
        for field in ("strategy_path", "config_path"):
            module, _, name = getattr(strategy, field).rpartition(":")
            if module.endswith(".py"):
                with naming(f"engine.strategies.{i}.{field}"):
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
    engine = config.engine
    if engine is None:
        return
    with importable(sources_path(runs)):
        for i, strategy in enumerate(engine.strategies):
            _check_strategy(strategy, f"engine.strategies.{i}.")
        for i, actor in enumerate(engine.actors):
            _check_config(actor, "actor_path", "actor", f"engine.actors.{i}.")
        for i, algorithm in enumerate(engine.exec_algorithms):
            place = f"engine.exec_algorithms.{i}."
            _check_config(algorithm, "exec_algorithm_path", "execution algorithm", place)
        if engine.controller is not None:
            _check_config(engine.controller, "controller_path", "controller", "engine.controller.")


def find_captured(config: BacktestRunConfig) -> set[str]:
    """Return the names of the captured modules that the configuration names."""
    strategies = config.engine.strategies if config.engine is not None else []
    paths = [p for s in strategies for p in (s.strategy_path, s.config_path)]
    return {p.partition(":")[0] for p in paths if p.startswith(MODULE_PREFIX)}


def load_captured(config: BacktestRunConfig, runs: Path) -> list[SourceModule]:
    """
    Return the captured modules that the configuration names.

    Raises
    ------
    NotFoundError, ConfigError
        If one is missing, or is not what its name says.

    """
    modules = []
    for name in sorted(find_captured(config)):
        with naming("sources"):
            modules.append(SourceModule.from_captured(sources_path(runs) / f"{name}.py"))
    return modules


def restore_sources(directory: Path, runs: Path) -> None:
    """
    Put the captured strategies of the run in `directory` beside the run directories, to repeat the run.

    Raises
    ------
    ConfigError
        If one is not what its name says.

    """
    for path in sorted((directory / "strategies").glob(f"{MODULE_PREFIX}*.py")):
        SourceModule.from_captured(path).write(sources_path(runs))


@contextlib.contextmanager
def importable(directory: Path, search_path: Sequence[str] = ()) -> Iterator[None]:
    """Let the captured modules in `directory` be imported inside the block, and what is on `search_path`."""
    added = [str(directory), *(p for p in search_path if p not in sys.path)]
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(directory))
    sys.path += added[1:]
    importlib.invalidate_caches()  # A module may have been written a moment ago
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        for path in added:
            with contextlib.suppress(ValueError):  # A strategy may have taken it off
                sys.path.remove(path)


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Say which field an error inside the block is about, where it does not say so itself."""
    try:
        yield
    except WorkbenchError as e:
        e.field = e.field or field
        raise


def load_strategy(strategy_path: str, config_path: str) -> tuple[type[Strategy], type[NautilusConfig]]:
    """
    Return the classes of a strategy and of its configuration.

    Raises
    ------
    NotFoundError
        If one cannot be imported.
    ConfigError
        If they are not what they should be.

    """
    return _load_strategy(strategy_path, config_path, "")


def _load_strategy(
    strategy_path: str, config_path: str, place: str
) -> tuple[type[Strategy], type[NautilusConfig]]:
    strategy = _import(strategy_path, "strategy", f"{place}strategy_path")
    config_class = _import_config(config_path, f"{place}config_path")
    if not (isinstance(strategy, type) and issubclass(strategy, Strategy)):
        raise ConfigError(
            f"{strategy_path} is not a strategy",
            expected="a subclass of nautilus_trader's Strategy",
            field=f"{place}strategy_path",
        )
    return strategy, config_class


def _check_strategy(strategy: ImportableStrategyConfig, place: str) -> None:
    _, config_class = _load_strategy(strategy.strategy_path, strategy.config_path, place)
    _decode(config_class, strategy.config, place)


def _check_config(importable_config: Any, field: str, what: str, place: str) -> None:
    """Try an importable configuration of another component."""
    _import(getattr(importable_config, field), what, f"{place}{field}")
    config_class = _import_config(importable_config.config_path, f"{place}config_path")
    _decode(config_class, importable_config.config, place)


def _decode(config_class: type[NautilusConfig], config: dict[str, Any], place: str) -> None:
    try:
        decode_config(config_class, msgspec.json.encode(config, enc_hook=msgspec_encoding_hook))
    except DECODE_ERRORS as e:
        raise ConfigError(
            f"{config_class.__name__}: {e}",
            expected="the fields of this class",
            field=find_field(e, f"{place}config"),
        ) from e


def _import(path: str, what: str, field: str) -> Any:
    try:
        return resolve_path(path)
    except Exception as e:  # Somebody's module may raise anything while it is imported
        lines = str(e).splitlines() or [""]
        raise NotFoundError(
            f"the {what} {path} cannot be imported: {type(e).__name__}: {lines[0]}",
            expected="package.module:Class or path/to/file.py:Class",
            field=field,
        ) from e


def _import_config(path: str, field: str) -> type[NautilusConfig]:
    found = _import(path, "configuration", field)
    if not (isinstance(found, type) and issubclass(found, NautilusConfig)):
        raise ConfigError(
            f"{path} is not a configuration",
            expected="a subclass of nautilus_trader's config classes",
            field=field,
        )
    return found
