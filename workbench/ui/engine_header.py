"""The head of an engine's page, always in sight: state, worth, and the buttons."""

from __future__ import annotations

import time
from decimal import Decimal, InvalidOperation
from html import escape
from typing import TYPE_CHECKING

from workbench.ui.engine_badges import build_environment, build_state
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_buttons import build_buttons, build_emergency
from workbench.ui.engine_control import EngineControlPanel
from workbench.ui.engine_sight import Sight, find_quote_age
from workbench.ui.formats import UNKNOWN, format_decimal, format_duration, format_time, tint

if TYPE_CHECKING:
    from workbench.client.client import Client

__all__ = ["EngineHeader"]

_OLD_QUOTE_SECS = 10.0


class EngineHeader(EngineControlPanel):
    """
    The head of the page: the controls, with what the engine is worth.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(client, name)
        self._began = time.time()

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        name = f"<span class='wb-name'>{escape(self._name)}</span>"
        badges = f"{build_state(sight.state, is_fresh=sight.is_fresh)}{build_environment(sight)}"
        numbers = (
            f"<div class='wb-kpis{'' if sight.is_fresh else ' stale'}'>{_build_numbers(book, sight)}</div>"
        )
        clock = f"<span class='wb-clock'>{sight.clock} UTC</span>"
        if not is_live:
            return f"<div class='wb-engine-top'><div class='wb-engine-row'>{name}{badges}{numbers}{clock}</div></div>"
        bars = self._build_bars(book, sight)
        return (
            f"<div class='wb-engine-top{' is-live' if sight.is_live else ''}'><div class='wb-engine-bar'>"
            f"<div class='wb-engine-row'><span class='wb-title'>{name}{self._build_age(sight)}</span>{badges}{numbers}"
            f"<span class='wb-engine-acts'>{clock}{build_buttons(book, sight, self._commands)}</span></div>"
            f"{build_emergency(book, self._commands)}</div>{bars}</div>"
        )

    def _build_age(self, sight: Sight) -> str:
        """Return how old the numbers are if that is odd, where else it is said since when they are followed."""
        if _is_odd(sight):
            return f"<small class='wb-age warn' role='status'>{escape(sight.words)}</small>"
        since = format_time(int(self._began * 1e9), has_seconds=True)
        hint = f"{since} UTC: this page was built, and asked for all that it shows"
        return f"<small title='{hint}'>watched since {since[-8:]}</small>"


def _is_odd(sight: Sight) -> bool:
    return not sight.is_fresh and not sight.state.is_down


def _build_numbers(book: EngineBook, sight: Sight) -> str:
    valuation = book.facts.get("valuation") or {}
    currency = valuation.get("currency") or book.currency
    equity, day, gross = (_read(valuation.get(name)) for name in ("equity", "day_pnl", "gross"))
    unit = f"<small>{escape(currency)}</small>"
    why = valuation.get("missing") or ("" if book.facts else "its host says nothing")
    share = ""
    if gross is not None and equity:
        share = f" <small>{format_decimal(gross / equity * 100, 1)} %</small>"
    arrow = "" if not day else ("▲ " if day > 0 else "▼ ")
    today_hint = (
        "Since the day began, by the gate's day boundary"
        if day is not None
        else "The gate counts a day's gain where a loss limit is set"
    )
    age = find_quote_age(book, sight)
    age_kind = "warn" if age is not None and age > _OLD_QUOTE_SECS else ""
    return (
        _build_number("Equity", f"{_money(equity)} {unit}", hint=why or "Marked to market")
        + _build_number("Today", f"{arrow}{_money(day, is_signed=True)}", kind=tint(day), hint=today_hint)
        + _build_number(
            "Exposure",
            f"{_money(gross, places=0)} {unit}{share}",
            hint=f"Gross, {currency}, and of the equity",
        )
        + _build_number(
            "Quote age", format_duration(age), kind=age_kind, hint="Of the oldest mark of what is held"
        )
    )


def _build_number(label: str, html: str, *, kind: str = "", hint: str = "") -> str:
    title = escape(hint, quote=True)
    return f"<div class='wb-kpi' title='{title}'><span>{label}</span><b class='{kind}'>{html}</b></div>"


def _money(value: Decimal | None, *, places: int = 2, is_signed: bool = False) -> str:
    return UNKNOWN if value is None else format_decimal(value, places, is_signed=is_signed)


def _read(text: object) -> Decimal | None:
    try:
        return None if text is None else Decimal(str(text))
    except InvalidOperation:
        return None
