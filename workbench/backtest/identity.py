"""The identity of a run: equal code, configuration and data have equal hashes."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.config import BacktestRunConfig

from workbench import __version__
from workbench.backtest.configuration import normalise_run_config
from workbench.backtest.datasets import Dataset, hash_data
from workbench.records import Identity

__all__ = ["build_identity", "collect_versions"]

_PACKAGES = ("nautilus_trader", "numpy", "pandas", "pyarrow")


def collect_versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    own = {"python": platform.python_version(), "nautilus-workbench": __version__}
    return {**own, **{name: version(name) for name in _PACKAGES}}


def build_identity(config: BacktestRunConfig, dataset: Dataset, versions: dict[str, str]) -> Identity:
    """Return the hashes over code, configuration and data, and the one over all three."""
    plain = normalise_run_config(config)
    code = _hash_code(plain)
    settings = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    data = hash_data(config, dataset)
    engine = f"{versions['nautilus_trader']}/{versions['nautilus-workbench']}"
    run = hashlib.sha256(f"{engine}\n{code}\n{settings}\n{data}".encode()).hexdigest()
    return Identity(run=run, code=code, config=settings, data=data)


def _hash_code(plain: dict[str, Any]) -> str:
    """Hash the source of every module that the configuration names (``package.module:Class``)."""
    digest = hashlib.sha256()
    for module in sorted(_modules(plain)):
        source = inspect.getsourcefile(importlib.import_module(module))
        digest.update(f"{module}\n".encode())
        if source is not None and Path(source).is_file():
            digest.update(Path(source).read_bytes())
    return digest.hexdigest()


def _modules(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {
            text.partition(":")[0]
            for key, text in value.items()
            if key.endswith("_path") and isinstance(text, str) and ":" in text
        }
        return found.union(*(_modules(v) for v in value.values()))
    if isinstance(value, list):
        return set().union(*(_modules(v) for v in value))
    return set()
