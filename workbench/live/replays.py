"""The replays among the data clients of an engine."""

from __future__ import annotations

from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.system.kernel import NautilusKernel

from workbench.live.replay import ReplayDataClient

__all__ = ["find_bar_types", "find_replays"]


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
