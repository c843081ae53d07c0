"""Docstrings become the help of a form."""

from __future__ import annotations

from nautilus_trader.config import StrategyConfig

from workbench.backtest.documentation import build_help, build_summary


class BaseConfig(StrategyConfig, frozen=True):
    """
    A base.

    Parameters
    ----------
    size : int
        Of the base.
    other : int
        Other of the base.

    """

    size: int = 1
    other: int = 2


class OneConfig(BaseConfig, frozen=True):
    """
    Represents one,
    in two lines.

    And a second paragraph.

    Parameters
    ----------
    size : int, default 1
        How much,
        in two lines.

        And a paragraph.
    low, high : float
        The bounds.
    nobody : str
        Is no field.
    silent

    Raises
    ------
    other : Error
        Is no help.

    """

    low: float = 0.0
    high: float = 1.0
    silent: str = ""


class BareConfig(OneConfig, frozen=True):
    more: int = 0


def test_help_is_one_line_a_field_and_the_nearest_class_wins() -> None:
    found = build_help(OneConfig)
    assert found["size"] == "How much, in two lines. And a paragraph."
    assert found["low"] == found["high"] == "The bounds."
    assert found["other"] == "Other of the base."
    assert "strategy_id" in found
    assert found.keys().isdisjoint({"nobody", "silent"})
    assert build_help(BareConfig) == found


def test_summary_is_the_first_paragraph_of_the_class_itself() -> None:
    assert build_summary(OneConfig) == "Represents one, in two lines."
    assert build_summary(BareConfig) == ""
