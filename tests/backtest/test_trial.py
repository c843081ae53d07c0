"""The trial finds what nautilus would refuse only while it builds the engine, and names the place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.backtest.config import BacktestEngineConfig, BacktestVenueConfig
from nautilus_trader.config import (
    CacheConfig,
    DatabaseConfig,
    ImportableActorConfig,
    RiskEngineConfig,
    StreamingConfig,
)
from nautilus_trader.persistence.config import DataCatalogConfig

from tests.backtest.configs import ema_cross
from tests.backtest.tiny import build_catalog, tiny_config
from workbench.backtest.trial import try_engine
from workbench.errors import ConfigError
from workbench.gate.actor import build_risk_gate


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("trial") / "catalog")


def _other_venue(**more: Any) -> BacktestVenueConfig:
    values: dict[str, Any] = {
        "name": "XNAS",
        "oms_type": "NETTING",
        "account_type": "MARGIN",
        "starting_balances": ["1 USD"],
        **more,
    }
    return BacktestVenueConfig(**values)


def test_sound_configuration_passes_and_touches_nothing(catalog: Path, tmp_path: Path) -> None:
    config = tiny_config(catalog, ema_cross(2, 3), start="2012-02-01")
    engine = msgspec.structs.replace(
        config.engine,
        # Nobody is called, and nothing is written
        cache=CacheConfig(database=DatabaseConfig(host="127.0.0.1", port=1)),
        streaming=StreamingConfig(catalog_path=str(tmp_path / "stream")),
    )
    for _ in range(2):
        try_engine(msgspec.structs.replace(config, engine=engine))
    assert list(tmp_path.iterdir()) == []
    try_engine(msgspec.structs.replace(config, engine=None))


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"risk_engine": RiskEngineConfig(max_order_submit_rate="often")}, "engine.risk_engine"),
        ({"catalogs": [DataCatalogConfig(path="x", fs_protocol="nonsense")]}, "engine.catalogs"),
        (
            {
                "actors": [
                    ImportableActorConfig(
                        actor_path="decimal:Decimal",
                        config_path="nautilus_trader.common.config:ActorConfig",
                        config={},
                    )
                ]
            },
            "engine.actors.0.config",
        ),
        ({"strategies": [ema_cross(2, 3), ema_cross(5, 4)]}, "engine.strategies.1.config"),
        (
            {"strategies": [ema_cross(2, 3, order_id_tag="1"), ema_cross(2, 3, order_id_tag="1")]},
            "engine.strategies.1.config",
        ),
    ],
)
def test_part_of_the_engine_that_is_refused_is_named(catalog: Path, part: dict[str, Any], field: str) -> None:
    config = msgspec.structs.replace(tiny_config(catalog), engine=BacktestEngineConfig(**part))
    with pytest.raises(ConfigError) as caught:
        try_engine(config)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_venue_that_is_refused_is_named(catalog: Path) -> None:
    config = tiny_config(catalog)
    broken = _other_venue(account_type="CASH", default_leverage=5.0)
    with pytest.raises(ConfigError, match="leverages defined") as caught:
        try_engine(msgspec.structs.replace(config, venues=[*config.venues, broken]))
    assert caught.value.field == "venues.1"


def test_venue_that_does_not_take_its_instrument_is_named(catalog: Path) -> None:
    config = tiny_config(catalog)
    cash = msgspec.structs.replace(config.venues[0], account_type="CASH")
    with pytest.raises(ConfigError, match="leave base_currency out") as caught:
        try_engine(msgspec.structs.replace(config, venues=[_other_venue(), cash]))
    assert caught.value.field == "venues.1.account_type"


_AFTERWARDS = """
import sys
from pathlib import Path
from nautilus_trader.common.component import is_backtest_force_stop, is_logging_initialized
from tests.backtest.configs import ema_cross
from tests.backtest.tiny import tiny_config
from workbench.backtest.trial import try_engine
try_engine(tiny_config(Path(sys.argv[1]), ema_cross(2, 3)))
assert not is_logging_initialized() and not is_backtest_force_stop()
"""


def test_component_that_says_which_of_its_values_is_wrong_is_believed(catalog: Path) -> None:
    config = tiny_config(catalog, ema_cross(2, 3))
    gate = msgspec.structs.replace(build_risk_gate(max_exposure="5"), config={"max_exposure": "much"})
    engine = msgspec.structs.replace(config.engine, actors=[build_risk_gate(max_exposure="5"), gate])
    with pytest.raises(ConfigError) as caught:
        try_engine(msgspec.structs.replace(config, engine=engine))
    assert caught.value.field == "engine.actors.1.config.max_exposure"
    assert caught.value.message == "max_exposure is 'much'"
    assert "decimal number" in caught.value.expected


def test_trial_leaves_the_process_as_it_was_and_says_nothing(catalog: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _AFTERWARDS, str(catalog)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
