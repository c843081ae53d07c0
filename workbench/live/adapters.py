"""Nautilus's adapters by name: where their configurations and factories are, and how far each was tried here."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from workbench.live.presets import Trial

__all__ = ["Adapter", "AdapterKind", "list_adapters"]

_PACKAGE = "nautilus_trader.adapters"
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_CONFIG = re.compile(r"(?P<name>\w+?)(?P<kind>Data|Exec)ClientConfig")
# The one that was tried in a test, by its own fields alone.
_PARSED = "binance"
_TRIED = "A test has nautilus's adapter take a configuration; no order has left this machine."
_UNTRIED = "Never run against the venue."


class AdapterKind(StrEnum):
    """What a client is for: data, or orders."""

    DATA = "data"
    EXEC = "exec"


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One client that an engine can have.

    Attributes
    ----------
    name, title : str
        What its client is called in a configuration by default, and for people.
    kind : AdapterKind
        What it is for.
    path, factory : str
        Where its configuration and its factory are: ``package.module:Class``.
    trial : Trial
        How far it was tried.
    tried : str
        The same in words.

    """

    name: str
    title: str
    kind: AdapterKind
    path: str
    factory: str
    trial: Trial
    tried: str


_OWN = (
    Adapter(
        name="REPLAY",
        title="Replay of a catalog",
        kind=AdapterKind.DATA,
        path="workbench.live.replay_config:ReplayDataClientConfig",
        factory="workbench.live.replay:ReplayDataClientFactory",
        trial=Trial.TESTED,
        tried="Engines of it are started, stopped, killed and drilled in the tests.",
    ),
    Adapter(
        name="SIM",
        title="Sandbox venue",
        kind=AdapterKind.EXEC,
        path="workbench.live.sandbox_config:SandboxClientConfig",
        factory="workbench.live.sandbox:SandboxLiveExecClientFactory",
        trial=Trial.TESTED,
        tried="Engines of it are started, stopped, killed and drilled in the tests.",
    ),
)


@cache
def list_adapters() -> tuple[Adapter, ...]:
    """Return the workbench's own clients, and those of nautilus's adapters; their source is read, nothing is run."""
    # Without an import: an adapter may need a package that is not installed.
    spec = importlib.util.find_spec("nautilus_trader")
    roots = [Path(p) / "adapters" for p in (spec.submodule_search_locations or [])] if spec else []
    folders = sorted(f for root in roots for f in root.iterdir() if (f / "config.py").is_file())
    return (*_OWN, *(found for folder in folders for found in _read_adapter(folder)))


def _read_adapter(folder: Path) -> Iterator[Adapter]:
    factories = {
        name: module for module in ("factories", "factory") for name in _list_classes(folder, module)
    }
    for name in _list_classes(folder, "config"):
        match = _CONFIG.fullmatch(name)
        factory = f"{match['name']}Live{match['kind']}ClientFactory" if match else ""
        if match is None or factory not in factories:
            continue
        is_parsed = folder.name == _PARSED
        title = folder.name.replace("_", " ").title()
        yield Adapter(
            name=folder.name.upper(),
            title=f"{title}, {'data' if match['kind'] == 'Data' else 'orders'}",
            kind=AdapterKind.DATA if match["kind"] == "Data" else AdapterKind.EXEC,
            path=f"{_PACKAGE}.{folder.name}.config:{name}",
            factory=f"{_PACKAGE}.{folder.name}.{factories[factory]}:{factory}",
            trial=Trial.PARSED if is_parsed else Trial.UNTESTED,
            tried=_TRIED if is_parsed else _UNTRIED,
        )


def _list_classes(folder: Path, module: str) -> list[str]:
    file = folder / f"{module}.py"
    return _CLASS.findall(file.read_text(encoding="utf-8")) if file.is_file() else []
