"""The venues of a run: what nautilus would make of them, tried before a run is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from nautilus_trader.backtest import node
from nautilus_trader.backtest.config import BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.common.config import ActorFactory, InvalidConfiguration
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OtoTriggerMode

from workbench.backtest.decoding import find_field
from workbench.errors import ConfigError

__all__ = ["check_venues", "find_venue_faults"]

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
    for error in find_venue_faults(config.venues):
        raise error
    try:
        node.BacktestNode([config])
    except InvalidConfiguration as e:  # What the checks of the data leave: a book type without its data
        raise ConfigError(str(e), field=_find_book(config)) from e


def find_venue_faults(venues: Iterable[BacktestVenueConfig]) -> Iterator[ConfigError]:
    """Yield an error for every value that nautilus cannot use; its field begins with ``venues.<number>``."""
    seen: set[str] = set()
    for i, venue in enumerate(venues):
        place = f"venues.{i}"
        if venue.name in seen:
            yield ConfigError(
                f"the venue {venue.name} is configured twice",
                expected="one entry a venue",
                field=f"{place}.name",
            )
        seen.add(venue.name)
        if not venue.name.strip() or not venue.name.isascii():
            yield ConfigError(
                f"a venue is named {venue.name!r}", expected="ASCII, such as SIM", field=f"{place}.name"
            )
        yield from _find_faults(venue, place)


def _find_faults(venue: BacktestVenueConfig, place: str) -> Iterator[ConfigError]:
    wrong = set()
    for field, kind in _NAMES.items():
        value = getattr(venue, field)
        if isinstance(value, str) and value not in kind.__members__:
            wrong.add(field)
            yield ConfigError(
                f"the venue {venue.name}: {field} is {value!r}",
                expected=f"one of {', '.join(kind.__members__)}",
                field=f"{place}.{field}",
            )
    for field, read in _READERS.items():
        if field in wrong:  # To read it would end the process
            continue
        try:
            value = read(venue)
        except Exception as e:  # noqa: BLE001 - models are anybody's code, and nautilus raises many kinds
            wrong.add(field)
            error = ConfigError(
                f"the venue {venue.name}: {field} is {_show(getattr(venue, field))}: {_first_line(e)}",
                expected="a value that nautilus_trader accepts",
                field=_find_place(e, field, place),
            )
            error.__cause__ = e
            yield error
            continue
        if field == "starting_balances" and not value:
            wrong.add(field)
            yield ConfigError(
                f"the venue {venue.name} has no starting balance",
                expected='for example "1000000 USD"',
                field=f"{place}.starting_balances",
            )
    if not wrong & {"base_currency", "starting_balances"}:
        yield from _find_balance_faults(venue, place)
    yield from _find_leverage_faults(venue, place)
    yield from _find_module_faults(venue, place)


def _find_place(error: Exception, field: str, place: str) -> str:
    """Return where the value stands that was refused; the models have configurations of their own."""
    parents = [place, field]
    if isinstance(error, msgspec.ValidationError):
        parents.append("config")
    return find_field(error, *parents)


def _find_book(config: BacktestRunConfig) -> str:
    found = [i for i, v in enumerate(config.venues) if node.get_book_type(v) != BookType.L1_MBP]
    return f"venues.{found[0]}.book_type" if found else "venues"


def _find_leverage_faults(venue: BacktestVenueConfig, place: str) -> Iterator[ConfigError]:
    found = {"default_leverage": venue.default_leverage}
    found |= {f"leverages.{name}": value for name, value in (venue.leverages or {}).items()}
    for name, value in found.items():
        if not value >= 1:
            yield ConfigError(
                f"the venue {venue.name}: {name} is {value}", expected="1 or more", field=f"{place}.{name}"
            )


def _find_module_faults(venue: BacktestVenueConfig, place: str) -> Iterator[ConfigError]:
    for i, module in enumerate(venue.modules or []):
        try:
            ActorFactory.create(module)
        except Exception as e:  # noqa: BLE001 - anybody's code
            error = ConfigError(
                f"the venue {venue.name}: its module {module.actor_path} cannot be made: {_first_line(e)}",
                expected="a simulation module and its configuration",
                field=f"{place}.modules.{i}",
            )
            error.__cause__ = e
            yield error


def _find_balance_faults(venue: BacktestVenueConfig, place: str) -> Iterator[ConfigError]:
    base, balances = node.get_base_currency(venue), node.get_starting_balances(venue)
    for i, balance in enumerate(balances):
        if balance.as_decimal() < 0:
            yield ConfigError(
                f"the venue {venue.name} starts with {balance}",
                expected="no debt",
                field=f"{place}.starting_balances.{i}",
            )
    twice = [
        b.currency.code for i, b in enumerate(balances) if b.currency in [c.currency for c in balances[:i]]
    ]
    if twice:
        yield ConfigError(
            f"the venue {venue.name} has two starting balances in {twice[0]}",
            expected="one balance a currency",
            field=f"{place}.starting_balances",
        )
    elif base is not None and [b.currency for b in balances] != [base]:
        yield ConfigError(
            f"the venue {venue.name} has base_currency {base} and starts with "
            f"{', '.join(str(b) for b in balances)}",
            expected=f"one balance, in {base}",
            advice="leave base_currency out for an account of several currencies",
            field=f"{place}.starting_balances",
        )


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__
