"""Backtests: one function runs one ``BacktestRunConfig`` in a child process and keeps what it found."""

from __future__ import annotations
