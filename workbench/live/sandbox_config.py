"""How a sandbox venue is configured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.backtest.config import (
    ImportableFeeModelConfig,
    ImportableFillModelConfig,
    ImportableLatencyModelConfig,
)
from nautilus_trader.common.config import PositiveFloat
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.identifiers import InstrumentId

from workbench.errors import ConfigError

__all__ = ["SandboxClientConfig", "check_config", "parse_bar_types", "parse_instrument_ids"]


class SandboxClientConfig(SandboxExecutionClientConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """
    A venue in the engine's own process, which matches orders with live or replayed data.

    The fields of nautilus's `SandboxExecutionClientConfig` hold here too, but that ids are random: those of before a
    restart must not come again.

    Parameters
    ----------
    bar_types : tuple[str, ...]
        Bars that move the market, besides what strategies subscribe to: bid *and* ask bars of the same length, or
        LAST or MID bars.
    quotes, trades : tuple[str, ...]
        Instruments whose quotes or trades move the market, besides what strategies subscribe to.
    use_random_ids : bool, default True
        If the ids of orders and positions at the venue are random.
    fill_model : ImportableFillModelConfig, optional
        How likely fills and slippage are (default: whatever is touched is filled, and nothing slips).
    fee_model : ImportableFeeModelConfig, optional
        What fills cost (default: the maker and taker fees of the instrument).
    latency_model : ImportableLatencyModelConfig, optional
        How long commands take to the venue (default: no time).
    use_market_order_acks : bool, default False
        If market orders are accepted before they are filled.
    bar_adaptive_high_low_ordering : bool, default False
        If the nearer of high and low comes first.
    liquidity_consumption : bool, default False
        If fills use up the liquidity at a price until new data come.
    queue_position : bool, default False
        If limit orders wait for what is before them in the queue; needs `trade_execution`.
    price_protection_points : int, optional
        How far from the market a marketable order may be filled.
    instrument_timeout_secs : float, default 30
        How long a restart waits for the definitions of the instruments that it holds positions in.

    """

    bar_types: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    trades: tuple[str, ...] = ()
    use_random_ids: bool = True
    fill_model: ImportableFillModelConfig | None = None
    fee_model: ImportableFeeModelConfig | None = None
    latency_model: ImportableLatencyModelConfig | None = None
    use_market_order_acks: bool = False
    bar_adaptive_high_low_ordering: bool = False
    liquidity_consumption: bool = False
    queue_position: bool = False
    price_protection_points: int | None = None
    instrument_timeout_secs: PositiveFloat = 30.0


def check_config(config: SandboxClientConfig) -> None:
    """
    Refuse a configuration under which orders could not be filled as it says.

    Raises
    ------
    ConfigError
        If a field makes no sense; `field` names it.

    """
    sides: dict[tuple[InstrumentId, str], set[PriceType]] = defaultdict(set)
    for bar_type in parse_bar_types(config.bar_types, config.venue):
        sides[bar_type.instrument_id, str(bar_type.spec.timedelta)].add(bar_type.spec.price_type)
    quoted = {*parse_instrument_ids(config.quotes, "quotes", config.venue)}
    parse_instrument_ids(config.trades, "trades", config.venue)
    for (instrument_id, _), found in sides.items():
        if len(found & {PriceType.BID, PriceType.ASK}) == 1 and instrument_id not in quoted:
            only = "BID" if PriceType.BID in found else "ASK"
            raise ConfigError(
                f"the sandbox {config.venue} is given {only} bars of {instrument_id} alone, which fill nothing",
                expected="bid and ask bars of the same length, or LAST or MID bars, or quotes",
                field="bar_types",
            )
    is_leveraged = config.default_leverage != 1 or bool(config.leverages)
    if config.account_type != "MARGIN" and is_leveraged:
        raise ConfigError(
            f"a {config.account_type} account has no leverage",
            expected="default_leverage 1 and no leverages, or account_type MARGIN",
            field="default_leverage" if config.default_leverage != 1 else "leverages",
        )
    if config.oms_type == "HEDGING" and config.use_position_ids and not config.use_random_ids:
        raise ConfigError(
            "position ids that count from 1 come again after a restart",
            expected="use_random_ids with oms_type HEDGING",
            field="use_random_ids",
        )


def parse_bar_types(names: Sequence[str], venue: str) -> list[BarType]:
    """
    Return the bar types, all external and of the venue.

    Raises
    ------
    ConfigError
        If one is not.

    """
    found = []
    for number, name in enumerate(names):
        field = f"bar_types.{number}"
        try:
            bar_type = BarType.from_str(name)
        except ValueError as e:
            raise ConfigError(f"{name!r} is no bar type: {e}", field=field) from e
        if not bar_type.is_externally_aggregated():
            raise ConfigError(
                f"{name} is made in the engine", expected="bars of the feed (EXTERNAL)", field=field
            )
        if bar_type.instrument_id.venue.value != venue:
            raise ConfigError(
                f"{name} is not of the venue {venue}", expected="bars of the venue", field=field
            )
        found.append(bar_type)
    return found


def parse_instrument_ids(names: Sequence[str], field: str, venue: str) -> list[InstrumentId]:
    """
    Return the instruments, all of the venue.

    Raises
    ------
    ConfigError
        If one is not.

    """
    found = []
    for number, name in enumerate(names):
        place = f"{field}.{number}"
        try:
            instrument_id = InstrumentId.from_str(name)
        except ValueError as e:
            raise ConfigError(f"{name!r} is no instrument id: {e}", field=place) from e
        if instrument_id.venue.value != venue:
            raise ConfigError(f"{name} is not of the venue {venue}", expected="its instruments", field=place)
        found.append(instrument_id)
    return found
