"""What happens in a live engine, the newest first, in words."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.engine_records import EngineEvent, LogLine
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_rows import format_clock, format_text
from workbench.ui.engine_sight import Sight
from workbench.ui.engine_table import EngineTable

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.ui.engine_piece import EnginePiece
    from workbench.ui.live_html import Action

__all__ = ["LogTable", "describe_event", "find_tone"]

_GROUPS: dict[str, frozenset[str] | None] = {
    "All": None,
    "Orders": frozenset({"order", "position", "account"}),
    "Engine": frozenset({"engine", "strategy", "gate", "alarm"}),
    "Alarms": frozenset({"alarm"}),
}
_LOG = "Log"
_LEVELS = {"Info": "INFO", "Warnings": "WARNING", "Errors": "ERROR"}
_TONES = {"ERROR": "bad", "WARNING": "warn"}
_MOST_ROWS = 60
_RATE_SECS = 5.0
_MOST_TEXT = 220
_BAD = frozenset({"OrderDenied", "OrderRejected", "StrategyFailed", "EmergencyStop", "OrderCancelRejected"})
_HIDDEN = frozenset(
    {"type", "event_id", "trader_id", "ts_event", "ts_init", "account_id", "component_type", "traceback"}
)


def find_tone(event: EngineEvent) -> str:
    """Return the class of an event's text: ``bad`` for what went wrong, ``warn`` for what limits trading."""
    if event.kind == "alarm" or event.name in _BAD or event.name == "OrderModifyRejected":
        return "bad"
    return "warn" if event.kind == "gate" else ""


def describe_event(event: EngineEvent) -> str:
    """Return an event in words, as HTML."""
    try:
        body = msgspec.json.decode(event.body)
    except msgspec.DecodeError:
        return ""
    if isinstance(body, list):  # What came of market data
        return (
            f"{sum(one.get('count', 0) for one in body if isinstance(one, dict)):,} messages of market data"
        )
    if not isinstance(body, Mapping):
        return ""
    strategy = body.get("strategy_id")
    by = f" · {escape(str(strategy))}" if strategy else ""
    match event.name:
        case "OrderFilled":
            text = (
                f"{_text(body, 'order_side')} {_number(body, 'last_qty')} {_text(body, 'instrument_id')} @ "
            )
            return f"{text}{_number(body, 'last_px')}{by}"
        case "OrderInitialized":
            price = (body.get("options") or {}).get("price")
            at = f" @ {format_text(str(price))}" if price else ""
            text = f"{_text(body, 'order_side')} {_number(body, 'quantity')} {_text(body, 'instrument_id')}"
            return f"{text} {_text(body, 'order_type')}{at}{by}"
        case "PositionOpened" | "PositionChanged" | "PositionClosed":
            text = f"{_text(body, 'side')} {_number(body, 'quantity')} {_text(body, 'instrument_id')}"
            return f"{text} · realised {_text(body, 'realized_pnl')}{by}"
        case "AccountState":
            balances = [
                f"{format_text(str(b.get('total')))} {escape(str(b.get('currency')))}"
                for b in body.get("balances") or []
            ]
            return f"{_text(body, 'account_id')}: {', '.join(balances[:4])}"
        case "ComponentStateChanged":
            return f"{_text(body, 'component_id')} is {_text(body, 'state')}"
        case "EmergencySettled" | "EmergencyProgress":
            left = len(body.get("still_open") or [])
            return f"{_number(body, 'cancelled')} cancelled, {_number(body, 'closed')} closed, {left:,} still open"
        case "StateChanged":
            return f"{_text(body, 'before')} becomes {_text(body, 'state')}"
    if body.get("reason") and event.kind in {"order", "gate"}:
        return f"{escape(str(body['reason']))[:_MOST_TEXT]}{by}"
    if event.kind == "order":
        return f"<span class='id'>{_text(body, 'client_order_id')}</span>{by}"
    return escape(_join(body))


def _text(body: Mapping[str, Any], name: str) -> str:
    return escape(str(body.get(name) or ""))


def _number(body: Mapping[str, Any], name: str) -> str:
    return format_text(str(body.get(name) or ""))


def _join(body: Mapping[str, Any]) -> str:
    parts = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in body.items()
        if name not in _HIDDEN and isinstance(value, str | int | float) and value != ""
    ]
    return ", ".join(parts)[:_MOST_TEXT]


class LogTable(EngineTable):
    """
    The last events of an engine's journal; or nautilus's own log beside the journal's alarms.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "Events"

    def __init__(self, client: Client, name: str = "default", *, host: EnginePiece | None = None) -> None:
        super().__init__(client, name, host=host)
        self._group = "All"
        self._level = "Info"
        self._rows: dict[str, str] = {}  # An event is described once

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the list, with a switch for what is listed."""
        if self._group == _LOG:
            entries = _list_log(book)
        else:
            kinds = _GROUPS[self._group]
            events = (e for e in reversed(book.events) if kinds is None or e.kind in kinds)
            entries = [*islice(events, _MOST_ROWS)]
        rows = {
            _name(one): self._rows.get(_name(one))
            or (_build_row(one) if isinstance(one, EngineEvent) else _build_line(*one))
            for one in entries
        }
        self._rows = rows
        body = "".join(rows.values())
        table = (
            f"<div class='wb-scroll wb-feed' tabindex='0' aria-label='Events'><table class='wb-events'><tbody>{body}"
            "</tbody></table></div>"
            if rows
            else "<div class='wb-empty wb-none'>Nothing has happened yet.</div>"
        )
        return f"{self._build_groups()}{table}" if is_live else table

    def close(self) -> None:
        """Follow the engine no longer, nor its log."""
        if self._group == _LOG:
            self._feed.follow_log("")
        super().close()

    def take(self, action: Action) -> None:
        """List something else."""
        if action.name == "events" and action.key in {*_GROUPS, _LOG}:
            self._group = action.key
        elif action.name == "log-level" and action.key in _LEVELS:
            self._level = action.key
        else:
            return
        self._feed.follow_log(_LEVELS[self._level] if self._group == _LOG else "")

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        since_ns = (sight.now - _RATE_SECS) * 1e9
        recent = sum(event.ts_ns > since_ns for event in book.events)
        right = f"live, {recent / _RATE_SECS:,.0f}/s" if sight.is_fresh else sight.words
        body = self.build_body(book, sight, is_live=is_live)
        return self._build_card(self.title, body, sight, right=escape(right), is_live=is_live)

    def _build_groups(self) -> str:
        groups = _build_switch("events", [*_GROUPS, _LOG], self._group, "What is listed")
        if self._group != _LOG:
            return groups
        return groups + _build_switch("log-level", [*_LEVELS], self._level, "Which lines of the log")


def _build_switch(action: str, names: list[str], chosen: str, label: str) -> str:
    buttons = "".join(
        f"<button type='button' id='wb-{action}-{name}' data-action='{action}' data-key='{name}' "
        f"aria-pressed='{'true' if name == chosen else 'false'}'>{name}</button>"
        for name in names
    )
    return f"<div class='wb-group' role='group' aria-label='{label}'>{buttons}</div>"


def _list_log(book: EngineBook) -> list[EngineEvent | tuple[int, LogLine]]:
    """Return the last lines of the log, and the alarms of the same time, the newest first."""
    lines: list[EngineEvent | tuple[int, LogLine]] = list(book.log)
    oldest_ns = book.log[0][0] if book.log else 0
    alarms = [e for e in book.events if e.kind == "alarm" and e.ts_ns >= oldest_ns]
    return sorted([*lines, *alarms], key=_find_time, reverse=True)[:_MOST_ROWS]


def _find_time(entry: EngineEvent | tuple[int, LogLine]) -> int:
    return entry.ts_ns if isinstance(entry, EngineEvent) else entry[0]


def _name(entry: EngineEvent | tuple[int, LogLine]) -> str:
    if isinstance(entry, EngineEvent):
        return str(entry.seq)
    ts_ns, line = entry
    return f"{ts_ns}-{line.level}-{line.component}-{line.message}"


def _build_line(ts_ns: int, line: LogLine) -> str:
    text = line.message if len(line.message) <= _MOST_TEXT else f"{line.message[:_MOST_TEXT]}…"
    return (
        f"<tr><td class='t'>{format_clock(ts_ns)}</td><td>{escape(line.component)}</td>"
        f"<td class='what {_TONES.get(line.level, '')}' title='{escape(line.level)}'>{escape(text)}</td></tr>"
    )


def _build_row(event: EngineEvent) -> str:
    return (
        f"<tr id='wb-event-{event.seq}'><td class='t'>{format_clock(event.ts_ns)}</td><td>{escape(event.name)}</td>"
        f"<td class='what {find_tone(event)}'>{describe_event(event)}</td></tr>"
    )
