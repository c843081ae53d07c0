"""The strategies of a running engine: stopped, started, added and removed while it trades on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from workbench.client.engine_calls import EngineCalls

__all__ = ["EngineStrategies"]


class EngineStrategies(EngineCalls):
    """
    The strategies of one engine. `Engine.strategies` is one.

    What is done here is not in the configuration: the next start begins with the strategies that it names. To start
    or add one in a LIVE engine takes two calls: see `Engine`.
    """

    def stop(self, strategy_id: str, *, is_cancelling: bool = False) -> dict[str, Any]:
        """Stop a strategy; its positions stay, and its orders too unless they are to be cancelled."""
        return self._post(f"{_name(strategy_id)}/stop", {"is_cancelling": is_cancelling}, dict[str, Any])

    def start(self, strategy_id: str, *, confirm: str = "") -> dict[str, Any]:
        """Start a strategy that is stopped, by its exception too: its ``on_reset`` is called first."""
        return self._post(f"{_name(strategy_id)}/start", {"confirm_token": confirm}, dict[str, Any])

    def add(
        self,
        strategy_path: str,
        config_path: str,
        config: Mapping[str, Any],
        *,
        is_started: bool = True,
        confirm: str = "",
    ) -> dict[str, Any]:
        """
        Add a strategy; only where the configuration of the engine lets it (``is_extensible``; a SANDBOX does).

        Parameters
        ----------
        strategy_path, config_path : str
            ``package.module:Class``: of the strategy, and of its configuration.
        config : Mapping
            The fields of its configuration, as plain values; `order_id_tag` among them.
        is_started : bool
            Whether it trades at once.
        confirm : str
            In a LIVE engine: the token of the first call.

        Returns
        -------
        dict
            Its ``strategy_id`` and ``state``.

        """
        body = {
            "strategy_path": strategy_path,
            "config_path": config_path,
            "config": dict(config),
            "is_started": is_started,
            "confirm_token": confirm,
        }
        return self._post("strategies", body, dict[str, Any])

    def remove(self, strategy_id: str) -> dict[str, Any]:
        """Stop a strategy and forget it; it may have no open order and no position."""
        return self._send("DELETE", _name(strategy_id), None, dict[str, Any])


def _name(strategy_id: str) -> str:
    return f"strategies/{quote(strategy_id, safe='')}"
