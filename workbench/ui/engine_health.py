"""Whether the parts of a live engine are well, each with its number."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html import escape
from typing import Any

from workbench.ui.engine_badges import build_dot, build_state
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_rows import build_table, format_text
from workbench.ui.engine_sight import Sight, find_quote_age
from workbench.ui.engine_status import build_light
from workbench.ui.formats import UNKNOWN, format_bytes, format_duration, tint
from workbench.ui.sparkline import build_sparkline

__all__ = ["EngineHealth", "EngineStrategies", "build_strategy", "list_health"]

type _Line = tuple[str, str, str, str]  # Kind, what, its number as text, and a hint

_LAG_MS = 200.0
_TRIP_MS = 1_000.0
_OLD_QUOTE_SECS = 10.0
_BEAT_SECS = 2.0
_QUEUED = 1_000
_DISK_SHARE = 0.05


def list_health(book: EngineBook, sight: Sight) -> list[_Line]:
    """Return what is measured: how it is, what it is, its number, and a hint."""
    return list(_list(book, sight))


def _list(book: EngineBook, sight: Sight) -> Iterator[_Line]:
    report, facts = book.report, book.facts
    if report is None:
        return
    status = report.status
    state = {"RUNNING": "ok", "STOPPED": "mute"}.get(status.state, "warn")
    yield state, "Trader", str(status.state), ""
    if status.is_alive:
        yield (
            ("ok" if status.is_guarded else "warn"),
            "Guardian",
            "watches" if status.is_guarded else "none",
            ("A second process that starts the engine again, or closes for it, when it dies"),
        )
    if status.is_alive and sight.age_secs is not None:
        age = sight.age_secs
        yield _judge(age, _BEAT_SECS), "Heartbeat", format_duration(age), "Written twice a second"
    if not facts:
        return
    for client in facts.get("clients") or []:
        is_on = bool(client.get("is_connected"))
        what = "Data" if client.get("kind") == "data" else "Venue"
        yield (
            ("ok" if is_on else "bad"),
            f"{what} {client.get('client_id')}",
            ("connected" if is_on else "DISCONNECTED"),
            "",
        )
    quote = find_quote_age(book, sight)
    yield (
        _judge(quote, _OLD_QUOTE_SECS),
        "Quotes",
        format_duration(quote),
        "Of the oldest mark of what is held",
    )
    yield from _list_loop(facts)
    if status.heartbeat is not None:
        trouble = status.heartbeat.journal_trouble
        yield ("bad" if trouble else "ok"), "Journal", trouble or f"event {status.heartbeat.last_seq:,}", ""
    alarms = int(facts.get("alarms") or 0)
    if alarms:
        yield "warn", "Alarms", f"{alarms:,}", "Since the host began; see the events"
    resources = facts.get("resources") or {}
    if resources:
        cpu, memory = resources.get("cpu_percent", 0.0), int(resources.get("memory_bytes", 0))
        yield "ok", "CPU / memory", f"{cpu:.0f} % / {format_bytes(memory)}", "Of one core"
        total = int(resources.get("disk_total_bytes") or 0)
        free = int(resources.get("disk_free_bytes") or 0)
        if total and free / total < _DISK_SHARE:
            yield "warn", "Disk", f"{format_bytes(free)} free", ""


def _list_loop(facts: dict[str, Any]) -> Iterator[_Line]:
    beat = facts.get("heartbeat") or {}
    lag = beat.get("lag_ms")
    if lag is not None:
        yield (
            _judge(float(lag), _LAG_MS),
            "Event loop lag",
            f"{float(lag):,.1f} ms",
            "How late its last turn was",
        )
    trip = facts.get("round_trip") or {}
    if trip.get("count"):
        median, worst = float(trip.get("median_ms") or 0), float(trip.get("worst_ms") or 0)
        text = f"{median:,.2f} / {worst:,.2f} ms"
        yield _judge(worst, _TRIP_MS), "Order round trip", text, "Median and longest of the last orders"
    queues = facts.get("queues") or {}
    if queues:
        waiting = sum(int(count) for count in queues.values())
        hint = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in queues.items())
        yield _judge(float(waiting), _QUEUED), "Queued messages", f"{waiting:,}", hint


def _judge(value: float | None, most: float) -> str:
    return "mute" if value is None else "ok" if value <= most else "warn"


class EngineHealth(EnginePiece):
    """
    The health of an engine: each part with its number, and the overall light with the reason why it is not green.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        rows = "".join(
            f"<div class='wb-health' title='{escape(hint, quote=True)}'>{build_dot(kind)}<span>{escape(what)}</span>"
            f"<b class='{'' if kind in {'ok', 'mute'} else kind}'>{escape(text)}</b></div>"
            for kind, what, text, hint in list_health(book, sight)
        )
        rows = rows or "<div class='wb-empty'>Nothing is known yet.</div>"
        return self._build_card("Health", rows, sight, right=build_light(book, sight), is_live=is_live)


class EngineStrategies(EnginePiece):
    """
    The strategies of an engine: whether they run, what they hold, and the traceback of one that failed.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        unit = f", {escape(book.currency)}" if book.currency else ""
        columns = [
            ("", "strategy"),
            ("", "state"),
            ("", "last hour"),
            ("n", f"realised{unit}"),
            ("n", f"open PnL{unit}"),
            ("n", "orders"),
            ("n", "positions"),
            ("n", "fills"),
        ]
        lines = [build_strategy(book, row, sight) for row in book.facts.get("strategies") or []]
        empty = (
            "No strategies: orders come by hand only."
            if book.facts
            else "Its strategies are known when it runs."
        )
        table = build_table(columns, lines, empty=empty, kind="strategies")
        return self._build_card("Strategies", table, sight, is_live=is_live)


def build_strategy(book: EngineBook, row: dict[str, Any], sight: Sight) -> str:
    """Return the row of a strategy, and under it the exception that ended it."""
    name = str(row.get("strategy_id", ""))
    held = [p for p in book.positions.values() if p.strategy_id == name]
    orders = sum(o.strategy_id == name for o in book.open_orders)
    fills = sum(f.strategy_id == name for f in book.fills.values())
    made = (book.facts.get("strategy_pnl") or {}).get(name) or {}
    why = escape(str(made.get("why") or ""), quote=True)
    realised, opened = (_build_amount(made.get(key), why) for key in ("realized", "unrealized"))
    line = build_sparkline(list(book.pnl.get(name, ())), label="What it has made, the last hour")
    error = str(row.get("error") or "")
    path = escape(str(row.get("path") or ""), quote=True)
    cells = (
        f"<td title='{path}'><b>{escape(name)}</b></td>"
        f"<td>{build_state(str(row.get('state', '')), is_fresh=sight.is_fresh)}</td><td class='line'>{line}</td>"
        f"{realised}{opened}<td class='n'>{orders:,}</td><td class='n'>{len(held):,}</td><td class='n'>{fills:,}</td>"
    )
    more = ""
    if error:
        last = error.strip().splitlines()[-1]
        more = (
            f"<tr class='more'><td colspan='8'><details id='wb-error-{escape(name, quote=True)}'><summary class='bad'>"
            f"{escape(last)}</summary><pre>{escape(error)}</pre></details></td></tr>"
        )
    return f"<tr id='wb-strategy-{escape(name, quote=True)}'>{cells}</tr>{more}"


def _build_amount(text: str | None, why: str) -> str:
    if text is None:
        return f"<td class='n' title='{why}'>{UNKNOWN}</td>"
    return f"<td class='n {tint(Decimal(text))}'>{format_text(text, is_signed=True, places=2)}</td>"
