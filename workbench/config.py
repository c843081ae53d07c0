"""The settings of a workspace: the one place where the environment is read."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import msgspec

__all__ = ["Settings", "load_settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a workspace keeps its data.

    Attributes
    ----------
    workspace : Path
        The directory that holds everything below (``WORKBENCH_HOME``, default: the current directory).
    catalog : Path
        The default data catalog (``WORKBENCH_CATALOG``, default ``<workspace>/catalogs/default``).
    runs : Path
        The run directories (``WORKBENCH_RUNS``, default ``<workspace>/runs``).

    """

    workspace: Path
    catalog: Path
    runs: Path


def _load(environ: dict[str, str]) -> Settings:
    workspace = Path(environ.get("WORKBENCH_HOME") or ".").resolve()
    return Settings(
        workspace=workspace,
        catalog=Path(environ.get("WORKBENCH_CATALOG") or workspace / "catalogs" / "default").resolve(),
        runs=Path(environ.get("WORKBENCH_RUNS") or workspace / "runs").resolve(),
    )


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read from the environment once."""
    return _load(dict(os.environ))
