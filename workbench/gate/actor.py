"""The gate in a configuration: an actor, so that nautilus's own configurations carry the limits."""

from __future__ import annotations

import inspect
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig, ImportableActorConfig
from nautilus_trader.system.kernel import NautilusKernel

from workbench.errors import ConfigError
from workbench.gate.gate import Gate
from workbench.gate.limits import MAX_MARK_AGE_SECS, Limits, parse_limits
from workbench.gate.valuer import Valuer

__all__ = ["RiskGate", "RiskGateConfig", "build_risk_gate"]

_FIELDS = tuple(inspect.signature(parse_limits).parameters)


class RiskGateConfig(ActorConfig, frozen=True):  # type: ignore[call-arg]
    """
    The limits of an engine: an entry of its `actors`, the same in a backtest and in a live engine.

    Parameters
    ----------
    max_position : dict[str, str], optional
        The most units held, long or short, by instrument id; ``*`` for every other. Pending orders count.
    max_exposure : str, optional
        The most notional held and pending, long and short added up, in the reporting currency.
    max_net_exposure : str, optional
        The most by which longs may exceed shorts in notional, or shorts longs, in the reporting currency.
    max_margin : str, optional
        The largest fraction of equity that may be used as margin, such as 0.5.
    max_daily_loss : str, optional
        The most that equity may lose in a day, in the reporting currency.
    max_drawdown : str, optional
        The largest fraction that equity may lose since its peak, such as 0.05.
    max_orders_per_sec : int, optional
        The most orders and modifications within a second.
    max_mark_age_secs : float, optional, default 300
        How old the price of something held may be, in seconds; ``None``: of any age. While one is older, nothing is
        risked anew that a limit needs it for, and nothing is closed either. An engine that holds something while its
        market is closed needs more, or ``None``. In a live engine only: a backtest has the prices of its moment.
    day_start : str, default '00:00'
        When the day of the daily loss begins: a time of day, or the name ``UTC`` (midnight) or ``NEW_YORK_CLOSE``
        (17:00 in New York), which needs no time zone.
    day_zone : str, default 'UTC'
        The time zone of that.
    on_breach : str, default 'FLATTEN'
        What happens when a loss limit is reached, besides that no new risk is taken: ``DENY`` nothing more, ``CANCEL``
        open orders are cancelled, ``FLATTEN`` positions are closed too.

    """

    max_position: dict[str, str] | None = None
    max_exposure: str | None = None
    max_net_exposure: str | None = None
    max_margin: str | None = None
    max_daily_loss: str | None = None
    max_drawdown: str | None = None
    max_orders_per_sec: int | None = None
    max_mark_age_secs: float | None = MAX_MARK_AGE_SECS
    day_start: str = "00:00"
    day_zone: str = "UTC"
    on_breach: str = "FLATTEN"


class RiskGate(Actor):
    """
    Carries the limits to the engine, which puts the gate in its place.

    Parameters
    ----------
    config : RiskGateConfig
        The limits.

    Raises
    ------
    ConfigError
        If a limit makes no sense.

    """

    def __init__(self, config: RiskGateConfig) -> None:
        super().__init__(config)
        self._limits = parse_limits(**{name: getattr(config, name) for name in _FIELDS})
        self.gate: Gate | None = None

    @property
    def limits(self) -> Limits:
        """The limits."""
        return self._limits

    def attach(self, kernel: NautilusKernel, valuer: Valuer, *, max_age_secs: float = 0.0) -> Gate:
        """
        Put the gate in front of the engine, and return it.

        Parameters
        ----------
        kernel : NautilusKernel
            The engine's kernel, before it runs.
        valuer : Valuer
            What things are worth.
        max_age_secs : float
            As in `Gate`.

        """
        self.gate = Gate(kernel, self._limits, valuer, max_age_secs=max_age_secs)
        self.gate.attach()
        return self.gate

    def on_start(self) -> None:
        """Refuse to run without the gate: an engine that does not know it would trade without limits."""
        if self.gate is None:
            raise RuntimeError(
                "this configuration has risk limits that only the workbench's engine enforces: run it there, or "
                "take the RiskGate out of its actors"
            )
        self.gate.resync()  # What the engine loaded or reconciled before told nobody

    def on_stop(self) -> None:
        """Do nothing: nautilus warns where this is missing."""


def build_risk_gate(**limits: Any) -> ImportableActorConfig:
    """
    Return a risk gate as an entry of an engine's actors.

    Parameters
    ----------
    **limits
        The fields of `RiskGateConfig`.

    Raises
    ------
    ConfigError
        If a limit is unknown or makes no sense; `field` names it.

    """
    for name in limits:
        if name not in _FIELDS:
            raise ConfigError(
                f"there is no limit {name!r}", expected=f"one of {', '.join(_FIELDS)}", field=name
            )
    parse_limits(**limits)
    return ImportableActorConfig(
        actor_path=f"{__name__}:RiskGate", config_path=f"{__name__}:RiskGateConfig", config=limits
    )
