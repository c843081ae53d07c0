"""What trials are counted by: which strategies, on which data, whatever the parameters and the range."""

from __future__ import annotations

import hashlib

from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.model.data import Bar

from workbench.backtest.capture import MODULE_PREFIX
from workbench.backtest.datasets import find_identifiers

__all__ = ["describe_dataset", "describe_lineage"]

_MAX_LENGTH = 200


def describe_lineage(config: BacktestRunConfig) -> str:
    """
    Return the classes of the strategies, such as ``package.module:Class``, joined by ``+``.

    Of a captured strategy it is the name of the class alone: its module is named by its text, and a strategy
    that was changed a little is the same one tried again.
    """
    strategies = config.engine.strategies if config.engine is not None else []
    return "+".join(sorted(_name(s.strategy_path) for s in strategies))


def describe_dataset(config: BacktestRunConfig) -> str:
    """Return the bar types, or ``<instrument_id>@<data type>`` of ticks, joined by ``,``; long ones by a hash."""
    names: set[str] = set()
    for data in config.data:
        kind = data.data_type
        names.update(i if kind is Bar else f"{i}@{kind.__name__}" for i in find_identifiers(data))
    text = ",".join(sorted(names))
    if len(text) <= _MAX_LENGTH:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: _MAX_LENGTH - len(digest) - 4]}...#{digest}"


def _name(path: str) -> str:
    module, _, name = path.rpartition(":")
    is_captured = module.startswith(MODULE_PREFIX) or module.endswith(".py")
    return name if is_captured else path
