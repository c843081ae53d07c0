from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.common.config import msgspec_decoding_hook

from tests.live.replay_catalogs import ASK, BID, LAST, NAME
from workbench.errors import ConfigError
from workbench.live.sandbox_config import SandboxClientConfig, check_config


def _config(**values: Any) -> SandboxClientConfig:
    text = msgspec.json.encode({"venue": "SIM", "starting_balances": ["1 USD"], **values})
    config: SandboxClientConfig = msgspec.json.decode(
        text, type=SandboxClientConfig, dec_hook=msgspec_decoding_hook
    )
    return config


@pytest.mark.parametrize(
    "values", [{}, {"bar_types": [BID, ASK]}, {"bar_types": [LAST]}, {"bar_types": [BID], "quotes": [NAME]}]
)
def test_sandbox_that_can_fill_is_accepted(values: dict[str, Any]) -> None:
    config = _config(**values, default_leverage="10.5")

    check_config(config)

    assert config.default_leverage == Decimal("10.5")
    assert config.use_random_ids


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"bar_types": [BID]}, "bar_types"),
        ({"bar_types": [ASK, BID.replace("1-MINUTE", "5-MINUTE")]}, "bar_types"),
        ({"bar_types": ["bars"]}, "bar_types.0"),
        ({"bar_types": [LAST, LAST.replace("EXTERNAL", "INTERNAL")]}, "bar_types.1"),
        ({"bar_types": [LAST.replace("SIM", "XNAS")]}, "bar_types.0"),
        ({"quotes": ["GBPUSD"]}, "quotes.0"),
        ({"trades": [NAME, "GBP/USD.XNAS"]}, "trades.1"),
        ({"account_type": "CASH", "default_leverage": "5"}, "default_leverage"),
        ({"account_type": "CASH", "leverages": {NAME: 5.0}}, "leverages"),
        ({"oms_type": "HEDGING", "use_random_ids": False}, "use_random_ids"),
    ],
)
def test_sandbox_that_could_not_fill_is_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as info:
        check_config(_config(**values))

    assert info.value.field == field
    assert info.value.expected or "is no" in info.value.message
