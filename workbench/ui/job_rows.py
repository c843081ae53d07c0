"""The row of a job: how far it has come, what it holds and needs, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from html import escape

from workbench.errors import WorkbenchError
from workbench.records import Inspection, JobRecord, Progress
from workbench.states import JobState
from workbench.ui.formats import (
    UNKNOWN,
    format_bytes,
    format_decimal,
    format_duration,
    format_percent,
    format_time,
    tint,
)
from workbench.ui.inspection import build_inspection_html
from workbench.ui.sparkline import Curve, build_sparkline

__all__ = ["COLUMNS", "VERBS", "JobRow", "build_error_html", "build_row", "find_verbs"]

# Class of a column -> its head. The widths are in the style sheet.
COLUMNS = {
    "pick": "", "name": "run", "bar": "progress", "part": "", "now": "simulated time, UTC", "line": "",
    "worth": "equity", "cost": "memory, CPU", "acts": "",
}  # fmt: skip
# What is done -> what is shown until it is.
VERBS = {"pause": "pausing…", "resume": "resuming…", "cancel": "cancelling…", "requeue": "queueing again…"}
_STALE_SECS = 5.0
_CONFIRM_SECS = 60.0  # Before that little is lost
_SHORT_ID = 6
_BARS = {
    JobState.PAUSED: "warn", JobState.COMPLETED: "ok", JobState.FAILED: "bad", JobState.INTERRUPTED: "warn",
    JobState.CANCELLED: "off",
}  # fmt: skip
_ENDS = {
    JobState.COMPLETED: "done in", JobState.CANCELLED: "cancelled after", JobState.FAILED: "failed after",
    JobState.INTERRUPTED: "interrupted after",
}  # fmt: skip
_STAGES = {"load": "loading data", "save": "saving results"}


@dataclass(frozen=True)
class JobRow:
    """
    What a row shows.

    Attributes
    ----------
    record : JobRecord
        The job.
    curve : Curve, optional
        Its equity.
    wish : str
        The verb that was asked for and has not happened yet.
    error : Exception, optional
        Why what was asked for could not be done.
    held : Inspection, optional
        What it holds, where that was asked for.
    is_chosen : bool
        Whether its box is ticked.
    can_steer, can_requeue, can_open : bool
        What the reader may do.
    owner : str
        Who asked for it, where that is somebody else.
    trials : int, optional
        How many jobs belong to it.
    before : int
        How many wait before it.
    silent_secs : float
        How long it has said nothing.
    worked_secs : float
        How long it has been at work.

    """

    record: JobRecord
    curve: Curve | None = None
    wish: str = ""
    error: Exception | None = None
    held: Inspection | None = None
    is_chosen: bool = False
    can_steer: bool = False
    can_requeue: bool = False
    can_open: bool = False
    owner: str = ""
    trials: int | None = None
    before: int = 0
    silent_secs: float = 0.0
    worked_secs: float = 0.0


def find_verbs(record: JobRecord) -> tuple[str, ...]:
    """Return what can be done with a job in its state, whoever asks."""
    match record.state:
        case JobState.PENDING:
            return ("cancel",)
        case JobState.RUNNING:
            return ("pause", "cancel")
        case JobState.PAUSED:
            return ("resume", "cancel")
        case _:
            return ("requeue",)


def build_row(row: JobRow, *, is_live: bool = True) -> str:
    """
    Return the row as HTML, and under it what it holds, or why something could not be done.

    Parameters
    ----------
    row : JobRow
        What to show.
    is_live : bool
        Whether there are buttons.

    """
    record = row.record
    cells = [_build_name(row, is_live=is_live), *_build_bar(record)]
    if record.state in {JobState.PENDING, JobState.FAILED, JobState.INTERRUPTED}:
        cells.append(f"<td class='why' colspan='4'>{_build_reason(row)}</td>")
    else:
        cells += [
            f"<td class='now n'>{_build_now(row)}</td>",
            f"<td class='line'>{_build_line(row)}</td>",
            f"<td class='worth n'>{_build_worth(row)}</td>",
            f"<td class='cost n'>{_build_cost(record)}</td>",
        ]
    key = escape(record.id, quote=True)
    if not is_live:
        return f"<tr>{''.join(cells)}</tr>"
    title = escape(record.name or record.id, quote=True)
    box = (
        f"<input type='checkbox' id='wb-pick-{key}' data-action='choose' data-key='{key}' "
        f"aria-label='choose {title}'{' checked' if row.is_chosen else ''}>"
        if row.can_steer or row.can_requeue
        else ""
    )
    opens = (
        f" data-action='open' data-key='{key}'" if row.can_open else f" data-action='look' data-key='{key}'"
    )
    head = f"<tr id='wb-job-{key}' tabindex='0'{opens} aria-label='{title}, {record.state.lower()}'>"
    acts = f"<td class='acts'>{_build_actions(row)}</td>"
    return f"{head}<td class='pick'>{box}</td>{''.join(cells)}{acts}</tr>{_build_more(row)}"


def build_error_html(error: Exception) -> str:
    """Return an error whole: what is wrong, what was expected, what to do."""
    if not isinstance(error, WorkbenchError):
        return escape(str(error) or type(error).__name__)
    expected = f", expected {escape(error.expected)}" if error.expected else ""
    advice = f" <span class='mute'>{escape(error.advice)}</span>" if error.advice else ""
    return f"{escape(error.message)}{expected}.{advice}"


def _build_name(row: JobRow, *, is_live: bool) -> str:
    record = row.record
    key = escape(record.id, quote=True)
    short = escape(record.id[-_SHORT_ID:])
    if is_live:
        ident = (
            f"<button type='button' class='wb-copy' data-copy='{key}' title='{key}: copy' "
            f"aria-label='copy the id {key}'>{short}</button>"
        )
    else:
        ident = f"<span class='id' title='{key}'>{short}</span>"
    facts = [ident]
    if record.kind != "backtest":
        facts.append(escape(record.kind))
    if row.trials is not None:
        facts.append(f"{row.trials:,} {'trial' if row.trials == 1 else 'trials'}")
    if row.owner:
        facts.append(f"by {escape(row.owner)}")
    if record.requeued_from:
        again = escape(record.requeued_from, quote=True)
        facts.append(f"<span title='{again}'>again {escape(record.requeued_from[-_SHORT_ID:])}</span>")
    if record.point:
        facts.append(escape(", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in record.point.items())))
    name = escape(record.name or f"{record.kind} {record.id[:8]}")
    return (
        f"<td class='name'><div class='t' title='{escape(record.name, quote=True)}'>{name}</div>"
        f"<div class='s'>{' · '.join(facts)}</div></td>"
    )


def _build_bar(record: JobRecord) -> tuple[str, str]:
    fraction = 0.0 if record.progress is None else min(max(record.progress.fraction, 0.0), 1.0)
    if record.state == JobState.COMPLETED:
        fraction = 1.0
    is_known = record.progress is not None or record.state in {JobState.COMPLETED, JobState.PENDING}
    share = format_percent(int(fraction * 100) / 100, places=0) if is_known else UNKNOWN
    bar = (
        f"<div class='wb-bar {_BARS.get(record.state, '')}' role='progressbar' aria-valuemin='0' "
        f"aria-valuemax='100' aria-valuenow='{fraction * 100:.0f}' aria-label='progress'>"
        f"<i style='width:{fraction * 100:.1f}%'></i></div>"
    )
    return f"<td class='bar'>{bar}</td>", f"<td class='part n'>{share}</td>"


def _build_reason(row: JobRow) -> str:
    record = row.record
    if record.state == JobState.PENDING:
        reason = record.reason or _count_before(row.before)
        return f"<span class='mute'>queued: {escape(reason)}</span>"
    failure = record.failure
    colour = "bad" if record.state == JobState.FAILED else "warn"
    when = _build_end(record)
    if failure is None:
        return f"<span class='{colour}'>{when}: no reason is known</span>"
    lines = (failure.message.strip() or failure.kind).splitlines()
    first = f"<span class='{colour}'>{when}: {escape(lines[0])}</span>"
    more = [*lines[1:], failure.traceback.strip()]
    for key in ("expected", "advice"):
        if failure.detail.get(key):
            more.insert(0, f"{key}: {failure.detail[key]}")
    text = "\n".join(part for part in more if part)
    if not text:
        return first
    key = escape(record.id, quote=True)
    return f"<details id='wb-why-{key}'><summary>{first}</summary><pre>{escape(text)}</pre></details>"


def _count_before(before: int) -> str:
    return "next when a slot is free" if not before else f"{before:,} before it"


def _build_end(record: JobRecord) -> str:
    return f"{_ENDS[record.state]} {format_duration(record.elapsed_secs)}"


def _build_now(row: JobRow) -> str:
    record, progress = row.record, row.record.progress
    if record.state.is_finished:
        sharpe = record.headline.get("sharpe")
        numbers = "" if sharpe is None else f"Sharpe {format_decimal(sharpe, 2)}"
        when = escape(format_time(record.finished_at, has_seconds=True), quote=True)
        return f"<div title='ended {when} UTC'>{_build_end(record)}</div><div class='s'>{numbers}</div>"
    simulated = None if progress is None else progress.simulated_ts_ns
    if record.state == JobState.PAUSED:
        when = "paused" if simulated is None else f"paused at {_build_time(simulated)}"
        return f"<div class='warn'>{when}</div><div class='s'>{escape(record.reason)}</div>"
    if row.silent_secs >= _STALE_SECS:
        under = f"<span class='warn'>no news for {format_duration(round(row.silent_secs))}</span>"
    else:
        under = "" if progress is None else _build_pace(progress)
    return f"<div>{_build_stage(record)}</div><div class='s'>{under}</div>"


def _build_stage(record: JobRecord) -> str:
    progress = record.progress
    if progress is None:
        return "starting"
    if record.kind == "sweep":
        return f"{progress.events:,} {'trial' if progress.events == 1 else 'trials'} done"
    if progress.stage in _STAGES:
        return _STAGES[progress.stage]
    return "at work" if progress.simulated_ts_ns is None else _build_time(progress.simulated_ts_ns)


def _build_pace(progress: Progress) -> str:
    parts = [] if progress.eta_secs is None else [f"{format_duration(progress.eta_secs)} left"]
    if progress.events_per_sec:
        parts.append(f"{progress.events_per_sec:,.0f} events/s")
    return ", ".join(parts)


def _build_time(ts_ns: int) -> str:
    return f"<time>{format_time(ts_ns)}</time>"


def _build_line(row: JobRow) -> str:
    points = [] if row.curve is None else row.curve.points
    return build_sparkline(points, label=f"Equity of {row.record.name or row.record.id}")


def _build_worth(row: JobRow) -> str:
    if row.curve is None or row.curve.latest is None:
        return ""
    value = f"{format_decimal(Decimal(row.curve.latest), 2)} <small>{escape(row.curve.currency)}</small>"
    total = row.record.headline.get("total_return")
    under = ""
    if total is not None and row.record.state.is_finished:
        under = f"<span class='{tint(total)}'>{format_percent(total, is_signed=True)}</span>"
    elif row.record.progress is not None and not row.record.state.is_finished:
        count = row.record.progress.open_positions
        under = f"{count:,} {'position' if count == 1 else 'positions'}" if count else "flat"
    return f"<div>{value}</div><div class='s'>{under}</div>"


def _build_cost(record: JobRecord) -> str:
    progress = record.progress
    if record.state.is_finished:
        peak = record.peak_rss_bytes
        return f"<div title='the most that it took'>{format_bytes(peak)}</div>" if peak else ""
    rss = "" if progress is None or not progress.rss_bytes else format_bytes(progress.rss_bytes)
    is_at_work = progress is not None and record.state == JobState.RUNNING
    cpu = (
        f"{progress.cpu_percent:.0f} %" if is_at_work and progress is not None and progress.rss_bytes else ""
    )
    return f"<div>{rss}</div><div class='s'>{cpu}</div>"


def _build_actions(row: JobRow) -> str:
    record = row.record
    verbs = [v for v in find_verbs(record) if (row.can_requeue if v == "requeue" else row.can_steer)]
    buttons = [_build_button(record, verb, worked_secs=row.worked_secs) for verb in verbs if verb != "cancel"]
    if record.state == JobState.PAUSED:
        buttons.insert(0, _build_button(record, "inspect", label="close" if row.held else "inspect"))
    if row.can_open and (record.state.is_finished or row.trials is not None):
        buttons.insert(0, _build_button(record, "open"))
    if row.wish:
        buttons = [f"<span class='wb-wish' role='status'>{VERBS[row.wish]}</span>"]
    if "cancel" in verbs and row.wish != "cancel":  # Also of one that does not come to its pause
        buttons.append(_build_button(record, "cancel", worked_secs=row.worked_secs))
    return "".join(buttons)


def _build_button(record: JobRecord, verb: str, *, label: str = "", worked_secs: float = 0.0) -> str:
    key = escape(record.id, quote=True)
    confirm = " data-confirm='sure?'" if verb == "cancel" and worked_secs > _CONFIRM_SECS else ""
    title = escape(f"{verb} {record.name or record.id}", quote=True)
    return (
        f"<button type='button' class='wb-link' id='wb-{verb}-{key}' data-action='{verb}' data-key='{key}' "
        f"aria-label='{title}'{confirm}>{label or verb}</button>"
    )


def _build_more(row: JobRow) -> str:
    key = escape(row.record.id, quote=True)
    parts = []
    if row.error is not None:
        parts.append(
            f"<div class='wb-oops' role='alert'>{build_error_html(row.error)} <button type='button' class='wb-link' "
            f"data-action='forget' data-key='{key}'>dismiss</button></div>"
        )
    if row.held is not None:
        parts.append(build_inspection_html(row.held))
    if not parts:
        return ""
    return f"<tr class='more' id='wb-more-{key}'><td colspan='{len(COLUMNS)}'>{''.join(parts)}</td></tr>"
