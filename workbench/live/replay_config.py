"""How a replay of a catalog is configured."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pandas as pd
from nautilus_trader.common.config import PositiveFloat, PositiveInt
from nautilus_trader.live.config import LiveDataClientConfig, RoutingConfig

from workbench.errors import ConfigError

__all__ = ["ReplayDataClientConfig", "parse_stamp"]


class ReplayDataClientConfig(LiveDataClientConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """
    A data feed that replays a catalog.

    Parameters
    ----------
    catalog_path : str
        The root of a catalog on this machine.
    venues : list[str]
        The venues whose instruments and data are replayed.
    start, end : str or int, optional
        The range by ``ts_init``, both ends included: ISO 8601 (UTC where it names no zone) or nanoseconds since the
        epoch. Default: all that the catalog has of these venues.
    speed : float, default 1.0
        Seconds of the catalog in one second.
    is_looping : bool, default True
        Whether it begins anew at its end. Time goes on: nothing jumps back.
    is_restamped : bool, default True
        Whether data carry the wall time at which they are due, as a strategy expects of a live feed. If not, they
        carry the stamps of the catalog, and the replay cannot loop.
    max_lag_secs : float, default 5.0
        How late data may be sent. Where they would be later, the replay's clock slips instead.
    max_history : int, default 100000
        The most rows that answer a request.

    """

    catalog_path: str
    venues: Annotated[list[str], msgspec.Meta(min_length=1)]
    start: str | int | None = None
    end: str | int | None = None
    speed: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 1.0
    is_looping: bool = True
    is_restamped: bool = True
    max_lag_secs: PositiveFloat = 5.0
    max_history: PositiveInt = 100_000

    def __post_init__(self) -> None:
        """Route the data of all venues here, unless the configuration says something else."""
        if self.routing.venues is None:
            routing = RoutingConfig(default=self.routing.default, venues=frozenset(self.venues))
            msgspec.structs.force_setattr(self, "routing", routing)


def parse_stamp(value: str | int | None, field: str) -> int | None:
    """
    Return nanoseconds since the epoch.

    Raises
    ------
    ConfigError
        If it is no time.

    """
    if value is None or isinstance(value, int):
        return value
    try:
        stamp = pd.Timestamp(value)
        nanos: int = (stamp.tz_localize("UTC") if stamp.tz is None else stamp).as_unit("ns").value
    except ValueError as e:
        raise ConfigError(
            f"{value!r} is no time", expected="ISO 8601 or nanoseconds since the epoch", field=field
        ) from e
    return nanos
