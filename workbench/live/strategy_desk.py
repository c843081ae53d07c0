"""Strategies at run time: stopped, started again, added and removed by people, while the engine trades on."""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_trader.common.enums import ComponentState
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.system.kernel import NautilusKernel
from nautilus_trader.trading.strategy import Strategy

from workbench.engine_records import HostMode
from workbench.errors import ConfigError, ConflictError, InputError, NotFoundError, WorkbenchError
from workbench.live.bridge import Bridge
from workbench.live.closing import Closer
from workbench.live.config import Environment
from workbench.live.context import HostContext
from workbench.live.isolation import Isolation
from workbench.live.secret_references import Secrets

__all__ = ["StrategyDesk"]


class _AddBody(msgspec.Struct, forbid_unknown_fields=True):
    strategy_path: str
    config_path: str
    config: dict[str, Any] = {}
    is_started: bool = True


class _StopBody(msgspec.Struct, forbid_unknown_fields=True):
    is_cancelling: bool = False


class StrategyDesk:
    """
    Stops, starts, adds and removes strategies for people, with nautilus's controller; in the main loop.

    What is done here is not in the configuration: the next start begins with the strategies that it names.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    context : HostContext
        The host.
    isolation : Isolation
        Builds strategies, and knows which failed.
    bridge : Bridge
        Shows them.
    closer : Closer
        Cancels what they have in the market.
    secrets : Secrets
        Fills in what their configurations refer to.

    """

    def __init__(
        self,
        kernel: NautilusKernel,
        context: HostContext,
        isolation: Isolation,
        bridge: Bridge,
        closer: Closer,
        secrets: Secrets,
    ) -> None:
        self._kernel = kernel
        self._context = context
        self._isolation = isolation
        self._bridge = bridge
        self._closer = closer
        self._secrets = secrets

    def stop(self, strategy_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """
        Stop a strategy; its positions stay, and its orders too unless they are to be cancelled.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        ConflictError
            If it does not run.

        """
        body = _convert(values, _StopBody)
        strategy = self._find(strategy_id)
        if not strategy.is_running:
            raise ConflictError(f"the strategy {strategy_id} is {strategy.state.name}", expected="RUNNING")
        self._controller.stop_strategy(strategy)
        if body.is_cancelling:
            self._closer.cancel_strategy(strategy.id)
        return self._tell("StrategyStopped", strategy, user, is_cancelling=body.is_cancelling)

    def start(self, strategy_id: str, user: str) -> dict[str, Any]:
        """
        Start a strategy that is stopped, also one that its exception has stopped: its ``on_reset`` is called first.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        ConflictError
            If it runs, or can never run again.

        """
        strategy = self._find(strategy_id)
        if strategy.state not in {ComponentState.READY, ComponentState.STOPPED}:
            raise ConflictError(f"the strategy {strategy_id} is {strategy.state.name}", expected="STOPPED")
        has_failed = strategy_id in self._isolation.failures
        if strategy.state == ComponentState.STOPPED:
            # Nautilus starts nothing that is stopped, and what is resumed has lost its subscriptions.
            self._isolation.forget(strategy_id)
            strategy.reset()
            # It counts its orders from 0 now, and no id may come twice.
            strategy.order_factory.set_client_order_id_count(
                self._kernel.cache.orders_total_count(strategy_id=strategy.id)
            )
        self._controller.start_strategy(strategy)
        return self._tell("StrategyStarted", strategy, user, has_failed=has_failed)

    def add(self, values: dict[str, Any], user: str) -> dict[str, Any]:
        """
        Add a strategy, isolated as those from the beginning are.

        Raises
        ------
        ConfigError
            If it cannot be built.
        ConflictError
            If the engine is not open to that, or has one with this id or this tag.

        """
        self._check_open()
        body = _convert(values, _AddBody)
        try:
            config = self._secrets.resolve(body.config, place="config")
            strategy = self._isolation.build(body.strategy_path, body.config_path, config)
        except WorkbenchError:
            raise
        except Exception as e:  # noqa: BLE001 - whatever somebody's module raises
            lines = str(e).splitlines() or [""]
            message = self._secrets.scrub(f"the strategy cannot be built: {type(e).__name__}: {lines[0]}")
            raise ConfigError(message, field="strategy_path") from None
        if not isinstance(strategy, Strategy):
            raise ConfigError(f"{body.strategy_path} is no strategy", field="strategy_path")
        try:
            self._controller.create_strategy(strategy, start=False)
        except (RuntimeError, ValueError) as e:
            raise ConflictError(
                f"the strategy cannot be added: {e}",
                advice="give it an order_id_tag of its own",
                field="config.order_id_tag",
            ) from e
        self._bridge.paths[strategy.id.value] = body.strategy_path
        answer = self._tell("StrategyAdded", strategy, user, path=body.strategy_path)
        if body.is_started:
            self._controller.start_strategy(strategy)
        return answer

    def remove(self, strategy_id: str, user: str) -> dict[str, Any]:
        """
        Stop a strategy and forget it.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        ConflictError
            If the engine is not open to that, or the strategy has open orders or positions, which nobody would own.

        """
        self._check_open()
        strategy = self._find(strategy_id)
        cache = self._kernel.cache
        orders = cache.orders_open_count(strategy_id=strategy.id)
        orders += cache.orders_inflight_count(strategy_id=strategy.id)
        orders += cache.orders_emulated_count(strategy_id=strategy.id)
        positions = cache.positions_open_count(strategy_id=strategy.id)
        if orders or positions:
            raise ConflictError(
                f"the strategy {strategy_id} has open orders ({orders}) or positions ({positions})",
                advice="stop it, cancel its orders and close its positions first",
            )
        self._controller.remove_strategy(strategy)
        # Nautilus leaves these, and a later one of the same id would have a twin.
        bus = self._kernel.msgbus
        for topic in (f"events.order.{strategy_id}", f"events.position.{strategy_id}"):
            bus.unsubscribe(topic=topic, handler=strategy.handle_event)
        self._isolation.forget(strategy_id)
        self._context.board.drop_strategy(strategy_id)
        self._bridge.paths.pop(strategy_id, None)
        return self._tell("StrategyRemoved", strategy, user)

    @property
    def _controller(self) -> Any:
        return self._kernel._controller

    def _check_open(self) -> None:
        if self._context.record.mode == HostMode.LIQUIDATE:
            raise ConflictError("this host only closes what is open")
        config = self._context.config
        is_open = config.is_extensible
        if not (config.environment == Environment.SANDBOX if is_open is None else is_open):
            raise ConflictError(
                "the configuration of this engine does not let strategies be added or removed while it runs",
                advice="set is_extensible in its configuration, or change its strategies there and restart it",
            )

    def _find(self, strategy_id: str) -> Strategy:
        for strategy in self._kernel.trader.strategies():
            if strategy.id == StrategyId(strategy_id):
                return strategy
        raise NotFoundError(f"there is no strategy {strategy_id}")

    def _tell(self, name: str, strategy: Strategy, user: str, **more: Any) -> dict[str, Any]:
        strategy_id = strategy.id.value
        self._context.tell("strategy", name, {"user": user, "strategy_id": strategy_id, **more})
        self._bridge.refresh()
        return {"strategy_id": strategy_id, "state": strategy.state.name}


def _convert[T](values: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as e:
        raise InputError(f"the body cannot be used: {e}") from e
