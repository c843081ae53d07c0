"""What the tests of the catalog share: instruments and small files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nautilus_trader.model.instruments import Instrument

from workbench.catalog.imports import ImportConfig
from workbench.catalog.instruments import build_instrument


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Return the root of a catalog that does not exist yet."""
    return tmp_path / "catalog"


@pytest.fixture(scope="session")
def gbpusd() -> Instrument:
    """Return GBP/USD with five decimals."""
    return build_instrument("fx_pair", "GBP/USD.FXCM")


@pytest.fixture(scope="session")
def usdjpy() -> Instrument:
    """Return USD/JPY with three decimals."""
    return build_instrument("fx_pair", "USD/JPY.TRUEFX")


@pytest.fixture(scope="session")
def btcusdt() -> Instrument:
    """Return BTC/USDT spot."""
    return build_instrument("crypto_spot", "BTCUSDT.BINANCE", price_precision=2, size_precision=6)


@pytest.fixture
def write_text(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a text file."""

    def write(text: str | bytes, name: str = "source.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def bars() -> ImportConfig:
    """Return how open-stamped one-minute bars of GBP/USD are imported."""
    return ImportConfig(data_type="bars", instrument_id="GBP/USD.FXCM", bar_type="1-MINUTE-BID", stamp="open")


@pytest.fixture
def quotes() -> ImportConfig:
    """Return how quotes of GBP/USD are imported."""
    return ImportConfig(data_type="quotes", instrument_id="GBP/USD.FXCM")


@pytest.fixture
def trades() -> ImportConfig:
    """Return how trades of BTC/USDT are imported."""
    return ImportConfig(data_type="trades", instrument_id="BTCUSDT.BINANCE")
