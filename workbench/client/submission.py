"""What is sent for a backtest: its configuration, the source of its strategies, where modules are found."""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from workbench.errors import ConfigError, NotFoundError

__all__ = ["Jsonable", "anchor_paths", "build_config", "build_submission", "find_search_path", "load_sources"]

# Captured modules are named by the hash of their text.
_CAPTURED = re.compile(rb"\bworkbench_strategy_[0-9a-f]{16}\b")


class Jsonable(Protocol):
    """What can write itself as JSON, as nautilus's configurations do."""

    def json(self) -> bytes:
        """Return the JSON."""


def build_config(config: Jsonable | Mapping[str, Any] | str | bytes) -> dict[str, Any]:
    """
    Return a configuration as plain values.

    Raises
    ------
    ConfigError
        If it is not JSON, or not one object.

    """
    try:
        if isinstance(config, str | bytes):
            text = config
        elif isinstance(config, Mapping):
            text = msgspec.json.encode(config)
        else:
            text = config.json()
        plain = msgspec.json.decode(text)
    except msgspec.DecodeError as e:
        raise ConfigError(
            f"the configuration is not valid JSON: {e}", expected="a BacktestRunConfig as JSON"
        ) from e
    except (AttributeError, TypeError, UnicodeError, ValueError) as e:
        raise ConfigError(
            f"the configuration cannot be sent: {e}",
            expected="a BacktestRunConfig, a dict of it, or its JSON",
        ) from e
    if not isinstance(plain, dict):
        raise ConfigError(
            f"the configuration is a JSON {type(plain).__name__}", expected="a BacktestRunConfig as an object"
        )
    return plain


def build_submission(
    config: Jsonable | Mapping[str, Any] | str | bytes,
    *,
    captured: Path,
    is_local: bool,
    name: str = "",
    overrides: Mapping[str, Any] | None = None,
    sources: Mapping[str, str] | None = None,
    limits: Any = None,
) -> dict[str, Any]:
    """
    Return what the server is sent for a backtest.

    Parameters
    ----------
    config : BacktestRunConfig, dict or JSON
        What to run.
    captured : Path
        The directory of captured strategy modules.
    is_local : bool
        Whether the server reads the same files as this process.
    name : str
        A name for people.
    overrides : dict, optional
        New values by path.
    sources : dict, optional
        The text of captured modules by name; the others are read from `captured`.
    limits : Limits or dict, optional
        What the run may take.

    Raises
    ------
    ConfigError
        If the configuration is not one object of JSON.
    NotFoundError
        If it names a captured module that is not there.

    """
    plain = build_config(config)
    given = dict(sources or {})
    if is_local:
        anchor_paths(plain, Path.cwd())
    return {
        "config": plain,
        "name": name,
        "overrides": dict(overrides or {}),
        "sources": {**load_sources(plain, captured, given), **given},
        "search_path": find_search_path() if is_local else [],
        "limits": msgspec.to_builtins(limits) if limits is not None else {},
    }


def anchor_paths(plain: dict[str, Any], base: Path) -> None:
    """Make the catalogs' relative paths absolute, for a server on this machine whose directory is another."""
    catalogs = [(d, "catalog_path", "catalog_fs_protocol") for d in _find_dicts(plain.get("data"))]
    engine = plain.get("engine")
    if isinstance(engine, dict):
        catalogs += [(c, "path", "fs_protocol") for c in _find_dicts(engine.get("catalogs"))]
    for owner, key, protocol in catalogs:
        path = owner.get(key)
        if isinstance(path, str) and "://" not in path and owner.get(protocol) in {None, "", "file"}:
            owner[key] = str(base / path)


def load_sources(plain: dict[str, Any], directory: Path, given: Container[str] = ()) -> dict[str, str]:
    """
    Return the text of the captured modules that the configuration names, from the files in `directory`.

    Those in `given` are left out.

    Raises
    ------
    NotFoundError
        If there is no such file.

    """
    sources = {}
    named = {match.decode() for match in _CAPTURED.findall(msgspec.json.encode(plain))}
    for name in sorted(name for name in named if name not in given):
        path = directory / f"{name}.py"
        try:
            sources[name] = path.read_bytes().decode()
        except (OSError, UnicodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else e
            raise NotFoundError(
                f"the captured strategy {path} cannot be read: {reason}",
                advice="build the strategy config again, or restore it from the run directory",
            ) from e
    return sources


def find_search_path() -> list[str]:
    """Return where this process finds modules of its user's own: the directories that hold no libraries."""
    directory = str(Path.cwd())
    libraries = _find_libraries()
    found = [directory if p == "" else str(Path(p).absolute()) for p in sys.path]
    own = [p for p in found if Path(p).is_dir() and not f"{p}{os.sep}".startswith(libraries)]
    return list(dict.fromkeys([*own, directory]))


def _find_libraries() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({f"{q}{os.sep}" for p in paths for q in (Path(p), Path(p).resolve())})


def _find_dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
