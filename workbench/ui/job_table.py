"""The card with the list of jobs: what all of them take, what is listed, the rows, and the states without rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from workbench.errors import AuthenticationError, ForbiddenError
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.ui.feed import FeedState, FeedStatus
from workbench.ui.formats import format_duration
from workbench.ui.job_list import GROUPS, ORDERS, JobWish
from workbench.ui.job_rows import COLUMNS, JobRow, build_error_html, build_row, find_verbs

__all__ = ["JobTable", "Load", "build_table"]

_GIGABYTE = 1_000_000_000
_EMPTY = {
    "all": "No run", "running": "Nothing runs", "waiting": "Nothing waits", "done": "Nothing is done",
    "failed": "Nothing failed",
}  # fmt: skip
_BULK = ("pause", "resume", "cancel", "requeue")


@dataclass(frozen=True)
class Load:
    """
    What all jobs together take.

    Attributes
    ----------
    running : int
        How many are at work and have a slot.
    events_per_sec, cpu_percent : float
        Their sum; CPU in percent of one core.
    rss_bytes : int
        The memory of those at work or held.

    """

    running: int = 0
    events_per_sec: float = 0.0
    cpu_percent: float = 0.0
    rss_bytes: int = 0

    @classmethod
    def of(cls, records: Sequence[JobRecord]) -> Load:
        """Return what these jobs take; a sweep takes nothing but what its trials do."""
        held = [r for r in records if not r.state.is_finished and r.kind != "sweep"]
        reports = [r.progress for r in held if r.progress is not None]
        working = [r.progress for r in held if r.state == JobState.RUNNING and r.progress is not None]
        return cls(
            running=sum(r.state == JobState.RUNNING for r in held),
            events_per_sec=sum(p.events_per_sec for p in working),
            cpu_percent=sum(p.cpu_percent for p in working),
            rss_bytes=sum(p.rss_bytes for p in reports),
        )


@dataclass(frozen=True)
class JobTable:
    """
    What the card shows.

    Attributes
    ----------
    wish : JobWish
        What is listed.
    rows : sequence of JobRow
        The list, in order.
    total : int
        How many there are on all pages.
    load : Load
        What all jobs take.
    resources : Mapping, optional
        ``slots`` and ``memory_bytes`` of the server.
    status : FeedStatus
        Whether this is true now.
    now : float
        Seconds since the epoch.
    problem : Exception, optional
        Why the server could not be asked.
    is_loaded : bool
        Whether the list is the server's.
    can_steer : bool
        Whether the reader may do anything.
    is_live : bool
        Whether there are controls.

    """

    wish: JobWish
    rows: Sequence[JobRow] = ()
    total: int = 0
    load: Load = field(default_factory=Load)
    resources: Mapping[str, Any] | None = None
    status: FeedStatus = field(default_factory=lambda: FeedStatus(FeedState.CONNECTING))
    now: float = 0.0
    problem: Exception | None = None
    is_loaded: bool = False
    can_steer: bool = False
    is_live: bool = True


def build_table(table: JobTable) -> str:
    """Return the card."""
    is_stale = table.is_live and table.status.state in {FeedState.LOST, FeedState.REFUSED, FeedState.CLOSED}
    head = (
        "<div class='wb-head' role='heading' aria-level='3'>Runs"
        f"<span class='r'>{_build_load(table)}</span></div>"
    )
    notice = _build_notice(table) if is_stale or table.problem is not None else ""
    controls = _build_controls(table) if table.is_live and table.is_loaded else ""
    kind = " is-stale" if is_stale else ""
    return f"<div class='wb-card wb-runs{kind}'>{head}{notice}{controls}{_build_body(table)}</div>"


def _build_load(table: JobTable) -> str:
    if table.resources is None:
        return ""
    load, slots = table.load, table.resources["slots"]
    parts = [f"{load.running:,} of {slots:,} {'slot' if slots == 1 else 'slots'}"]
    if load.running:
        parts.append(f"{_shorten_count(load.events_per_sec)} events/s")
        parts.append(f"CPU {load.cpu_percent:.0f} %")
    most = table.resources["memory_bytes"] / _GIGABYTE
    parts.append(f"{load.rss_bytes / _GIGABYTE:.1f} of {most:.{0 if most >= 10 else 1}f} GB")
    if not table.is_live:
        parts.append(f"as of {_format_clock(table.now)}")
    return ", ".join(parts)


def _shorten_count(count: float) -> str:
    if count < 1_000:
        return f"{count:.0f}"
    return (
        f"{count / 1_000:.{1 if count < 10_000 else 0}f} k"
        if count < 1_000_000
        else f"{count / 1_000_000:.1f} M"
    )


def _build_notice(table: JobTable) -> str:
    status, error = table.status, table.problem or table.status.error
    is_refused = status.state == FeedState.REFUSED or isinstance(error, AuthenticationError | ForbiddenError)
    if is_refused and error is not None:
        text = f"<b>The server does not let you in.</b> {build_error_html(error)}"
    elif status.state == FeedState.LOST:
        text = (
            f"<b>The server is lost{_build_age(table)}.</b> It is looked for all the time; its jobs are kept."
        )
    elif status.state == FeedState.CLOSED and table.is_live and error is None:
        text = f"<b>Not followed any more{_build_age(table)}.</b>"
    elif error is not None:
        text = f"<b>The runs could not be read.</b> {build_error_html(error)}"
    else:
        return ""
    button = "<button type='button' class='wb-btn' id='wb-runs-retry' data-action='retry'>Try now</button>"
    return f"<div class='wb-lost' role='status'><span>{text}</span>{button if table.is_live else ''}</div>"


def _build_age(table: JobTable) -> str:
    if table.status.heard_at is None:
        return ""
    secs = max(round(table.now - table.status.heard_at), 0)
    clock = _format_clock(table.status.heard_at)
    return f" for {format_duration(secs) if secs >= 10 else f'{secs} s'}: this is as of {clock}"


def _format_clock(secs: float) -> str:
    return f"{datetime.fromtimestamp(secs, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _build_controls(table: JobTable) -> str:
    wish = table.wish
    groups = "".join(
        f"<button type='button' id='wb-runs-{name}' data-action='group' data-key='{name}' "
        f"aria-pressed='{'true' if name == wish.group else 'false'}'>{name}</button>"
        for name in GROUPS
    )
    orders = "".join(
        f"<option value='{key}'{' selected' if key == wish.sort else ''}>{text}</option>"
        for key, text in ORDERS.items()
    )
    trials = (
        "<label class='wb-check' title='list the trials of sweeps like other runs'>"
        "<input type='checkbox' id='wb-runs-trials' data-action='trials'"
        f"{' checked' if wish.has_trials else ''}> trials</label>"
    )
    return (
        f"<div class='wb-tools'><div class='wb-group' role='group' aria-label='state'>{groups}</div>"
        f"<input class='wb-input' type='search' id='wb-runs-text' data-action='text' data-live "
        f"value='{escape(wish.text, quote=True)}' placeholder='name or id' aria-label='name or id'>"
        f"<select class='wb-input' id='wb-runs-sort' data-action='sort' aria-label='order'>{orders}</select>"
        f"{trials}<div class='wb-bulk'>{_build_bulk(table)}</div></div>"
    )


def _build_bulk(table: JobTable) -> str:
    chosen = [row for row in table.rows if row.is_chosen]
    if not chosen:
        return ""
    parts = [f"<span class='mute'>{len(chosen):,} chosen</span>"]
    for verb in _BULK:
        can = [row for row in chosen if verb in find_verbs(row.record)]
        count = sum(row.can_requeue if verb == "requeue" else row.can_steer for row in can)
        if count:
            confirm = f" data-confirm='{verb} {count:,}: sure?'" if verb == "cancel" else ""
            parts.append(
                f"<button type='button' class='wb-link' id='wb-bulk-{verb}' data-action='{verb}' data-key='*'"
                f"{confirm}>{verb} {count:,}</button>"
            )
    parts.append("<button type='button' class='wb-link' data-action='choose-none'>none</button>")
    return "".join(parts)


def _build_body(table: JobTable) -> str:
    if not table.is_loaded:
        text = "" if table.problem is not None else "Loading the runs…"
        return f"<div class='wb-empty'>{text}</div>" if text else ""
    if not table.rows:
        return f"<div class='wb-empty'>{_explain_emptiness(table.wish)}</div>"
    names = [n for n in COLUMNS if table.is_live or n not in {"pick", "acts"}]
    columns = "".join(f"<col class='{name}'>" for name in names)
    heads = "".join(_build_head(table, name) for name in names)
    rows = "".join(build_row(row, is_live=table.is_live) for row in table.rows)
    return (
        f"<table class='wb-jobs'><colgroup>{columns}</colgroup><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{_build_pages(table)}"
    )


def _build_head(table: JobTable, name: str) -> str:
    if name == "pick":
        if not table.can_steer:
            return "<th class='pick'></th>"
        is_all = all(row.is_chosen for row in table.rows)
        return (
            "<th class='pick'><input type='checkbox' id='wb-pick-all' data-action='choose-all' "
            f"aria-label='choose all'{' checked' if is_all else ''}></th>"
        )
    kind = " n" if name in {"now", "worth", "cost"} else ""
    return f"<th class='{name}{kind}'>{COLUMNS[name]}</th>"


def _explain_emptiness(wish: JobWish) -> str:
    if wish.group == "all" and not wish.text and not wish.offset:
        return "No runs yet: choose a strategy and press Run."
    what = f" with “{escape(wish.text)}”" if wish.text else ""
    return (
        f"{_EMPTY[wish.group]}{what}. "
        "<button type='button' class='wb-link' data-action='all'>show all</button>"
    )


def _build_pages(table: JobTable) -> str:
    wish, shown = table.wish, len(table.rows)
    total = max(table.total, wish.offset + shown)
    if total <= shown and not wish.offset:
        return ""
    parts = [f"<span class='mute'>{wish.offset + 1:,} to {wish.offset + shown:,} of {total:,}</span>"]
    if table.is_live and wish.offset:
        parts.append(
            "<button type='button' class='wb-link' id='wb-runs-less' data-action='less'>back</button>"
        )
    if table.is_live and wish.offset + shown < total:
        parts.append(
            "<button type='button' class='wb-link' id='wb-runs-more' data-action='more'>more</button>"
        )
    return f"<div class='wb-pages'>{''.join(parts)}</div>"
