"""The heartbeat of a host, and what else its service thread looks after while strategies do as they like."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from workbench.engine_records import Heartbeat
from workbench.errors import ServerError
from workbench.gate.rules import TradingState
from workbench.live.config import Environment
from workbench.live.context import HostContext
from workbench.live.equity_history import EquityHistory, build_sample
from workbench.live.health import find_problems
from workbench.states import EngineState

__all__ = ["build_heartbeat", "watch"]

_BEAT_SECS = 0.5
_LATCH_SECS = 0.015
_GUARDIAN_SECS = 1.0
# A guardian that has not turned for so long does not answer.
_FROZEN_SECS = 3.0
_DATABASE_SECS = 0.5
_HEALTH_SECS = 1.0
_SAMPLE_NS = 5_000_000_000
_LOOK_SECS = 0.5


def build_heartbeat(context: HostContext) -> Heartbeat:
    """Return what the host says of itself now."""
    gate = context.gate
    return Heartbeat(
        ts_ns=time.time_ns(),
        incarnation=context.record.incarnation,
        pid=os.getpid(),
        state=context.state,
        loop_ts_ns=context.probe.turned_ns,
        lag_ms=max(context.probe.lag_ms, context.probe.silent_secs * 1_000 - 50.0, 0.0),
        trading_state=context.stand.state,
        breach="" if gate is None else gate.losses.breach or "",
        last_seq=context.journal.last_seq,
        journal_trouble=context.journal.trouble or "",
        is_settled=context.is_settled,
        problems=list(context.problems.values()),
    )


async def watch(context: HostContext, start_guardian: Callable[[], object] | None) -> None:
    """
    Write the heartbeat and the equity, watch for a latch, the journal and the guardian, until cancelled.

    Parameters
    ----------
    context : HostContext
        The host.
    start_guardian : Callable[[], object], optional
        Starts a guardian where none turns; called in a thread when that seems to be so.

    """
    history = EquityHistory(context.directory.equity)
    try:
        await _watch(context, history, start_guardian)
    finally:
        history.close()


async def _watch(
    context: HostContext, history: EquityHistory, start_guardian: Callable[[], object] | None
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_repeat(context, _BEAT_SECS, lambda: _beat(context)))
        group.create_task(_repeat(context, _LATCH_SECS, lambda: _look_for_latch(context)))
        group.create_task(_repeat(context, _DATABASE_SECS, lambda: _ask_database(context)))
        group.create_task(_repeat(context, _HEALTH_SECS, lambda: _check_health(context)))
        group.create_task(_repeat(context, _LOOK_SECS, lambda: _sample_equity(context, history)))
        if start_guardian is not None:
            group.create_task(_repeat(context, _GUARDIAN_SECS, lambda: _guard(context, start_guardian)))


async def _repeat(context: HostContext, secs: float, step: Callable[[], Awaitable[None]]) -> None:
    """Do one thing over and over; whatever goes wrong with it, it is tried again, and told once."""
    told = ""
    while True:
        try:
            await step()
        except Exception as e:  # noqa: BLE001 - this is what a stop depends on
            problem = f"{type(e).__name__}: {e}"
            if problem != told:
                told = problem
                context.tell("alarm", "WatchFailed", {"error": problem})
        await asyncio.sleep(secs)


async def _beat(context: HostContext) -> None:
    trouble = context.journal.trouble
    is_full = trouble is not None
    try:
        context.directory.write_heartbeat(build_heartbeat(context))
    except ServerError:  # A full disk: the lock still tells that it lives
        is_full = True
    if context.output is not None:
        (context.output.mute if is_full else context.output.unmute)()
    if trouble is not None:
        context.restrict("journal", TradingState.REDUCING, f"the journal cannot be written: {trouble}")
    elif "journal" in context.restrictions:
        context.lift("journal", "the journal can be written again")


async def _look_for_latch(context: HostContext) -> None:
    if context.outcome is None and context.directory.is_latched:
        context.obey_latch()


async def _ask_database(context: HostContext) -> None:
    if context.ask_database is None:
        return
    trouble = await asyncio.to_thread(context.ask_database)
    if bool(trouble) != bool(context.database_trouble):
        name = "DatabaseLost" if trouble else "DatabaseBack"
        context.tell("alarm" if trouble else "engine", name, {"error": trouble})
    if trouble:  # Nautilus trades on without a word: what it cannot keep, nobody finds after a crash
        context.restrict("database", TradingState.REDUCING, trouble)
    elif context.database_trouble:
        context.lift("database", "the database answers again")
    context.database_trouble = trouble


async def _sample_equity(context: HostContext, history: EquityHistory) -> None:
    sample = build_sample(context.facts)
    if sample is not None and sample.ts_ns - history.last_ns >= _SAMPLE_NS:
        await asyncio.to_thread(history.add, sample)


async def _check_health(context: HostContext) -> None:
    resources = context.resources.measure()
    await asyncio.to_thread(context.errors.count)
    if context.state != EngineState.RUNNING:
        context.problems = {}
        return
    problems = find_problems(
        context.config.health,
        facts=context.facts,
        resources=resources,
        strategies=context.board.list_strategies(),
        database_trouble=context.database_trouble,
        errors=context.errors.recent,
        is_live=context.config.environment == Environment.LIVE,
    )
    before, context.problems = context.problems, problems
    if problems.keys() != before.keys():
        kind = "alarm" if problems.keys() - before.keys() else "engine"
        context.tell(kind, "HealthChanged", {"problems": list(problems.values())})


async def _guard(context: HostContext, start_guardian: Callable[[], object]) -> None:
    if context.state.is_down:
        return
    age_secs = (time.time_ns() - context.directory.find_beat()) / 1e9
    # Whether it is frozen is looked at more closely then: a clock may have been put right.
    if not 0 <= age_secs < _FROZEN_SECS or not context.directory.is_held("guardian"):
        await asyncio.to_thread(start_guardian)
