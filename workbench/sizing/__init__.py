"""Position sizing: how large an opening order is, the same in a backtest and in a live engine."""

from __future__ import annotations

from workbench.sizing.config import Sizing, SizingMethod
from workbench.sizing.sizer import PositionSizer

__all__ = ["PositionSizer", "Sizing", "SizingMethod"]
