"""A strategy is named so that somebody else can find it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import workbench
from tests.backtest.tiny import MARKER
from workbench.backtest.capture import SourceModule
from workbench.backtest.references import StrategySource, capture_strategy
from workbench.errors import ConfigError, NotFoundError

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"
NOTEBOOK = """
import json
import workbench
from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

STEP = 3

class MineConfig(StrategyConfig, frozen=True):
    every: int = STEP

class Mine(Strategy):
    def on_start(self) -> None:
        self.step = STEP

class OddSettings(StrategyConfig, frozen=True):
    size: int = 1

for chosen in (None, OddSettings, "OddSettings"):
    source = workbench.capture_strategy(Mine, chosen)
    print(json.dumps([source.strategy_path, source.config_path, source.sources]))
"""


def test_import_path_needs_no_source() -> None:
    assert workbench.capture_strategy is capture_strategy
    assert capture_strategy(EMA) == StrategySource(strategy_path=EMA)
    assert capture_strategy(EMA, f"{EMA}Config").config_path == f"{EMA}Config"


def test_class_of_a_module_is_its_import_path() -> None:
    from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig

    assert capture_strategy(EMACross, EMACrossConfig) == StrategySource(
        strategy_path=EMA, config_path=f"{EMA}Config"
    )


def test_file_is_captured(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MARKER)
    module = SourceModule.from_text(MARKER)
    assert capture_strategy(f"{tmp_path}/mine.py:Marker", "MarkerConfig") == StrategySource(
        strategy_path=f"{module.name}:Marker", config_path="MarkerConfig", sources={module.name: MARKER}
    )


def test_class_of_a_script_is_captured_with_its_configuration(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(NOTEBOOK)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    own, odd, named = (json.loads(line) for line in done.stdout.splitlines())
    ((name, text),) = own[2].items()
    assert own[:2] == [f"{name}:Mine", f"{name}:MineConfig"]
    assert "STEP = 3" in text
    assert SourceModule.from_text(text).name == name
    assert odd == named
    assert odd[1].endswith(":OddSettings")
    assert "class OddSettings" in odd[2][odd[1].partition(":")[0]]


@pytest.mark.parametrize(
    ("strategy", "kind"),
    [
        ("nonsense", ConfigError),
        (":A", ConfigError),
        ("no.py:not a name", ConfigError),
        ("/no/file.py:A", NotFoundError),
    ],
)
def test_name_of_nothing_is_refused(strategy: str, kind: type[ConfigError]) -> None:
    with pytest.raises(kind):
        capture_strategy(strategy)
