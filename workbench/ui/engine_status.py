"""Whether a live engine is well, in one line, and why not if it is not."""

from __future__ import annotations

from html import escape

from workbench.ui.engine_badges import build_badge, build_dot, build_environment, build_state
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_sight import Sight
from workbench.ui.feed import FeedState

__all__ = ["EngineStatusIndicator", "build_light", "find_faults"]


def find_faults(book: EngineBook, sight: Sight) -> list[str]:
    """Return why the overall light is not green, the gravest first; empty if it is."""
    faults: list[str] = []
    if sight.feed.state == FeedState.LOST:
        faults.append("the server does not answer: nothing is known of the engine now")
    elif sight.feed.state == FeedState.REFUSED:
        faults.append(f"the server refuses: {sight.feed.error}")
    if book.missing is not None:
        faults.append(book.missing.message)
    report = book.report
    if report is None:
        return faults or ["it has not been heard yet"]
    faults += report.status.reasons
    if report.trouble:
        faults.append(report.trouble)
    facts = book.facts
    faults += [
        f"{client['client_id']} ({client['kind']}) is not connected"
        for client in facts.get("clients") or []
        if not client.get("is_connected")
    ]
    faults += [
        f"feed {feed.get('client_id')}: {feed.get('problem')}"
        for feed in facts.get("feeds") or []
        if feed.get("problem")
    ]
    faults += [
        f"strategy {row['strategy_id']} failed" for row in facts.get("strategies") or [] if row.get("error")
    ]
    missing = (facts.get("valuation") or {}).get("missing")
    if missing:
        faults.append(f"no equity: {missing}")
    return faults


def build_light(book: EngineBook, sight: Sight) -> str:
    """Return the overall light with the first reason why it is not green; all of them on hover."""
    faults = find_faults(book, sight)
    if not faults:
        return f"<span class='wb-light ok'>{build_dot('ok')}healthy</span>"
    kind = "bad" if _is_grave(book, sight) else "warn"
    hint = escape("\n".join(faults), quote=True)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"<span class='wb-light {kind}' title='{hint}'>{build_dot(kind)}{escape(faults[0])}{more}</span>"


def _is_grave(book: EngineBook, sight: Sight) -> bool:
    status = None if book.report is None else book.report.status
    if status is None or sight.feed.state in {FeedState.LOST, FeedState.REFUSED}:
        return True
    is_wanted = status.desired is not None and status.desired.state == "RUNNING"
    return (
        status.latch is not None
        or sight.state in {"CRASHED", "FAILED"}
        or (is_wanted and not status.is_alive)
    )


class EngineStatusIndicator(EnginePiece):
    """
    An engine in one line: its state, SANDBOX or LIVE, what its gate lets through, and one light.

    The light says why it is not green.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        heartbeat = None if book.report is None else book.report.status.heartbeat
        gate = ""
        if heartbeat is not None and sight.state == "RUNNING" and heartbeat.trading_state != "ACTIVE":
            gate = build_state(heartbeat.trading_state, is_fresh=sight.is_fresh)
        old = build_badge(sight.words, "warn") if sight.words and sight.state == "RUNNING" else ""
        return (
            f"<div class='wb-engine-row wb-indicator{' is-live' if sight.is_live else ''}' role='status'>"
            f"<span class='wb-name'>{escape(self._name)}</span>{build_state(sight.state, is_fresh=sight.is_fresh)}"
            f"{build_environment(sight)}{gate}{old}{build_light(book, sight)}</div>"
        )
