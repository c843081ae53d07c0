"""What a running engine says of itself, as far as it says anything."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from workbench.api.engine_desk import EngineDesk
from workbench.api.engine_line import ask_host, find_host
from workbench.engine_records import EngineStatus, Heartbeat, OrderRow, PositionRow
from workbench.errors import ConflictError, WorkbenchError
from workbench.live.config import Environment
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine

__all__ = ["EngineAnswer", "Held", "find_environment", "load_answer", "load_held"]

# A view must not wait for an engine that has trouble: what the disk says is there at once.
_STATUS_SECS = 2.0
# Two heartbeats that were not written.
_OLD_SECS = 1.5


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an engine has open.

    Attributes
    ----------
    orders, positions : list, optional
        ``None`` where it does not say.
    valuation : dict
        Equity and exposure, as the host tells them.

    """

    orders: list[OrderRow] | None = None
    positions: list[PositionRow] | None = None
    valuation: dict[str, Any] = {}


class EngineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an engine stands.

    Attributes
    ----------
    status : EngineStatus
        What its directory tells, with or without a host.
    facts : dict, optional
        What its host says besides: strategies, valuation, clients, feeds, resources; ``None`` without one that answers.
    trouble : str
        Why a host that is there does not say anything.

    """

    status: EngineStatus
    facts: dict[str, Any] | None = None
    trouble: str = ""


def find_environment(status: EngineStatus) -> str:
    """Return what an engine must be taken for: LIVE unless it is known not to be."""
    found = status.host.environment if status.host is not None else status.environment
    return Environment.SANDBOX if found == Environment.SANDBOX else Environment.LIVE


async def load_answer(desk: EngineDesk, directory: EngineDirectory, user: str) -> EngineAnswer:
    """Return where an engine stands, whether or not its host answers."""
    status, host = await asyncio.gather(
        desk.work(observe_engine, directory), desk.work(find_host, directory), return_exceptions=False
    )
    if host is None:
        return EngineAnswer(status=status)
    try:
        facts = await ask_host(
            directory, "GET", "/status", dict[str, Any], user=user, timeout_secs=_STATUS_SECS
        )
    except ConflictError:  # It ended a moment ago
        return EngineAnswer(status=await desk.work(observe_engine, directory))
    except WorkbenchError as e:
        return EngineAnswer(status=status, trouble=str(e))
    told = _find_heartbeat(facts)
    age = status.heartbeat_age_secs
    if told is not None and (age is None or age > _OLD_SECS):
        status = await desk.work(observe_engine, directory, told=told)
    return EngineAnswer(status=status, facts=facts)


def _find_heartbeat(facts: dict[str, Any]) -> Heartbeat | None:
    try:
        return msgspec.convert(facts.get("heartbeat"), Heartbeat)
    except msgspec.ValidationError:
        return None


async def load_held(desk: EngineDesk, directory: EngineDirectory, user: str) -> Held:
    """Return what an engine has open, as far as its host says so."""

    async def ask[T](path: str, kind: type[T], **options: Any) -> T | None:
        try:
            return await ask_host(
                directory, "GET", path, kind, user=user, timeout_secs=_STATUS_SECS, **options
            )
        except WorkbenchError:
            return None

    if not directory.has_config or not directory.is_held("host"):
        return Held()
    orders, positions, status = await asyncio.gather(
        ask("/orders", list[OrderRow], params={"open": True}),
        ask("/positions", list[PositionRow]),
        ask("/status", dict[str, Any]),
    )
    valuation = (status or {}).get("valuation")
    return Held(
        orders=orders, positions=positions, valuation=valuation if isinstance(valuation, dict) else {}
    )
