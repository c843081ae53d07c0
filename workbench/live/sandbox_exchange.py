"""The simulated exchange of a sandbox, as it is configured."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.backtest.config import FeeModelFactory, FillModelFactory
from nautilus_trader.backtest.engine import SimulatedExchange
from nautilus_trader.backtest.models import FillModel, MakerTakerFeeModel
from nautilus_trader.model.enums import account_type_from_str, book_type_from_str, oms_type_from_str
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.objects import Currency, Money

if TYPE_CHECKING:
    from nautilus_trader.backtest.models import LatencyModel
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.portfolio.base import PortfolioFacade

    from workbench.live.sandbox_config import SandboxClientConfig

__all__ = ["build_exchange"]


def build_exchange(
    config: SandboxClientConfig,
    *,
    starting_balances: list[Money],
    portfolio: PortfolioFacade,
    msgbus: MessageBus,
    cache: Cache,
    clock: TestClock,
    latency_model: LatencyModel | None,
) -> SimulatedExchange:
    """Return the exchange that `config` describes, which has these balances at first."""
    return SimulatedExchange(
        venue=Venue(config.venue),
        oms_type=oms_type_from_str(config.oms_type),
        account_type=account_type_from_str(config.account_type),
        starting_balances=starting_balances,
        base_currency=Currency.from_str(config.base_currency) if config.base_currency else None,
        default_leverage=config.default_leverage,
        leverages={
            InstrumentId.from_str(name): Decimal(str(leverage))
            for name, leverage in (config.leverages or {}).items()
        },
        modules=[],
        portfolio=portfolio,
        msgbus=msgbus,
        cache=cache,
        clock=clock,
        fill_model=FillModel() if config.fill_model is None else FillModelFactory.create(config.fill_model),
        fee_model=(
            MakerTakerFeeModel() if config.fee_model is None else FeeModelFactory.create(config.fee_model)
        ),
        latency_model=latency_model,
        book_type=book_type_from_str(config.book_type),
        frozen_account=config.frozen_account,
        bar_execution=config.bar_execution,
        bar_adaptive_high_low_ordering=config.bar_adaptive_high_low_ordering,
        trade_execution=config.trade_execution,
        reject_stop_orders=config.reject_stop_orders,
        support_gtd_orders=config.support_gtd_orders,
        support_contingent_orders=config.support_contingent_orders,
        use_position_ids=config.use_position_ids,
        use_random_ids=config.use_random_ids,
        use_reduce_only=config.use_reduce_only,
        use_market_order_acks=config.use_market_order_acks,
        liquidity_consumption=config.liquidity_consumption,
        queue_position=config.queue_position,
        price_protection_points=config.price_protection_points,
        # Without latency a command is matched at once, and does not wait for the next event of the feed.
        use_message_queue=latency_model is not None,
    )
