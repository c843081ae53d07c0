"""The venues of a run: what nautilus would make of them, tried before a run is started."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

from nautilus_trader.backtest import node
from nautilus_trader.backtest.config import BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.common.config import InvalidConfiguration
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OtoTriggerMode

from workbench.errors import ConfigError

__all__ = ["check_venues"]

# Nautilus's own readers of these names end the process where the name is unknown.
_NAMES: dict[str, type[Enum]] = {
    "oms_type": OmsType,
    "account_type": AccountType,
    "book_type": BookType,
    "oto_trigger_mode": OtoTriggerMode,
}

# What nautilus reads from a venue while it builds the engine, by the field that it reads.
_READERS: dict[str, Callable[[BacktestVenueConfig], Any]] = {
    "oms_type": node.get_oms_type,
    "account_type": node.get_account_type,
    "book_type": node.get_book_type,
    "oto_trigger_mode": node.get_oto_trigger_mode,
    "base_currency": node.get_base_currency,
    "starting_balances": node.get_starting_balances,
    "default_leverage": lambda venue: Decimal(venue.default_leverage),
    "leverages": node.get_leverages,
    "margin_model": node.get_margin_model,
    "fill_model": node.get_fill_model,
    "fee_model": node.get_fee_model,
    "latency_model": node.get_latency_model,
    "price_protection_points": node.get_price_protection_points,
}


def check_venues(config: BacktestRunConfig) -> None:
    """
    Try what the configuration says about its venues.

    Raises
    ------
    ConfigError
        If nautilus cannot use a value; the message names the venue and the field.

    """
    seen: set[str] = set()
    for venue in config.venues:
        if venue.name in seen:
            raise ConfigError(f"the venue {venue.name} is configured twice", expected="one entry a venue")
        seen.add(venue.name)
        if not venue.name.strip() or not venue.name.isascii():
            raise ConfigError(f"a venue is named {venue.name!r}", expected="ASCII, such as SIM")
        _check_names(venue)
        for field, read in _READERS.items():
            try:
                value = read(venue)
            except Exception as e:  # Models are anybody's code, and nautilus raises many kinds
                raise ConfigError(
                    f"the venue {venue.name}: {field} is {_show(getattr(venue, field))}: {_first_line(e)}",
                    expected="a value that nautilus_trader accepts",
                ) from e
            if field == "starting_balances" and not value:
                raise ConfigError(
                    f"the venue {venue.name} has no starting balance", expected='for example "1000000 USD"'
                )
        _check_balances(venue)
    try:
        node.BacktestNode([config])
    except InvalidConfiguration as e:
        raise ConfigError(str(e)) from e


def _check_names(venue: BacktestVenueConfig) -> None:
    for field, kind in _NAMES.items():
        value = getattr(venue, field)
        if isinstance(value, str) and value not in kind.__members__:
            raise ConfigError(
                f"the venue {venue.name}: {field} is {value!r}",
                expected=f"one of {', '.join(kind.__members__)}",
            )


def _check_balances(venue: BacktestVenueConfig) -> None:
    base, balances = node.get_base_currency(venue), node.get_starting_balances(venue)
    if base is not None and [b.currency for b in balances] != [base]:
        raise ConfigError(
            f"the venue {venue.name} has base_currency {base} and starts with "
            f"{', '.join(str(b) for b in balances)}",
            expected=f"one balance, in {base}",
            advice="leave base_currency out for an account of several currencies",
        )


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__
