"""The replays among the data clients of an engine."""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.system.kernel import NautilusKernel

from workbench.errors import ConflictError, InputError, NotFoundError
from workbench.live.replay import ReplayDataClient

__all__ = ["find_bar_types", "find_replays", "switch_drill"]


class _DrillBody(msgspec.Struct, forbid_unknown_fields=True):
    mode: str | None = None
    secs: float | None = None
    instrument_id: str | None = None
    every: int = 5
    client_id: str | None = None


def find_replays(kernel: NautilusKernel) -> dict[str, ReplayDataClient]:
    """Return the replays among the data clients of a node, by client id."""
    clients = kernel.data_engine._clients
    return {
        client_id.value: client
        for client_id, client in clients.items()
        if isinstance(client, ReplayDataClient)
    }


def find_bar_types(kernel: NautilusKernel, instrument_id: InstrumentId) -> list[BarType]:
    """Return the bars of an instrument that can be replayed."""
    return [b for replay in find_replays(kernel).values() for b in replay.find_bar_types(instrument_id)]


def switch_drill(kernel: NautilusKernel, values: dict[str, Any]) -> list[str]:
    """
    Switch a drill of the replays on, or off where no mode is given, and return the clients that it is about.

    Raises
    ------
    InputError
        If there is no such drill.
    NotFoundError
        If there is no such client.
    ConflictError
        If the engine replays nothing.

    """
    try:
        body = msgspec.convert(values, _DrillBody)
    except msgspec.ValidationError as e:
        raise InputError(f"the body cannot be used: {e}") from e
    replays = find_replays(kernel)
    if not replays:
        raise ConflictError("this engine replays nothing", expected="an engine whose feed is a replay")
    if body.client_id is not None:
        if body.client_id not in replays:
            raise NotFoundError(
                f"there is no replay {body.client_id}", expected=", ".join(replays), field="client_id"
            )
        replays = {body.client_id: replays[body.client_id]}
    for replay in replays.values():
        replay.set_drill(body.mode, body.secs, body.instrument_id, body.every)
    return list(replays)
