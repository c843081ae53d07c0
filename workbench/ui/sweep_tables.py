"""A sweep as HTML: how far it is, what its best trial is worth, its trials, and its folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from workbench.analysis.definitions import DEFINITIONS
from workbench.states import JobState
from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_decimal, format_percent, shorten, tint
from workbench.ui.paging import PAGE_ROWS, TableState, build_pager, build_sort_header, sort_rows
from workbench.ui.run_sections import build_state
from workbench.ui.sweep_data import TRIAL_METRICS, SweepData

__all__ = ["build_folds", "build_sweep_head", "build_trials"]

_TABLE = "trials"
_SIGNED = frozenset({"total_return", "annualised_return", "max_drawdown", "max_drawdown_intraday"})
_ENOUGH = 0.95  # of the deflated Sharpe ratio, as its authors ask for
_HALF = 0.5  # a PBO above it: choosing the best in sample is worse than a coin
_DEFLATED = (
    "A probability: that the best trial's true Sharpe ratio is above what the best of as many worthless trials would "
    "show. Its authors ask for 0.95. Source: Bailey and López de Prado 2014, The Deflated Sharpe Ratio."
)
_PBO = (
    "A probability, of backtest overfitting: that the trial which is best in one half of the days is below the "
    "median in the other half. Source: Bailey, Borwein, López de Prado and Zhu 2017."
)


def build_sweep_head(data: SweepData, *, notice: str = "", is_live: bool) -> str:
    """Return the head: name, progress, what the best is worth; with `is_live` buttons to steer it."""
    record = data.record
    done = int(data.trials["state"].map(lambda state: JobState(state).is_finished).sum())
    counts = data.trials["state"].value_counts()
    parts = [
        f"{counts[state]:,} {str(state).lower()}"
        for state in JobState
        if state in counts.index and counts[state]
    ]
    expected = max(data.expected, len(data.trials))
    share = done / expected if expected else 0.0
    bar = {JobState.COMPLETED: "ok", JobState.PAUSED: "warn", JobState.FAILED: "bad"}.get(record.state, "")
    tools = _build_tools(record.state, record.id) if is_live else ""
    title = escape(record.name or "Sweep")
    head = (
        f"<div class='wb-head' role='heading' aria-level='3'><span class='wb-name'>{title}</span> "
        f"{shorten(record.id, most=24)}<span class='r wb-acts'>{tools}</span></div>"
    )
    progress = (
        f"<div class='wb-bar {bar}' role='progressbar' aria-valuemin='0' aria-valuemax='{expected}' "
        f"aria-valuenow='{done}' aria-label='Trials'><i style='width:{share:.1%}'></i></div>"
        f"<div class='wb-note'>{done:,} of {expected:,} trials; {escape(', '.join(parts)) or 'none yet'}. "
        f"{_describe_lineage(data)}</div>"
    )
    said = f"<div class='wb-note' role='status'>{escape(notice)}</div>" if notice else ""
    manifest = {
        "state": str(record.state),
        "failure": None if record.failure is None else {"message": record.failure.message},
    }
    state = build_state(manifest) if record.state in (JobState.FAILED, JobState.INTERRUPTED) else ""
    return f"{state}<div class='wb-card wb-results'>{head}{progress}{_build_kpis(data)}{said}</div>"


def _describe_lineage(data: SweepData) -> str:
    own = int((data.trials["job_id"] != "").sum())
    total = data.lineage_trials
    if total <= own:
        return f"{total:,} backtests of this strategy on these data so far, all of them here."
    before = total - own
    return f"With {before:,} from before these are trials {before + 1:,} to {total:,} of this strategy on these data."


def _build_tools(state: JobState, job_id: str) -> str:
    tools = ""
    if state == JobState.RUNNING:
        tools += _button("pause", job_id, "Pause")
    if state == JobState.PAUSED:
        tools += _button("resume", job_id, "Resume")
    if not state.is_finished:
        tools += _button("cancel", job_id, "Cancel", "Cancel all its trials?")
    return tools + _button("reload", job_id, "Reload")


def _button(action: str, key: str, label: str, confirm: str = "") -> str:
    more = f" data-confirm='{escape(confirm, quote=True)}'" if confirm else ""
    return (
        f"<button class='wb-link' type='button' id='wb-sweep-{action}' data-action='{action}' "
        f"data-key='{escape(key, quote=True)}'{more}>{label}</button>"
    )


def _build_kpis(data: SweepData) -> str:
    values = data.judged["objective"].dropna()
    best = None if values.empty else float(values.max() if data.is_maximised else values.min())
    word = data.word
    kpis = [
        _kpi(f"Best {word}" + (", in sample" if data.is_walk_forward else ""), _write(data.objective, best))
    ]
    if data.is_walk_forward:
        found = data.out_of_sample
        tests = data.trials[data.trials["part"] == "test"]["objective"].dropna()
        mean = found.get("mean", float(tests.mean()) if len(tests) else None)
        kpis.append(
            _kpi(f"Mean {word}, out of sample", _write(data.objective, mean), f"{len(tests):,} tests")
        )
    else:
        later = "measured when the sweep has ended" if not data.record.state.is_finished else "not measured"
        for name, label, hint in (
            ("deflated_sharpe", "Deflated Sharpe, a probability", _DEFLATED),
            ("pbo", "PBO, a probability", _PBO),
        ):
            found = data.statistics.get(name) or {}
            value = found.get("value")
            is_bad = value is not None and (value > _HALF if name == "pbo" else value < _ENOUGH)
            text = UNKNOWN if value is None else f"{value:.2f}"
            why = (found.get("reason") or data.statistics.get("error") or later) if value is None else ""
            trials = (
                f" <small>after {found['trials']:,} trials</small>"
                if value is not None and name != "pbo"
                else ""
            )
            kind = "mute" if value is None else "warn" if is_bad else ""
            kpis.append(_kpi(label, f"<span class='{kind}'>{text}</span>{trials}", str(why), hint))
    return f"<div class='wb-kpis'>{''.join(kpis)}</div>"


def _kpi(label: str, value: str, note: str = "", hint: str = "") -> str:
    name = (
        f"<abbr tabindex='0' title='{escape(hint, quote=True)}'>{escape(label)}</abbr>"
        if hint
        else escape(label)
    )
    small = f"<small>{escape(note)}</small>" if note else ""
    return f"<div class='wb-kpi'><span>{name}</span><b>{value}</b>{small}</div>"


def _write(name: str, value: Any) -> str:
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return UNKNOWN
    if name in DEFINITIONS and DEFINITIONS[name].unit == "%":
        is_signed = name in _SIGNED
        text = format_percent(float(value), is_signed=is_signed)
        return f"<span class='{tint(float(value))}'>{text}</span>" if is_signed else text
    return f"{value:,.0f}" if name == "trades" else format_decimal(float(value), 2)


def build_trials(data: SweepData, state: TableState | None, *, opened: str = "") -> str:
    """Return the trials as a card: a page that can be sorted and opened, or the best ones without `state`."""
    frame = data.trials
    if frame.empty:
        return build_card("Trials", "<div class='wb-empty'>No trial has been submitted yet.</div>")
    shown = state or TableState(sort="objective", is_descending=data.is_maximised)
    rows = sort_rows(frame, shown.sort, is_descending=shown.is_descending)
    page = min(shown.page, (len(rows) - 1) // PAGE_ROWS)
    columns = _list_columns(data)
    if state is None:
        heads = "".join(
            f"<th{' class=n' if is_number else ''}>{escape(t)}</th>" for _, t, is_number in columns
        )
    else:
        heads = "".join(
            build_sort_header(
                _TABLE, name, title, shown, is_number=is_number, hint=data.parameters.get(name, "")
            )
            for name, title, is_number in columns
        )
    part = rows.iloc[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
    # Of a walk-forward it would be the luckiest of its tests, which nobody could have chosen.
    best = "" if data.is_walk_forward else str(data.best.get("job_id") or "")
    body = "".join(
        _build_trial(
            int(index), {str(k): v for k, v in row.items()}, columns, best, opened, is_live=state is not None
        )
        for index, row in zip(part.index, part.to_dict(orient="records"), strict=True)
    )
    pager = build_pager(_TABLE, page, len(rows), what="trials") if state is not None else ""
    right = (
        f"{len(rows):,}"
        if state is not None or len(rows) <= PAGE_ROWS
        else f"best {PAGE_ROWS} of {len(rows):,}"
    )
    table = (
        f"<div class='wb-scroll'><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return build_card("Trials", f"{table}{pager}", right=right)


def _list_columns(data: SweepData) -> list[tuple[str, str, bool]]:
    """Return column, title and whether it holds numbers."""
    columns = [(name, name, True) for name in data.parameters]
    if data.is_walk_forward:
        columns += [("fold", "fold", True), ("part", "part", False)]
    columns.append(("state", "state", False))
    if data.objective not in TRIAL_METRICS:
        columns.append(("objective", data.objective.replace("_", " "), True))
    return columns + [(name, title, True) for name, title in TRIAL_METRICS.items()]


def _build_trial(
    index: int,
    row: Mapping[str, Any],
    columns: list[tuple[str, str, bool]],
    best: str,
    opened: str,
    *,
    is_live: bool,
) -> str:
    job_id = str(row["job_id"])
    cells = []
    for name, _, _ in columns:
        value = row[name]
        if name == "state":
            kind = {"FAILED": "bad", "INTERRUPTED": "bad", "CANCELLED": "warn"}.get(str(value), "mute")
            why = f" title='{escape(str(row['error']), quote=True)}'" if row["error"] else ""
            star = (
                " <span class='wb-star' role='img' aria-label='best'>\N{BLACK STAR}</span>"
                if best and job_id == best
                else ""
            )
            more = f" <span class='mute'>{escape(str(row['error'])[:80])}</span>" if row["error"] else ""
            cells.append(
                f"<td><span class='{kind}'{why}>{escape(str(value).lower())}</span>{star}{more}</td>"
            )
        elif name == "part":
            cells.append(f"<td>{escape(str(value))}</td>")
        elif name in ("objective", *TRIAL_METRICS):
            cells.append(f"<td class='n'>{_write(name, value)}</td>")
        else:
            text = UNKNOWN if value is None or value is pd.NA else escape(str(value))
            cells.append(f"<td class='n'>{text}</td>")
    action = (
        f" tabindex='0' data-action='open' data-key='{escape(job_id, quote=True)}'"
        if is_live and job_id
        else ""
    )
    chosen = " class='sel' aria-selected='true'" if job_id and job_id == opened else ""
    return f"<tr id='wb-trial-{index}'{action}{chosen}>{''.join(cells)}</tr>"


def build_folds(data: SweepData) -> str:
    """Return what each fold of a walk-forward chose in sample, and what it was worth out of sample."""
    trials = data.trials
    rows = []
    for fold in sorted(trials["fold"].dropna().unique()):
        own = trials[trials["fold"] == fold]
        train, test = (own[own["part"] == part].dropna(subset=["objective"]) for part in ("train", "test"))
        chosen = None
        if len(train):
            at = train["objective"].idxmax() if data.is_maximised else train["objective"].idxmin()
            chosen = train.loc[at]
        point = (
            UNKNOWN
            if chosen is None
            else escape(", ".join(f"{name} {chosen[name]}" for name in data.parameters))
        )
        inside = None if chosen is None else chosen["objective"]
        outside = None if test.empty else test["objective"].iloc[0]
        ended = own[own["part"] == "test"]
        waits = (
            ""
            if len(test) or ended.empty
            else f" <span class='mute'>{escape(str(ended['state'].iloc[0]).lower())}</span>"
        )
        cells = [
            f"<td class='n' style='text-align:left'>{int(fold)}</td><td>{point}</td>",
            f"<td class='n'>{len(train):,}</td><td class='n'>{_write(data.objective, inside)}</td>",
            f"<td class='n'>{_write(data.objective, outside)}{waits}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = "Walk-forward"
    if not rows:
        return build_card(title, "<div class='wb-empty'>No fold has begun.</div>")
    word = data.word
    head = (
        f"<th>fold</th><th>chosen in sample</th><th class='n'>trials</th><th class='n'>{escape(word)}, in sample</th>"
        f"<th class='n'>{escape(word)}, out of sample</th>"
    )
    note = "Each fold searches on what came before and tests its best point, once, on what follows."
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return build_card(title, f"<div class='wb-scroll'>{table}</div><div class='wb-note'>{note}</div>")
