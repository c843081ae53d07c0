"""The buttons that steer an engine, and the bars that say what holds: a latched stop, a lost server, what failed."""

from __future__ import annotations

from html import escape

from workbench.engine_records import EmergencyOutcome, EngineStatus, StillOpen
from workbench.errors import WorkbenchError
from workbench.states import EngineState
from workbench.ui.engine_badges import describe_policy
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_commands import EngineCommands
from workbench.ui.engine_feed import Regained
from workbench.ui.engine_question import build_question
from workbench.ui.engine_sight import Sight
from workbench.ui.feed import FeedState
from workbench.ui.formats import format_duration, format_time

__all__ = ["build_bars", "build_buttons", "build_emergency"]

_STATES = {
    "ACTIVE": ("Active", "New orders pass, within the limits"),
    "REDUCING": ("Reduce only", "No new risk: only orders that make a position smaller, and cancels"),
    "HALTED": ("Halt", "Nothing passes but cancels"),
}
_MOST_OPEN = 8
_REGAINED_SECS = 20.0


def build_buttons(book: EngineBook, sight: Sight, commands: EngineCommands) -> str:
    """Return the buttons for what can be done in this state."""
    state, busy = sight.state, commands.busy
    why = _find_bar(book)
    buttons = ""
    if state == EngineState.RUNNING and _is_alive(book):
        buttons += _build_states(book, busy.get("trading-state", ""), why)
    if state.is_down or (state == EngineState.CRASHED and not _is_alive(book)):
        label = busy.get("start") or "Start"
        buttons += _button("start", label, "p", why or ("it is being started" if "start" in busy else ""))
    if not state.is_down or _is_alive(book):
        off = why or ("" if state in _STOPPABLE else f"it is {state}")
        label = busy.get("stop") or busy.get("restart") or "Stop…"
        buttons += _button("stop", label, "", off or ("" if label == "Stop…" else "it is being done"))
    return buttons


def build_emergency(book: EngineBook, commands: EngineCommands) -> str:
    """Return the emergency stop: alone, at its full size, with what it does."""
    words = describe_policy(book.policy)
    is_trader = book.can_trade is not False
    hint = f"Shuts the gate at once, then {words}" if is_trader else "Your role may look, and not trade"
    label = "STOPPING…" if "emergency-stop" in commands.busy else "EMERGENCY STOP"
    off = "" if is_trader else " disabled"
    return (
        "<div class='wb-emergency'><button class='wb-btn wb-stop' type='button' id='wb-emergency' "
        f"data-action='emergency-stop' data-confirm='CLICK TO STOP NOW' title='{escape(hint, quote=True)}' "
        f"aria-describedby='wb-emergency-note'{off}>{label}</button>"
        f"<small id='wb-emergency-note'>{escape(words)}</small></div>"
    )


def build_bars(
    book: EngineBook,
    sight: Sight,
    commands: EngineCommands,
    *,
    reason: str,
    regained: Regained | None,
) -> str:
    """Return what must be seen whatever else is looked at; `reason` is what was typed to clear a stop."""
    parts = [_build_lost(sight), _build_missing(book), _build_latch(book, commands, reason)]
    parts.append(_build_regained(book, sight, regained))
    if book.gap is not None:
        lost = max(book.gap.first - book.gap.requested, 0)
        parts.append(
            f"<div class='wb-note warn' role='status'>{lost:,} events are no longer kept, and are not shown.</div>"
        )
    parts += [_build_error(key, error) for key, error in commands.errors.items() if ":" not in key]
    question = commands.find_question()
    if question is not None:
        parts.append(build_question(question, commands.typed))
    return "".join(parts)


_STOPPABLE = frozenset({EngineState.RUNNING, EngineState.STARTING, EngineState.CRASHED})


def _is_alive(book: EngineBook) -> bool:
    return book.report is not None and book.report.status.is_alive


def _find_bar(book: EngineBook) -> str:
    """Return why nothing can be done, or nothing."""
    if book.can_trade is False:
        return "your role may look, and not trade"
    if book.missing is not None:
        return "there is no such engine"
    return "" if book.report is not None else "it has not been heard yet"


def _build_states(book: EngineBook, busy: str, why: str) -> str:
    heartbeat = None if book.report is None else book.report.status.heartbeat
    current = "" if heartbeat is None else heartbeat.trading_state
    is_latched = book.report is not None and book.report.status.latch is not None
    buttons = ""
    for state, (label, hint) in _STATES.items():
        # Less risk takes one click. More takes two: the server says when, and what is at stake.
        off = why or busy or ("an emergency stop holds" if is_latched and state != "HALTED" else "")
        pressed = "true" if state == current else "false"
        buttons += (
            f"<button type='button' id='wb-state-{state}' data-action='trading-state' data-key='{state}' "
            f"aria-pressed='{pressed}' title='{escape(off or hint, quote=True)}'{' disabled' if off else ''}>"
            f"{label}</button>"
        )
    return f"<span class='wb-group wb-states' role='group' aria-label='Trading state'>{buttons}</span>"


def _button(action: str, label: str, kind: str, off: str) -> str:
    title = f" title='{escape(off, quote=True)}' disabled" if off else ""
    return (
        f"<button class='wb-btn {kind}' type='button' id='wb-{action}' data-action='{action}'{title}>"
        f"{escape(label)}</button>"
    )


def _build_lost(sight: Sight) -> str:
    if sight.feed.state not in {FeedState.LOST, FeedState.REFUSED}:
        return ""
    at = "" if sight.feed.heard_at is None else format_time(int(sight.feed.heard_at * 1e9), has_seconds=True)
    seen = f" What you see is from {at} UTC." if at else ""
    if sight.feed.state == FeedState.REFUSED:
        words = f"<b>The server refuses.</b> {escape(str(sight.feed.error or ''))}"
    else:
        words = (
            f"<b>The server does not answer.</b>{seen} The engine goes on without it; an emergency stop works on its "
            "machine: <code class='wb-code'>workbench engine emergency-stop</code>"
        )
    return f"<div class='wb-lost' role='alert'><span>{words}</span></div>"


def _build_regained(book: EngineBook, sight: Sight, regained: Regained | None) -> str:
    if regained is None or sight.now - regained.at > _REGAINED_SECS or sight.feed.state != FeedState.LIVE:
        return ""
    # Numbers have no holes: what lies between is what happened. An engine that was never heard has told nothing.
    count = book.seq - regained.seq if regained.seq else 0
    missed = (
        f" {count:,} event{'' if count == 1 else 's'} since it was lost, none is missing." if count else ""
    )
    return (
        f"<div class='wb-lost' role='status'><span>The server was away for {format_duration(regained.away_secs)}. "
        f"It is back, and everything was asked for again.{'' if book.gap else missed}</span></div>"
    )


def _build_missing(book: EngineBook) -> str:
    if book.missing is None:
        return ""
    return (
        f"<div class='wb-lost' role='alert'><span><b>{escape(book.missing.message)}.</b> Write its configuration "
        "first: with the form <code class='wb-code'>EngineConfiguration</code>, or <code class='wb-code'>"
        "workbench engine config set</code>.</span></div>"
    )


def _build_error(key: str, error: Exception) -> str:
    what = {
        "emergency-stop": "The emergency stop was not heard",
        "trading-state": "The trading state is as it was",
    }
    title = what.get(key, "This was not done")
    message = error.message if isinstance(error, WorkbenchError) else str(error) or type(error).__name__
    advice = error.advice if isinstance(error, WorkbenchError) else ""
    if key == "emergency-stop":
        advice = "On the engine's machine it works without a server: workbench engine emergency-stop"
    more = f" <span class='mute'>{escape(advice)}</span>" if advice else ""
    return (
        f"<div class='wb-problem' role='alert'><b>{title}:</b> {escape(message)}{more} "
        f"<button class='wb-link' type='button' data-action='forget' data-key='{escape(key, quote=True)}'>"
        "Dismiss</button></div>"
    )


def _build_latch(book: EngineBook, commands: EngineCommands, reason: str) -> str:
    status = None if book.report is None else book.report.status
    if status is None or status.latch is None:
        return ""
    latch = status.latch
    at = format_time(latch.at, has_seconds=True)
    why = f": {escape(latch.reason)}" if latch.reason else ""
    outcome = _find_outcome(book, status)
    is_busy = "emergency-clear" in commands.busy
    off = "" if reason.strip() and not is_busy and book.can_trade is not False else " disabled"
    return (
        f"<div class='wb-latch' role='alert'><div><b>EMERGENCY STOP</b> since {at} UTC, by {escape(latch.by)}{why}. "
        f"{_describe_outcome(outcome)}{_build_open(outcome)}</div><div class='wb-ask-acts'>"
        "<input class='wb-input' id='wb-clear-reason' type='text' data-action='reason' data-live "
        "aria-label='Why it is safe to clear it' placeholder='Why it is safe to clear it' "
        f"value='{escape(reason, quote=True)}'>"
        f"<button class='wb-btn' type='button' id='wb-clear' data-action='clear'{off}>"
        f"{'Clearing…' if is_busy else 'Clear…'}</button></div></div>"
    )


def _find_outcome(book: EngineBook, status: EngineStatus) -> EmergencyOutcome | None:
    latch, outcome = status.latch, status.outcome
    if latch is None or outcome is None or outcome.latch.ts_ns != latch.ts_ns:
        return None
    return outcome


def _describe_outcome(outcome: EmergencyOutcome | None) -> str:
    if outcome is None:
        return "It is not known yet what it closed."
    done = f"{outcome.cancelled:,} cancelled, {outcome.closed:,} closed"
    if outcome.settled_ns is None:
        return f"It goes on: {done}, try {max(outcome.attempts, 1):,}."
    if outcome.still_open:
        return f"It has done what it could: {done}. <b>STILL OPEN:</b>"
    return f"Finished: {done}, nothing is open."


def _build_open(outcome: EmergencyOutcome | None) -> str:
    if outcome is None or not outcome.still_open:
        return ""
    items = "".join(f"<li>{_describe_open(one)}</li>" for one in outcome.still_open[:_MOST_OPEN])
    more = len(outcome.still_open) - _MOST_OPEN
    return f"<ul>{items}{f'<li>and {more:,} more</li>' if more > 0 else ''}</ul>"


def _describe_open(one: StillOpen) -> str:
    what = " ".join(filter(None, (one.kind, one.quantity, one.instrument_id, one.key)))
    return f"{escape(what)} <span class='mute'>{escape(one.reason)}</span>"
