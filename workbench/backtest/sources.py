"""Strategies by import path, from a file, or from a class of a notebook: found, checked, and named."""

from __future__ import annotations

import contextlib
import importlib
import sys
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
from workbench.backtest.decoding import DECODE_ERRORS, decode_config
from workbench.errors import ConfigError, NotFoundError

__all__ = [
    "MODULE_PREFIX",
    "SourceModule",
    "build_strategy_config",
    "capture_class",
    "capture_config_files",
    "capture_file",
    "check_strategies",
    "find_captured",
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
        strategy_path, config_path = _resolve_names(strategy, config, config_class, runs)
    else:
        strategy_path, config_path = _resolve_class(strategy, config, config_class, runs)
    plain = _encode(config)
    _check(strategy_path, config_path, plain, runs)
    return ImportableStrategyConfig(strategy_path=strategy_path, config_path=config_path, config=plain)


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
    if config.engine is None:
        return
    for strategy in config.engine.strategies:
        _check(strategy.strategy_path, strategy.config_path, strategy.config, runs)
    for actor in config.engine.actors:
        _resolve(actor.actor_path, actor.config_path, runs, "actor")
    for algorithm in config.engine.exec_algorithms:
        _resolve(algorithm.exec_algorithm_path, algorithm.config_path, runs, "execution algorithm")


def find_captured(config: BacktestRunConfig) -> set[str]:
    """Return the names of the captured modules that the configuration names."""
    strategies = config.engine.strategies if config.engine is not None else []
    paths = [p for s in strategies for p in (s.strategy_path, s.config_path)]
    return {p.partition(":")[0] for p in paths if p.startswith(MODULE_PREFIX)}


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


def _check(strategy_path: str, config_path: str, config: dict[str, Any], runs: Path) -> None:
    strategy, config_class = _resolve(strategy_path, config_path, runs, "strategy")
    if not (isinstance(strategy, type) and issubclass(strategy, Strategy)):
        raise ConfigError(
            f"{strategy_path} is not a strategy", expected="a subclass of nautilus_trader's Strategy"
        )
    try:
        decode_config(config_class, msgspec.json.encode(config, enc_hook=msgspec_encoding_hook))
    except DECODE_ERRORS as e:
        raise ConfigError(f"{config_class.__name__}: {e}", expected="the fields of this class") from e


def _resolve(path: str, config_path: str, runs: Path, what: str) -> tuple[Any, Any]:
    """Import what the two paths name, with the captured modules on the path."""
    directory = str(sources_path(runs))
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, directory)
    importlib.invalidate_caches()  # The module may have been written a moment ago
    try:
        found, config_class = resolve_path(path), resolve_path(config_path)
    except Exception as e:  # Somebody's module may raise anything while it is imported
        lines = str(e).splitlines() or [""]
        raise NotFoundError(
            f"the {what} {path} with {config_path} cannot be imported: {type(e).__name__}: {lines[0]}",
            expected="package.module:Class or path/to/file.py:Class",
        ) from e
    finally:
        sys.dont_write_bytecode = writes_bytecode
        with contextlib.suppress(ValueError):
            sys.path.remove(directory)
    if not (isinstance(config_class, type) and issubclass(config_class, NautilusConfig)):
        raise ConfigError(
            f"{config_path} is not a configuration", expected="a subclass of nautilus_trader's config classes"
        )
    return found, config_class
