"""The limits of a live engine, and how much of each is used, as far as its host tells that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from html import escape
from typing import NamedTuple

from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_sight import Sight
from workbench.ui.formats import format_decimal

__all__ = ["EngineLimits", "Limit", "build_limits", "find_breach", "list_limits"]

_NEAR = Decimal("0.8")
_PENDING = "What is held; the gate counts what is ordered too"
_ANY = "*"


class Limit(NamedTuple):
    """
    One limit.

    Attributes
    ----------
    label : str
        What is limited.
    used : Decimal, optional
        How much of it is used; ``None`` where the host does not tell.
    most : Decimal
        How much may be used.
    unit : str
        Of both.
    hint : str
        What is counted.
    is_fraction : bool
        Whether both are fractions, and written in per cent.

    """

    label: str
    used: Decimal | None
    most: Decimal
    unit: str = ""
    hint: str = ""
    is_fraction: bool = False

    @property
    def share(self) -> Decimal | None:
        """The part that is used: 1 is all of it."""
        return None if self.used is None or self.most <= 0 else self.used / self.most


def list_limits(book: EngineBook) -> list[Limit]:
    """Return the limits of the configuration that runs, with what of each is used."""
    return list(_list(book))


def _list(book: EngineBook) -> Iterator[Limit]:
    risk, currency = book.risk, book.currency
    valuation = book.facts.get("valuation") or {}
    day, gross, net = (_read(valuation.get(name)) for name in ("day_pnl", "gross", "net"))
    if (most := _read(risk.get("max_daily_loss"))) is not None:
        used = None if day is None else max(-day, Decimal(0))
        yield Limit("Loss today", used, most, "", f"{currency}, since the gate's day began")
    if (most := _read(risk.get("max_drawdown"))) is not None:
        yield Limit("Drawdown", None, most, "", "Of equity, since its peak", is_fraction=True)
    if (most := _read(risk.get("max_exposure"))) is not None:
        yield Limit("Gross exposure", gross, most, "", f"{currency}. {_PENDING}")
    if (most := _read(risk.get("max_net_exposure"))) is not None:
        yield Limit("Net exposure", None if net is None else abs(net), most, "", f"{currency}. {_PENDING}")
    if (most := _read(risk.get("max_margin"))) is not None:
        yield Limit("Margin", None, most, "", "Of equity, used as margin", is_fraction=True)
    yield from _list_positions(book)
    if (most := _read(risk.get("max_orders_per_sec"))) is not None:
        yield Limit("Orders", None, most, "a second", "Orders and changes within a second")


def _list_positions(book: EngineBook) -> Iterator[Limit]:
    mosts = {name: _read(most) for name, most in (book.risk.get("max_position") or {}).items()}
    held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in book.positions.values():
        held[row.instrument_id, row.side] += Decimal(row.quantity)
    names = sorted({name for name, _ in held} | (mosts.keys() - {_ANY}))
    for name in names:
        most = mosts.get(name, mosts.get(_ANY))
        if most is not None:
            used = max((held.get((name, side), Decimal(0)) for side in ("LONG", "SHORT")), default=None)
            yield Limit(name, used if book.facts else None, most, "", f"Units, long or short. {_PENDING}")
    if not names and mosts.get(_ANY) is not None:
        yield Limit("Any position", None, mosts[_ANY] or Decimal(0), "", "Units of each instrument")


class EngineLimits(EnginePiece):
    """
    The limits of an engine as bars: how much of each is used.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        unit = book.currency if list_limits(book) else ""
        breach = find_breach(book)
        right = f"<span class='bad'>{escape(breach)}</span>" if breach else escape(unit)
        return self._build_card("Limits", build_limits(book), sight, right=right, is_live=is_live)


def build_limits(book: EngineBook) -> str:
    """Return the limits as bars; one whose use is not known has none."""
    limits = list_limits(book)
    if limits:
        return "".join(_build_limit(limit) for limit in limits)
    words = "No limits are set: nothing but the trading state stops an order."
    return f"<div class='wb-empty wb-none'>{words if book.report is not None else 'Not heard yet.'}</div>"


def find_breach(book: EngineBook) -> str:
    """Return the limit that was reached, in words; nothing if none was."""
    status = None if book.report is None else book.report.status
    if status is None or status.heartbeat is None or not status.is_alive or not status.heartbeat.breach:
        return ""
    return f"{status.heartbeat.breach.replace('_', ' ').lower()} reached"


def _build_limit(limit: Limit) -> str:
    share = limit.share
    kind = "" if share is None or share < _NEAR else "bad" if share >= 1 else "warn"
    width = 0 if share is None else min(float(share) * 100, 100.0)
    percent = "" if share is None else f"{float(share) * 100:,.0f} %"
    bar = f"<div class='wb-bar {kind}' aria-hidden='true'><i style='width:{width:.1f}%'></i></div>"
    used = "" if limit.used is None else f"{_write(limit.used, limit)} of "
    text = f"{used}{_write(limit.most, limit)}{f' {limit.unit}' if limit.unit else ''}"
    title = f" title='{escape(limit.hint, quote=True)}'" if limit.hint else ""
    most = " at most" if limit.used is None else ""
    return (
        f"<div class='wb-limit'{title}><span>{escape(limit.label)}</span><small>{escape(text)}{most}</small>"
        f"<b class='{kind}'>{percent}</b>{'' if share is None else bar}</div>"
    )


def _write(value: Decimal, limit: Limit) -> str:
    if limit.is_fraction:
        return f"{format_decimal(value * 100, 1)} %"
    whole = value == value.to_integral_value() or abs(value) >= 1_000
    return format_decimal(value, 0 if whole else 2)


def _read(value: object) -> Decimal | None:
    try:
        number = None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
