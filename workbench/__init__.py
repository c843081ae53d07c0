"""A research workbench for NautilusTrader: data in, backtests, reports."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
