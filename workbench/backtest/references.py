"""How a strategy is named to somebody who does not have this process's memory: a path, and captured source."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from workbench.backtest.capture import SourceModule, capture_class, capture_file
from workbench.errors import ConfigError

__all__ = ["StrategySource", "capture_strategy"]


class StrategySource(msgspec.Struct, frozen=True, kw_only=True):
    """
    A strategy as it can be sent.

    Attributes
    ----------
    strategy_path, config_path : str
        ``module:Class``; the configuration is empty where ``<Class>Config`` beside the strategy is meant.
    sources : dict[str, str]
        The text of the captured modules by name; empty where an import path leads to the strategy.

    """

    strategy_path: str
    config_path: str = ""
    sources: dict[str, str] = {}


def capture_strategy(strategy: type | str, config_class: type | str | None = None) -> StrategySource:
    """
    Return a strategy by its name, with its source captured where no import path leads to it.

    Nautilus is not imported, and neither is the strategy.

    Parameters
    ----------
    strategy : type or str
        A class (also one from a notebook cell), ``package.module:Class``, or ``path/to/file.py:Class``.
    config_class : type or str, optional
        The configuration class, where its name is not ``<Strategy>Config``.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConfigError
        If it names no strategy, or its source cannot be captured.

    """
    if isinstance(strategy, str):
        return _capture_named(strategy, config_class)
    if strategy.__module__ != "__main__":
        return StrategySource(
            strategy_path=f"{strategy.__module__}:{strategy.__qualname__}", config_path=_name(config_class)
        )
    namespace = vars(sys.modules["__main__"])
    if not isinstance(config_class, type):
        config_class = namespace.get(config_class or f"{strategy.__name__}Config", config_class)
    is_mine = isinstance(config_class, type) and config_class.__module__ == "__main__"
    module = capture_class(strategy, config_class) if is_mine else capture_class(strategy)  # type: ignore[arg-type]
    config_path = f"{module.name}:{config_class.__name__}" if is_mine else _name(config_class)  # type: ignore[union-attr]
    return _build(module, strategy.__name__, config_path)


def _capture_named(strategy: str, config_class: type | str | None) -> StrategySource:
    place, colon, name = strategy.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise ConfigError(
            f"{strategy!r} does not name a strategy",
            expected="package.module:Class or path/to/file.py:Class",
            field="path",
        )
    if not place.endswith(".py"):
        return StrategySource(strategy_path=strategy, config_path=_name(config_class))
    return _build(capture_file(Path(place)), name, _name(config_class))


def _build(module: SourceModule, name: str, config_path: str) -> StrategySource:
    return StrategySource(
        strategy_path=f"{module.name}:{name}", config_path=config_path, sources={module.name: module.text}
    )


def _name(config_class: type | str | None) -> str:
    if isinstance(config_class, type):
        return f"{config_class.__module__}:{config_class.__name__}"
    return config_class or ""
