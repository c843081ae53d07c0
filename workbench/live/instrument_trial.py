"""Whether what strategies trade is known to the clients of an engine, as far as that can be told before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from workbench.engine_records import CheckOutcome, ConfigCheck
from workbench.errors import WorkbenchError
from workbench.live.client_trial import TriedClient
from workbench.live.replay_catalog import load_catalog
from workbench.live.replay_config import ReplayDataClientConfig

__all__ = ["Traded", "check_instruments", "find_traded"]


class Traded(NamedTuple):
    """What a strategy names: its place, and instruments and bars by field."""

    place: str
    names: dict[str, InstrumentId | BarType]


def find_traded(config: Any, place: str) -> Traded:
    """Return what a strategy's configuration names, one level deep."""
    names: dict[str, InstrumentId | BarType] = {}
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        own = f"{place}.config.{field.encode_name}"
        found = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        known = [one for one in found if isinstance(one, InstrumentId | BarType)]
        for i, one in enumerate(known):
            names[own if found[0] is value else f"{own}.{i}"] = one
    return Traded(place, names)


def check_instruments(clients: Sequence[TriedClient], strategies: Sequence[Traded]) -> list[ConfigCheck]:
    """
    Say of each instrument and bar type whether the engine will know it.

    Parameters
    ----------
    clients : Sequence[TriedClient]
        The clients that nautilus takes.
    strategies : Sequence[Traded]
        What is traded.

    """
    found: list[ConfigCheck] = []
    replays = {}
    for client in clients:
        if isinstance(client.config, ReplayDataClientConfig):
            replays[client.place], checks = _load_replay(client)
            found += checks
    for traded in strategies:
        for field, name in traded.names.items():
            found += _check_name(field, name, clients, replays)
    return found


def _load_replay(client: TriedClient) -> tuple[tuple[set[str], set[str]] | None, list[ConfigCheck]]:
    """Return the instruments and the bar types that a replay has; ``None`` where it has no catalog."""
    config, field = client.config, f"{client.place}.config.catalog_path"
    path = Path(config.catalog_path)
    try:
        datasets, instruments = load_catalog(path, set(config.venues)) if path.is_dir() else ([], [])
    except (WorkbenchError, OSError) as e:
        return None, [_miss(field, str(e))]
    if not datasets:
        venues = ", ".join(config.venues)
        problem = f"there is no catalog {path}" if not path.is_dir() else f"{path} has no data of {venues}"
        advice = "import some: workbench data import"
        return None, [_miss(field, problem, advice)]
    bars = {one.identifier for one in datasets if one.data_type == "bars"}
    message = f"The catalog has {len(datasets):,} sets of data and {len(instruments):,} instruments."
    ok = ConfigCheck(subject="instrument", outcome=CheckOutcome.OK, message=message, field=field)
    return ({str(one.id) for one in instruments}, bars), [ok]


def _check_name(
    field: str, name: InstrumentId | BarType, clients: Sequence[TriedClient], replays: dict[str, Any]
) -> Iterator[ConfigCheck]:
    instrument_id = name.instrument_id if isinstance(name, BarType) else name
    venue = str(instrument_id.venue)
    data = [one for one in clients if one.is_data and _serves(one, venue)]
    if not any(_serves(one, venue) for one in clients if not one.is_data):
        yield _miss(field, f"no execution client is for the venue {venue} of {name}")
    if not data:
        yield _miss(field, f"no data client is for the venue {venue} of {name}")
        return
    client = data[0]
    if client.place in replays:
        held = replays[client.place]
        if held is None:
            return  # Said already: there is no catalog
        instruments, bars = held
        is_external = isinstance(name, BarType) and name.is_externally_aggregated()
        if str(instrument_id) not in instruments:
            yield _miss(field, f"the catalog of the replay has no instrument {instrument_id}")
        elif is_external and str(name) not in bars:
            yield _miss(field, f"the catalog of the replay has no bars {name}")
        else:
            made = isinstance(name, BarType) and not is_external
            message = f"{name} is made of what the catalog has." if made else f"{name} is in the catalog."
            yield ConfigCheck(subject="instrument", outcome=CheckOutcome.OK, message=message, field=field)
        return
    provider = getattr(client.config, "instrument_provider", None)
    wanted = {str(one) for one in getattr(provider, "load_ids", None) or ()}
    if wanted and not getattr(provider, "load_all", False) and str(instrument_id) not in wanted:
        advice = f"add it to {client.place}.config.instrument_provider.load_ids"
        yield _miss(field, f"{instrument_id} is none of the instruments that {client.name} loads", advice)
        return
    yield ConfigCheck(
        subject="instrument",
        outcome=CheckOutcome.UNKNOWN,
        message=f"Whether {venue} has {instrument_id} shows when the engine connects.",
        field=field,
    )


def _serves(client: TriedClient, venue: str) -> bool:
    routing = getattr(client.config, "routing", None)
    venues = {str(one) for one in getattr(routing, "venues", None) or ()}
    own = {client.name, str(getattr(client.config, "venue", "") or "")}
    return venue in venues | own or bool(getattr(routing, "default", False))


def _miss(field: str, message: str, advice: str = "") -> ConfigCheck:
    return ConfigCheck(
        subject="instrument", outcome=CheckOutcome.MISSING, message=message, field=field, advice=advice
    )
