"""What a search has found in its course, as HTML: its trials in their order with the best so far, and what mattered."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from workbench.analysis.importance import LEAST_TRIALS, ParameterImportance, measure_importance
from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_decimal
from workbench.ui.sweep_data import SweepData
from workbench.ui.ticks import find_step

__all__ = ["build_history", "build_importance", "build_study"]

_MOST_POINTS = 500  # More are drawn as one path: light, and nothing to point at
_MOST_TICKS = 6
_METHOD = (
    "The share of the differences between the trials (of their ranks) that goes with this parameter alone, less what "
    "chance would show: the effect size of the Kruskal-Wallis test. 100 % means that it decides alone, 0 % that it "
    "does nothing alone; what parameters do in combination is not seen. Source: Tomczak and Tomczak 2014."
)
_CORRELATION = "Spearman's: +1 if the objective always rises with the parameter, −1 if it always falls."


def build_study(data: SweepData, *, opened: str = "", is_live: bool) -> str:
    """Return history and importance side by side; nothing for a walk-forward, whose folds are searches of their own."""
    if data.is_walk_forward or not data.parameters:
        return ""
    history = build_history(data, opened=opened, is_live=is_live)
    return f"<div class='wb-row wb-study'>{history}{build_importance(data)}</div>"


def build_history(data: SweepData, *, opened: str = "", is_live: bool) -> str:
    """Return the value of each trial in the order in which they were begun, and the best so far as a line."""
    title = "Optimisation history"
    values = data.scores[data.score].to_numpy(dtype=float)
    is_known = np.isfinite(values)
    if not is_known.any():
        return build_card(title, "<div class='wb-empty'>No trial has a value yet.</div>")
    count, best = len(values), _run_best(values, is_maximised=data.is_maximised)
    low, high = float(values[is_known].min()), float(values[is_known].max())
    step = find_step(max(high - low, abs(high) * 1e-6, 1e-9), 4)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    top = top if top > bottom else bottom + step
    places = _count_places(step)

    def across(number: int) -> float:
        return 100 * (number + 0.5) / count

    def upwards(value: float) -> float:
        return 100 * (value - bottom) / (top - bottom)

    grid = "".join(
        f"<i style='bottom:{upwards(bottom + n * step):.2f}%'><b>{format_decimal(bottom + n * step, places)}</b></i>"
        for n in range(round((top - bottom) / step) + 1)
    )
    line = _draw_steps([(across(n), 100 - upwards(best[n])) for n in range(count) if np.isfinite(best[n])])
    shown = [n for n in range(count) if is_known[n]]
    dots = ""
    if len(shown) > _MOST_POINTS:
        path = "".join(f"M{across(n):.2f} {100 - upwards(values[n]):.2f}h0" for n in shown)
        line = f"<path class='dots' d='{path}'/>{line}"
    else:
        ids = data.judged["job_id"].to_list()
        dots = "".join(
            _build_dot(
                n, f"trial {n + 1:,}: {data.score} {format_decimal(values[n], 4)}",
                (across(n), upwards(values[n])), ids[n] if is_live else "", is_opened=bool(opened) and ids[n] == opened,
            )
            for n in shown
        )  # fmt: skip
    axis = "".join(f"<span style='left:{across(n - 1):.2f}%'>{n:,}</span>" for n in _list_ticks(count))
    final = best[shown[-1]]
    label = f"{title}: {len(shown):,} trials, {data.score} from {low:.4g} to {high:.4g}, the best {final:.4g}"
    body = (
        f"<div class='wb-hist wb-history' role='group' aria-label='{escape(label, quote=True)}'>"
        f"<div class='grid'>{grid}</div><div class='line'><svg viewBox='0 0 100 100' preserveAspectRatio='none' "
        f"aria-hidden='true'>{line}</svg>{dots}</div><div class='axis'>{axis}</div></div>"
    )
    missing = count - len(shown)
    note = f"{data.score} of each trial in order of submission; the line is the best so far."
    note += f" {missing:,} without a value." if missing else ""
    note = note[0].upper() + note[1:]
    return build_card(
        title, f"{body}<div class='wb-note'>{escape(note)}</div>", right=f"{len(shown):,} trials"
    )


def _count_places(step: float) -> int:
    """Return the decimals that the multiples of a round step need."""
    return next((n for n in range(12) if math.isclose(step * 10**n, round(step * 10**n), rel_tol=1e-6)), 12)


def _run_best(values: np.ndarray, *, is_maximised: bool) -> np.ndarray:
    worst = -np.inf if is_maximised else np.inf
    filled = np.where(np.isfinite(values), values, worst)
    return np.maximum.accumulate(filled) if is_maximised else np.minimum.accumulate(filled)


def _draw_steps(points: list[tuple[float, float]]) -> str:
    (x, y), *rest = points
    path = f"M{x:.2f} {y:.2f}" + "".join(f"H{x:.2f}V{y:.2f}" for x, y in rest)
    return f"<path class='best' d='{path}H100'/>"


def _build_dot(number: int, words: str, place: tuple[float, float], job_id: str, *, is_opened: bool) -> str:
    left, bottom = place
    kind = ("dot right" if left > 60 else "dot") + (" sel" if is_opened else "")
    style = f"style='left:{left:.2f}%;bottom:{bottom:.2f}%' data-tip='{escape(words, quote=True)}'"
    if not job_id:
        return f"<i class='{kind}' {style}></i>"
    # Not in the order of tabs: the keyboard opens trials in the table.
    return (
        f"<button type='button' tabindex='-1' class='{kind}' id='wb-dot-{number}' data-action='open' "
        f"data-key='{escape(job_id, quote=True)}' aria-label='{escape(words, quote=True)}' {style}></button>"
    )


def _list_ticks(count: int) -> list[int]:
    step = max(int(find_step(count, _MOST_TICKS)), 1)
    return [1, *(n for n in range(step, count + 1, step) if n > 1)]


def build_importance(data: SweepData) -> str:
    """Return what each parameter alone explains of the objective, with the method and its limits."""
    title = "Parameter importance"
    found = measure_importance(data.scores, list(data.parameters), data.score)
    trials = found[0].trials if found else 0
    if trials < 2:
        return build_card(title, "<div class='wb-empty'>It takes some trials with a value.</div>")
    rows = "".join(_build_row(one, data.parameters.get(one.name, one.name)) for one in found)
    heads = "".join(
        f"<th class='n'><abbr tabindex='0' title='{escape(hint, quote=True)}'>{name}</abbr></th>"
        for name, hint in (("explains alone", _METHOD), ("rank correlation", _CORRELATION))
    )
    few = ""
    if trials < LEAST_TRIALS:
        words = f"Only {trials:,} trials: with fewer than {LEAST_TRIALS} these shares say little."
        few = f"<div class='wb-note warn'>{words}</div>"
    note = (
        "<div class='wb-note'>Each parameter on its own; combinations are not seen. A search that gathers around good "
        "points makes a parameter look less important than it is.</div>"
    )
    table = f"<table><thead><tr><th>parameter</th><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return build_card(title, f"<div class='wb-scroll'>{table}</div>{few}{note}", right=f"{trials:,} trials")


def _build_row(one: ParameterImportance, path: str) -> str:
    share = UNKNOWN if one.share is None else f"{one.share:.0%}".replace("%", " %")
    why = (
        " title='one value only, or no two trials alike'"
        if one.share is None
        else f" title='{one.groups} groups'"
    )
    width = 0.0 if one.share is None else 100 * one.share
    correlation = format_decimal(one.correlation, 2, is_signed=True)
    return (
        f"<tr><td title='{escape(path, quote=True)}'>{escape(one.name)}</td>"
        f"<td class='wb-share'><i class='own' style='width:{width:.1f}%'></i></td>"
        f"<td class='n'{why}>{share}</td><td class='n'>{correlation}</td></tr>"
    )
