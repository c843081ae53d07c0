"""The settings of a workspace: the one place where the environment is read."""

from __future__ import annotations

import os
import tempfile
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
    engines : Path
        The directories of the live engines (``WORKBENCH_ENGINES``, default ``<workspace>/engines``).
    state : Path
        What the server keeps for itself, private to its user: ``<workspace>/.workbench``.
    database : str
        The records, as a URL (``WORKBENCH_DATABASE``, default: SQLite in `state`).
    server : str, optional
        The server to use (``WORKBENCH_SERVER``); default: the workspace's own.
    token_file : Path
        The file with the token for it (``WORKBENCH_TOKEN_FILE``, default: the local owner's, in `state`).
    cluster : str, optional
        The scheduler of a Dask cluster that runs the jobs (``WORKBENCH_CLUSTER``); default: this machine does.
    results : str, optional
        Where a cluster puts results, for example ``s3://bucket/runs`` (``WORKBENCH_RESULTS``).
    url : str, optional
        Where a cluster reaches the server (``WORKBENCH_URL``); default: where the server listens.
    runtime : Path
        Where sockets are made (``XDG_RUNTIME_DIR``, default: the directory for temporary files).
    is_static : bool
        Whether components show their static form, which a saved notebook keeps (``WORKBENCH_DISPLAY=static``).
    view_secs : float, optional
        How long this kernel outlives the Voila page that it serves (``WORKBENCH_VIEW_SECS``, default 60); ``None``
        where it serves none.
    is_preheated : bool
        Whether Voila started this kernel before there was a page for it.
    page_file : Path, optional
        The file that appears when this kernel's page and its person are known (``WORKBENCH_PAGE_FILE``): the query of
        the page's address.
    query : str
        That query where it is known from the start (``QUERY_STRING``).

    """

    workspace: Path
    catalog: Path
    runs: Path
    engines: Path
    state: Path
    database: str
    token_file: Path
    server: str | None = None
    cluster: str | None = None
    results: str | None = None
    url: str | None = None
    runtime: Path = Path(tempfile.gettempdir())
    is_static: bool = False
    view_secs: float | None = None
    is_preheated: bool = False
    page_file: Path | None = None
    query: str = ""


def _load(environ: dict[str, str]) -> Settings:
    workspace = Path(environ.get("WORKBENCH_HOME") or ".").resolve()
    return Settings(
        workspace=workspace,
        catalog=Path(environ.get("WORKBENCH_CATALOG") or workspace / "catalogs" / "default").resolve(),
        runs=Path(environ.get("WORKBENCH_RUNS") or workspace / "runs").resolve(),
        engines=Path(environ.get("WORKBENCH_ENGINES") or workspace / "engines").resolve(),
        state=workspace / ".workbench",
        database=environ.get("WORKBENCH_DATABASE")
        or f"sqlite:///{workspace / '.workbench' / 'records.sqlite'}",
        server=environ.get("WORKBENCH_SERVER") or None,
        token_file=Path(environ.get("WORKBENCH_TOKEN_FILE") or workspace / ".workbench" / "token").resolve(),
        cluster=environ.get("WORKBENCH_CLUSTER") or None,
        results=environ.get("WORKBENCH_RESULTS") or None,
        url=environ.get("WORKBENCH_URL") or None,
        runtime=Path(environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()),
        is_static=environ.get("WORKBENCH_DISPLAY") == "static",
        # Voila says so to every kernel that it starts.
        view_secs=float(environ.get("WORKBENCH_VIEW_SECS") or 60) if "VOILA_PREHEAT" in environ else None,
        is_preheated=environ.get("VOILA_PREHEAT") == "True",
        page_file=Path(environ["WORKBENCH_PAGE_FILE"]) if environ.get("WORKBENCH_PAGE_FILE") else None,
        query=environ.get("QUERY_STRING", ""),
    )


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read from the environment once."""
    return _load(dict(os.environ))
