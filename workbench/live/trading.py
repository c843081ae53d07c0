"""The main thread of a host: the node from its building to its end, and all that must happen in its loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import traceback
from functools import partial
from typing import Any

import msgspec
from nautilus_trader.common.component import flush_logger
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy

from workbench.engine_records import HostMode
from workbench.errors import ServerError
from workbench.gate.gate import Gate
from workbench.gate.rules import TradingState
from workbench.live.bridge import Bridge
from workbench.live.closing import Closer
from workbench.live.config import Environment
from workbench.live.context import HostContext
from workbench.live.ending import catch_signals
from workbench.live.exits import HostExit
from workbench.live.facts import build_teller, describe_clients
from workbench.live.isolation import Failure, Isolation
from workbench.live.manual import Desk, Subscriber
from workbench.live.node import build_node, parse_currency, parse_risk, plan_node
from workbench.live.node_databases import prepare_databases
from workbench.live.node_log import link_log, prune_logs, read_errors
from workbench.live.reconciliation import end_acceptance, load_acceptance, load_state
from workbench.live.replays import find_bar_types, switch_drill
from workbench.live.sandbox import RESTART_REASON, attach_sandboxes, restore_sandbox
from workbench.live.service import Service
from workbench.live.strategy_desk import StrategyDesk
from workbench.live.strategy_states import load_states, save_states
from workbench.live.valuer import LiveValuer
from workbench.states import EngineTrigger

__all__ = ["Trading"]

_STATES = "strategies.json"
_REFRESH_SECS = 0.5
_SAVE_SECS = 5.0
_COUNT_SECS = 10.0
_FLUSH_SECS = 2.0
_STOP_SECS = 0.05
# Of the time for a stop, what closing may take at most; the rest is for nautilus's own end.
_FLATTEN_SHARE = 0.6


class Trading:
    """
    Runs the node of a host.

    Parameters
    ----------
    context : HostContext
        The host.
    service : Service
        Its service thread.
    has_crashed : bool
        Whether the host before this one came to no orderly end.

    """

    def __init__(self, context: HostContext, service: Service, *, has_crashed: bool) -> None:
        self._context = context
        self._service = service
        self._has_crashed = has_crashed
        self._is_liquidating = context.record.mode == HostMode.LIQUIDATE
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._isolation = Isolation(self._loop, self._end_component)
        self._node: TradingNode | None = None
        self._problem = ""

    def run(self) -> HostExit:
        """
        Build the node and run it until it is told to end.

        Raises
        ------
        ConfigError, DataError
            If the node cannot be built, or what it held cannot be restored.
        ServerError
            If something that it needs does not answer.

        """
        self._build()
        if self._context.stop_asked.is_set():
            self._context.advance(EngineTrigger.STOP)
            return HostExit.ORDERLY
        # What is there now stays: the collector need not look at it, which takes as long as a stop may.
        gc.freeze()
        code = self._loop.run_until_complete(self._run())
        self._get_node().dispose()
        flush_logger()
        return code

    # -- Building --

    def _build(self) -> None:
        context = self._context
        limits = parse_risk(context.config.risk)
        plan = plan_node(context.config, context.directory, context.record.mode)
        plan = prepare_databases(plan, context)
        self._has_database = plan.config.cache is not None and plan.config.cache.database is not None
        self._is_sandbox = context.config.environment == Environment.SANDBOX
        self._secrets = plan.secrets
        prune_logs(context.directory.log)
        node = self._node = build_node(plan, self._loop, self._isolation)
        kernel = node.kernel
        kernel._loop_sig_callback = lambda number: context.ask_to_stop(number.name)
        for engine in (kernel.data_engine, kernel.risk_engine, kernel.exec_engine):
            engine._handle_queue_exception = self._end_engine
        self._subscriber = Subscriber(partial(find_bar_types, kernel))
        node.trader.add_actor(self._subscriber)
        self._valuer = LiveValuer(
            kernel.cache,
            kernel.clock,
            parse_currency(context.config.currency),
            max_mark_age_secs=limits.max_mark_age_secs,
        )
        self._gate = Gate(kernel, limits, self._valuer, max_age_secs=_REFRESH_SECS)
        self._gate.attach()
        self._gate.restore_state(self._load_gate())
        self._bridge = Bridge(kernel, context.journal, context.board, self._isolation)
        for strategy, part in zip(node.trader.strategies(), plan.components["strategies"], strict=True):
            self._bridge.paths[strategy.id.value] = part.strategy_path
        self._bridge.attach()
        self._restrict_at_start()
        context.attach_gate(self._gate)
        self._closer = Closer(kernel, self._gate, context)
        self._closer.on_instrument = self._subscriber.ask
        self._restore()
        self._teller = build_teller(node, context, self._valuer, self._gate, self._bridge.round_trip)
        routes = self._service.routes
        routes.desk = Desk(kernel, context, self._subscriber)
        parts = self._isolation, self._bridge, self._closer, plan.secrets
        routes.strategies = StrategyDesk(kernel, context, *parts)
        routes.switch_drill = partial(switch_drill, kernel)

    def _restrict_at_start(self) -> None:
        context = self._context
        if context.directory.is_latched:
            context.obey_latch()
        if self._is_liquidating:
            context.restrict("liquidation", TradingState.HALTED, "this host only closes what is open")
        elif self._has_crashed and context.config.environment == Environment.LIVE:
            context.restrict(
                "recovery", TradingState.REDUCING, "restarted after a crash, and not reconciled yet"
            )

    def _restore(self) -> None:
        node, context = self._get_node(), self._context
        if self._is_sandbox or not self._has_database:
            self._restore_sandbox()
        else:
            attach_sandboxes(node.kernel)
        if self._is_liquidating:
            return
        if self._has_database:
            node.trader.load()
            return
        try:
            found = load_states(self._context.directory.path / _STATES, node.trader.strategies())
        except (OSError, msgspec.DecodeError) as e:
            context.tell("alarm", "StatesNotLoaded", {"error": f"{type(e).__name__}: {e}"})
            return
        if found:
            context.tell("engine", "StatesLoaded", {"strategy_ids": found})

    def _restore_sandbox(self) -> None:
        context = self._context
        state = load_state(context.directory.journal)
        acceptance = load_acceptance(context.directory, state, is_liquidating=self._is_liquidating)
        problems = [] if acceptance is None else state.accept()
        restore_sandbox(self._get_node().kernel, state)
        if state.accounts or acceptance is not None:
            name, body = state.build_event()
            context.journal.append("account", name, body)
            context.tell("engine", "SandboxRestored", {**state.describe(), "reason": RESTART_REASON})
        if acceptance is not None:
            context.tell("engine", "SandboxReconciled", {"acceptance": acceptance, "problems": problems})
            if context.journal.flush(_FLUSH_SECS):
                end_acceptance(context.directory)

    def _load_gate(self) -> bytes | None:
        try:
            return self._context.directory.gate.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as e:
            raise ServerError(f"what the gate remembers cannot be read: {e.strerror}") from e

    def _get_node(self) -> TradingNode:
        if self._node is None:
            raise RuntimeError("the node is not built")
        return self._node

    # -- Running --

    async def _run(self) -> HostExit:
        context, node = self._context, self._get_node()
        context.loop = self._loop
        context.probe.start(self._loop)
        # Nautilus took the signals for itself, and its loop gives them back only while it turns.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGABRT):
            self._loop.remove_signal_handler(number)
        catch_signals(context)
        stopping = self._loop.create_task(_wait_for(context.stop_asked))
        started = asyncio.Event()
        start = node.kernel.start_async

        async def start_and_tell() -> None:
            try:
                await start()
            finally:
                started.set()

        node.kernel.start_async = start_and_tell
        running = self._loop.create_task(node.run_async())
        ready = self._loop.create_task(started.wait())
        await asyncio.wait({ready, stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done() and not node.trader.is_running:
            return await self._give_up(running)
        if stopping.done():
            return await self._end(running)
        self._begin()
        tending = [
            self._loop.create_task(self._repeat(_REFRESH_SECS, self._refresh)),
            self._loop.create_task(self._repeat(_SAVE_SECS, self._save_states)),
            self._loop.create_task(self._repeat(_COUNT_SECS, self._count)),
        ]
        settling = self._loop.create_task(self._wait_for_liquidation())
        await asyncio.wait({stopping, settling, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not stopping.done() and not settling.done():
            context.tell("alarm", "NodeEnded", {"error": str(running.exception() or "its queues ended")})
            return HostExit.ENGINE
        code = await self._end(running)
        for task in (*tending, settling):
            task.cancel()
        return code

    def _begin(self) -> None:
        """Everything that follows once the node trades."""
        context, gate = self._context, self._gate
        gate.resync()
        is_reconciled = bool(self._get_node().kernel.exec_engine.reconciliation)
        if is_reconciled:
            context.lift("recovery", "reconciled")
        context.on_clear = self._closer.end
        context.on_emergency = self._closer.begin
        context.advance(EngineTrigger.READY)
        self._attempt(self._refresh)
        link_log(context.directory.log)
        if context.outcome is not None:
            self._closer.begin(context.outcome.latch)

    async def _wait_until_settled(self) -> None:
        """Return when an emergency stop has done all that it can, or was cleared."""
        while not self._context.is_settled and self._context.outcome is not None:
            await asyncio.sleep(_STOP_SECS)

    async def _wait_for_liquidation(self) -> None:
        """Return when a host that liquidates has done all that it can; for others, never."""
        if not self._is_liquidating:
            await asyncio.Event().wait()
        elif self._context.outcome is None:
            await self._closer.flatten(self._context.config.stop.timeout_secs)
        else:  # However long that takes
            await self._wait_until_settled()

    async def _repeat(self, secs: float, function: Any) -> None:
        while True:
            await asyncio.sleep(secs)
            self._attempt(function)

    def _attempt(self, function: Any) -> None:
        try:
            function()
        except Exception as e:  # noqa: BLE001 - what is shown must not end what trades
            self._report(f"{function.__name__}: {type(e).__name__}: {e}")

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._context.tell("alarm", "TendingFailed", {"error": problem})

    def _refresh(self) -> None:
        self._gate.observe()
        self._bridge.refresh()
        self._context.facts = self._teller.describe()
        self._save_gate()

    def _count(self) -> None:
        self._bridge.journal_counts()
        self._gate.audit()
        link_log(self._context.directory.log)

    def _save_gate(self) -> None:
        try:
            self._context.save_gate()
        except OSError as e:
            self._report(f"gate.json cannot be written: {e.strerror}")

    def _save_states(self) -> None:
        node = self._get_node()
        if self._is_liquidating:
            return
        if self._has_database:
            node.trader.save()
            return
        try:
            save_states(
                self._context.directory.path / _STATES,
                node.trader.strategies(),
                failed=self._isolation.failures,
            )
        except (OSError, msgspec.DecodeError) as e:
            self._report(f"the states of the strategies cannot be written: {e}")

    # -- What goes wrong --

    def _end_component(self, component: Any, failure: Failure) -> None:
        """Cancel what a strategy that failed has in the market, and tell of it."""
        if isinstance(component, Strategy):
            self._closer.cancel_strategy(component.id)
        self._context.tell("strategy", "StrategyFailed", failure)
        self._bridge.refresh()

    def _end_engine(self, error: Exception, queue_name: str) -> None:
        """End the process, as nautilus does, but with everything on disk: in this state nothing may go on."""
        body = {"queue": queue_name, "error": f"{type(error).__name__}: {error}"}
        self._context.tell("alarm", "EngineFailed", {**body, "traceback": traceback.format_exc()})
        self._context.journal.flush(_FLUSH_SECS)
        os._exit(HostExit.ENGINE)

    # -- Ending --

    async def _give_up(self, running: asyncio.Task[None]) -> HostExit:
        node = self._get_node()
        error = running.exception() if running.done() and not running.cancelled() else None
        flush_logger()
        errors = [self._secrets.scrub(line) for line in read_errors(self._context.directory.log)]
        body = {
            "error": "the node did not come up in time" if error is None else self._secrets.scrub(str(error)),
            "clients": describe_clients(node.kernel),
            "log": errors,
        }
        self._context.tell("alarm", "NodeNotReady", body)
        await self._stop_node(running)
        return HostExit.NOT_READY

    async def _end(self, running: asyncio.Task[None]) -> HostExit:
        context = self._context
        context.tell(
            "engine", "Stopping", {"by": context.stop_reason, "is_flattening": context.is_flattening}
        )
        context.advance(EngineTrigger.STOP)
        if context.is_flattening and self._get_node().trader.is_running:
            context.restrict(
                "stopping", TradingState.HALTED, "the engine is being stopped, and closes what is open"
            )
            await self._flatten(context.config.stop.timeout_secs * _FLATTEN_SHARE)
        self._save_gate()
        self._save_states()
        await self._stop_node(running)
        self._save_states()  # What they said when they were stopped, too
        return HostExit.ORDERLY

    async def _flatten(self, secs: float) -> None:
        if self._context.outcome is None:
            await self._closer.flatten(secs)
            return
        with contextlib.suppress(TimeoutError):  # An emergency stop is at it already
            await asyncio.wait_for(self._wait_until_settled(), secs)

    async def _stop_node(self, running: asyncio.Task[None]) -> None:
        self._closer.end()
        await self._get_node().stop_async()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await running


async def _wait_for(event: Any) -> None:
    """Wait for an event that any thread, or a signal, sets."""
    while not event.is_set():
        await asyncio.sleep(_STOP_SECS)
