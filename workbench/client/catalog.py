"""What there is to run and to run it on: datasets and strategies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import workbench
from workbench.client.submission import find_search_path

if TYPE_CHECKING:
    from workbench.client.transport import Transport

__all__ = ["CatalogReader"]

# A process may have to start, and all stamps of a large dataset be read.
_CHECK_SECS = 150.0


class CatalogReader:
    """
    What the server knows of datasets and strategies; `workbench.client.client.Client` has one.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    is_local : bool
        Whether the server finds modules of the user's own where this process does.

    """

    def __init__(self, transport: Transport, *, is_local: bool = False) -> None:
        self._transport = transport
        self._is_local = is_local

    def datasets(self) -> list[dict[str, Any]]:
        """
        Return the datasets of the workspace's catalogs, those of the default one first.

        Returns
        -------
        list of dict
            ``id``, ``catalog``, ``catalog_path``, ``data_type``, ``data_cls``, ``identifier``, ``instrument_id``,
            ``venue``, ``bar_spec``, ``rows``, ``files``, ``size_bytes``, ``start``, ``end`` (ISO 8601 UTC),
            ``problems``, ``is_default`` and ``instrument``, the facts of it.

        """
        found: list[dict[str, Any]] = self._transport.fetch_json(
            "GET", "catalog/datasets", timeout_secs=_CHECK_SECS
        )["items"]
        return found

    def coverage(self, dataset: str | Mapping[str, Any], *, bins: int = 240) -> dict[str, Any]:
        """
        Return how the rows of a dataset lie in time.

        Parameters
        ----------
        dataset : str or dict
            Its id, or what `datasets` says of it.
        bins : int
            How many bins of equal width, 2,000 at the most.

        Returns
        -------
        dict
            ``bins`` (``start_ms``, ``rows``, ``expected``, ``is_poor``), ``gaps`` (the 100 longest), ``poor_ranges``,
            ``typical_step_secs`` and more.

        Raises
        ------
        NotFoundError
            If there is no such dataset.

        """
        name = dataset if isinstance(dataset, str) else str(dataset["id"])
        place = "/".join(quote(part, safe="") for part in name.split("/"))
        found: dict[str, Any] = self._transport.fetch_json(
            "GET", f"catalog/datasets/{place}/coverage", params={"bins": bins}, timeout_secs=_CHECK_SECS
        )
        return found

    def strategies(self) -> list[dict[str, Any]]:
        """
        Return the strategies that there are: the workspace's own, those of earlier runs, and nautilus's examples.

        Returns
        -------
        list of dict
            ``path``, ``name``, ``config_path``, ``doc``, ``origin`` and ``used_by``.

        """
        found: list[dict[str, Any]] = self._transport.fetch_json(
            "GET", "strategies", timeout_secs=_CHECK_SECS
        )["items"]
        return found

    def describe_strategy(
        self, strategy: type | str, *, config_class: type | str | None = None
    ) -> dict[str, Any]:
        """
        Return what a form for the configuration of a strategy is built from.

        Parameters
        ----------
        strategy : type or str
            A class (that of a notebook is captured, and its source sent), ``package.module:Class``,
            ``path/to/file.py:Class``, or a ``path`` of `strategies`.
        config_class : type or str, optional
            Its configuration, where the name is not ``<Strategy>Config``.

        Returns
        -------
        dict
            ``strategy_path`` and ``config_path`` for an ``ImportableStrategyConfig``; ``schema``, ``help``, ``doc``;
            ``sources``, for `preview` and `submit_backtest`.

        Raises
        ------
        NotFoundError
            If there is no such strategy.
        ConfigError
            If it is none, or its source cannot be captured.

        """
        if isinstance(strategy, str) and _is_of_workspace(strategy):
            named = config_class.__name__ if isinstance(config_class, type) else config_class
            return self.strategy_schema(strategy, config_path=named or "")
        source = workbench.capture_strategy(strategy, config_class)
        body = {
            "path": source.strategy_path,
            "config_path": source.config_path or None,
            "sources": source.sources,
            "search_path": find_search_path() if self._is_local else [],
        }
        found: dict[str, Any] = self._transport.fetch_json(
            "POST", "strategies/schema", body=body, timeout_secs=_CHECK_SECS
        )
        return found

    def strategy_schema(self, path: str, *, config_path: str = "") -> dict[str, Any]:
        """
        Return the JSON schema of a strategy's configuration, as `describe_strategy` does.

        Parameters
        ----------
        path : str
            The strategy, ``package.module:Class`` or ``file.py:Class`` of the workspace's ``strategies``.
        config_path : str
            Its configuration, where the name does not tell.

        """
        found: dict[str, Any] = self._transport.fetch_json(
            "GET",
            f"strategies/{quote(path, safe=':')}/schema",
            params={"config_path": config_path},
            timeout_secs=_CHECK_SECS,
        )
        return found


def _is_of_workspace(strategy: str) -> bool:
    """Return whether it is a file's name that leads to nothing here: the server may have it."""
    place = Path(strategy.rpartition(":")[0])
    return place.suffix == ".py" and place.name == str(place) and not place.exists()
