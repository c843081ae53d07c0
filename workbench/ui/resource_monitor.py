"""What a live engine takes of its machine: processor, memory, threads, files, disk, and how its loop keeps up."""

from __future__ import annotations

from collections import deque
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_sight import Sight
from workbench.ui.formats import UNKNOWN, format_bytes
from workbench.ui.sparkline import build_sparkline

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.client.client import Client

__all__ = ["ResourceMonitor"]

_MOST_SAMPLES = 300  # Five minutes
_CORE = 90.0
_LAG_MS = 200.0
_DISK_SHARE = 0.05


class ResourceMonitor(EnginePiece):
    """
    The resources of an engine's host now, and over the last five minutes.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(client, name)
        self._past: dict[str, deque[tuple[int, float]]] = {}
        self._seen_at = 0.0

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        values = _read_values(book)
        if values and book.answered_at > self._seen_at:
            self._seen_at = book.answered_at
            for name, value in values.items():
                past = self._past.setdefault(name, deque(maxlen=_MOST_SAMPLES))
                past.append((int(book.answered_at * 1e9), value))
        if not values:
            body = "<div class='wb-empty wb-none'>The host says nothing: it does not run, or it hangs.</div>"
        else:
            body = "".join(self._build_line(name, values) for name in _LINES if name in values)
        return self._build_card("Resources", body, sight, right=escape(sight.words), is_live=is_live)

    def _build_line(self, name: str, values: dict[str, float]) -> str:
        label, write = _LINES[name]
        line = build_sparkline(list(self._past.get(name, ())), label=f"{label}, the last five minutes")
        kind = " warn" if _is_high(name, values) else ""
        return (
            f"<div class='wb-resource'><span>{label}</span>{line or '<i></i>'}<b class='{kind.strip()}'>"
            f"{escape(write(values[name]))}</b></div>"
        )


_LINES: dict[str, tuple[str, Callable[[float], str]]] = {
    "cpu_percent": ("CPU, of one core", lambda v: f"{v:.0f} %"),
    "memory_bytes": ("Memory", lambda v: format_bytes(int(v))),
    "threads": ("Threads", lambda v: f"{v:,.0f}"),
    "descriptors": ("Open files", lambda v: f"{v:,.0f}"),
    "disk_free_bytes": ("Disk free", lambda v: format_bytes(int(v))),
    "lag_ms": ("Event loop lag", lambda v: f"{v:,.1f} ms"),
    "queued": ("Queued messages", lambda v: f"{v:,.0f}"),
    "disk_total_bytes": ("Disk", lambda v: format_bytes(int(v)) if v else UNKNOWN),
}


def _read_values(book: EngineBook) -> dict[str, float]:
    facts: dict[str, Any] = book.facts
    resources = facts.get("resources") or {}
    found = {name: float(resources[name]) for name in _LINES if resources.get(name) is not None}
    if not found:
        return {}
    lag = (facts.get("heartbeat") or {}).get("lag_ms")
    if lag is not None:
        found["lag_ms"] = float(lag)
    queues = facts.get("queues")
    if queues:
        found["queued"] = float(sum(queues.values()))
    return found


def _is_high(name: str, values: dict[str, float]) -> bool:
    value = values[name]
    if name == "disk_free_bytes":
        return value < values.get("disk_total_bytes", 0.0) * _DISK_SHARE
    return (name == "cpu_percent" and value > _CORE) or (name == "lag_ms" and value > _LAG_MS)
