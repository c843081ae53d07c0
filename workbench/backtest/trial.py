"""A trial: nautilus's own engine, built as the run would build it, before anything is started."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestEngineConfig, BacktestRunConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.node import BacktestNode, get_instrument_ids
from nautilus_trader.common.config import ActorFactory
from nautilus_trader.config import LoggingConfig
from nautilus_trader.execution.config import ExecAlgorithmFactory
from nautilus_trader.trading.config import StrategyFactory

from workbench.errors import ConfigError, InputError

__all__ = ["try_engine"]

# Parts of the engine that have a configuration of their own.
_PARTS = (
    "cache",
    "data_engine",
    "risk_engine",
    "exec_engine",
    "portfolio",
    "emulator",
    "catalogs",
    "controller",
)


def try_engine(config: BacktestRunConfig) -> None:
    """
    Build the engine of the run, start its venues, and make its strategies; no data are read, no strategy starts.

    What nautilus refuses only while it builds an engine is found here: a leverage below one, two strategies
    with one id, a constructor that raises. It takes some milliseconds. Everything that the configuration names
    must have been imported and decoded before, with care: nautilus takes less.

    Raises
    ------
    ConfigError
        If nautilus, or a constructor, refuses the configuration.

    """
    trial = _strip(config)
    with warnings.catch_warnings(action="ignore"):  # Of nautilus itself
        error = _find_error(lambda: _build(trial))
        if error is not None:
            raise ConfigError(
                f"nautilus refuses the configuration: {_describe(error)}",
                expected="a configuration from which nautilus can build an engine",
                field=_find_place(trial),
            ) from error
        _make_components(config, trial)


def _strip(config: BacktestRunConfig) -> BacktestRunConfig:
    """Return the configuration without what acts, writes or calls somebody."""
    engine = config.engine or BacktestEngineConfig()
    cache = engine.cache and msgspec.structs.replace(engine.cache, database=None)
    return msgspec.structs.replace(
        config,
        engine=msgspec.structs.replace(
            engine,
            cache=cache,
            message_bus=None,
            streaming=None,
            actors=[],
            strategies=[],
            exec_algorithms=[],
            load_state=False,
            save_state=False,
            logging=LoggingConfig(bypass_logging=True),
        ),
        # As the run does it: see `execute`
        data=[msgspec.structs.replace(d, data_cls=d.data_type) for d in config.data],
        raise_exception=True,
        dispose_on_completion=False,
    )


def _build(config: BacktestRunConfig) -> None:
    node = BacktestNode([config])
    try:
        node.build()
        for engine in node.get_engines():
            engine.run(start=config.start, end=config.end)  # The accounts are made here
    finally:
        node.dispose()


def _find_error(act: Callable[[], Any]) -> BaseException | None:
    try:
        act()
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - constructors are anybody's code, and compiled code panics
        return e
    return None


def _find_place(trial: BacktestRunConfig) -> str:
    """Return which part of the configuration it is: the smallest that is refused by itself."""
    replace = msgspec.structs.replace
    empty = replace(trial, venues=[], data=[])
    if _find_error(lambda: _build_engine(trial)) is not None:
        default = BacktestEngineConfig()
        for part in _PARTS:
            mended = replace(empty, engine=replace(trial.engine, **{part: getattr(default, part)}))
            if _find_error(lambda mended=mended: _build_engine(mended)) is None:  # type: ignore[misc]
                return f"engine.{part}"
        return "engine"
    for i, venue in enumerate(trial.venues):
        alone = replace(empty, venues=[venue])
        if _find_error(lambda alone=alone: _build(alone)) is not None:  # type: ignore[misc]
            return f"venues.{i}"
    names = [v.name for v in trial.venues]
    for data in trial.data:
        alone = replace(trial, data=[data])
        if _find_error(lambda alone=alone: _build(alone)) is not None:  # type: ignore[misc]
            # The venue does not take the instrument, for the kind of its account
            return f"venues.{names.index(get_instrument_ids(data)[0].venue.value)}.account_type"
    return "engine"


def _build_engine(config: BacktestRunConfig) -> None:
    BacktestEngine(config=config.engine).dispose()


def _make_components(config: BacktestRunConfig, trial: BacktestRunConfig) -> None:
    if config.engine is None:
        return
    engine = BacktestEngine(config=trial.engine)
    kinds: dict[str, tuple[Callable[[Any], Any], Callable[[Any], None]]] = {
        "actors": (ActorFactory.create, engine.add_actor),
        "strategies": (StrategyFactory.create, engine.add_strategy),
        "exec_algorithms": (ExecAlgorithmFactory.create, engine.add_exec_algorithm),
    }
    try:
        for name, (make, add) in kinds.items():
            for i, component in enumerate(getattr(config.engine, name)):
                error = _find_error(lambda: add(make(component)))  # noqa: B023 - called at once
                if isinstance(error, InputError) and error.field:  # It says itself which value it is
                    raise ConfigError(
                        error.message,
                        expected=error.expected,
                        advice=error.advice,
                        field=f"engine.{name}.{i}.config.{error.field}",
                    ) from error
                if error is not None:
                    raise ConfigError(
                        f"{name} {i} cannot be made: {_describe(error)}{_locate(error)}",
                        expected="values that its constructor accepts",
                        field=f"engine.{name}.{i}.config",
                    ) from error
    finally:
        engine.dispose()


def _locate(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _describe(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    if "single-currency CASH account" in text:
        text = f"{text[: text.index('(')]}...: leave base_currency out of a CASH venue that trades currencies"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
