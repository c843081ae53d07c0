"""The range of time of a run, on a line that shows which data there are, where they are missing and where poor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from workbench.ui.formats import format_duration, format_time

__all__ = ["PRESETS", "build_timeline", "choose_preset", "find_bin", "find_time", "round_time"]

# Key -> what the button says, and how long before the end of the data the range begins.
PRESETS: Mapping[str, tuple[str, pd.DateOffset | None]] = {
    "all": ("All", None),
    "month": ("Last month", pd.DateOffset(months=1)),
    "quarter": ("Quarter", pd.DateOffset(months=3)),
    "year": ("Year", pd.DateOffset(years=1)),
}
_WIDTH = 300.0
_STEPS = ("D", "h", "min", "s")
_STEP_SECS = {"D": 86_400, "h": 3_600, "min": 60, "s": 1}


def _read(value: Any) -> pd.Timestamp | None:
    if value is None or value == "":
        return None
    try:
        stamp = pd.Timestamp(value)
        return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except (ValueError, TypeError, OverflowError):
        return None


def _write(stamp: pd.Timestamp) -> str:
    return f"{stamp.tz_localize(None).isoformat()}Z"


def choose_preset(key: str, coverage: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the start and the end of a preset range; ``None`` for where the data begin or end."""
    offset = PRESETS[key][1]
    start, end = _read(coverage.get("start")), _read(coverage.get("end"))
    if offset is None or start is None or end is None or end - offset <= start:
        return None, None
    return _write(end - offset), None


def round_time(stamp: pd.Timestamp, bin_secs: float) -> pd.Timestamp:
    """Return the nearest round time, to the coarsest unit that is not much more than a bin of the line."""
    unit = next((u for u in _STEPS if _STEP_SECS[u] <= 1.5 * bin_secs), "s")
    return stamp.round(unit)


def find_time(index: int, coverage: Mapping[str, Any], *, is_end: bool = False) -> str | None:
    """Return the time at an edge between bins; ``None`` at the edge of the data."""
    start, end, count = _read(coverage.get("start")), _read(coverage.get("end")), _count(coverage)
    if start is None or end is None or (index >= count if is_end else index <= 0):
        return None
    width = (end - start) / max(count, 1)
    stamp = round_time(start + index * width, width.total_seconds())
    return _write(min(max(stamp, start), end))


def find_bin(value: Any, coverage: Mapping[str, Any], *, is_end: bool = False) -> int:
    """Return the edge between bins that is nearest to a time."""
    start, end, count = _read(coverage.get("start")), _read(coverage.get("end")), _count(coverage)
    stamp = _read(value)
    if stamp is None or start is None or end is None or end <= start:
        return count if is_end else 0
    return min(max(round((stamp - start) / (end - start) * count), 0), count)


def _count(coverage: Mapping[str, Any]) -> int:
    return len((coverage.get("bins") or {}).get("start_ms") or ())


def build_timeline(
    coverage: Mapping[str, Any],
    *,
    start: Any = None,
    end: Any = None,
    holdout: Mapping[str, Any] | None = None,
    prefix: str = "wb-cfg",
) -> str:
    """
    Return the line as HTML: data, gaps and poor parts, the sealed part, the chosen range with two handles.

    Parameters
    ----------
    coverage : Mapping
        What the server says of the data: ``start``, ``end``, ``bins``, ``gaps``, ``poor_ranges``, ``rule``.
    start, end : str or int, optional
        The chosen range; ``None`` for all data.
    holdout : Mapping, optional
        ``start`` and ``end`` of the sealed part.
    prefix : str
        Of the ids.

    """
    first, last = _read(coverage.get("start")), _read(coverage.get("end"))
    if first is None or last is None or last <= first:
        return "<div class='wb-note'>These data hold no rows.</div>"

    def place(stamp: pd.Timestamp | None, other: float) -> float:
        return other if stamp is None else min(max((stamp - first) / (last - first), 0.0), 1.0) * _WIDTH

    left, right = place(_read(start), 0.0), place(_read(end), _WIDTH)
    parts = [f"<rect y='9' width='{_WIDTH:g}' height='8' rx='2' fill='var(--wb-sunken)'/>"]
    parts += _build_bins(coverage)
    if holdout is not None:
        sealed = place(_read(holdout.get("start")), 0.0), place(_read(holdout.get("end")), _WIDTH)
        parts.append(
            f"<rect class='wb-sealed' x='{sealed[0]:.1f}' y='9' width='{max(sealed[1] - sealed[0], 1):.1f}' height='8'>"
            "<title>Sealed: kept apart for a last judgement</title></rect>"
        )
    parts.append(
        f"<rect class='wb-range' x='{left + 0.75:.1f}' y='5.75' width='{max(right - left - 1.5, 1):.1f}' "
        "height='14.5' rx='3'/>"
    )
    svg = (
        f"<svg viewBox='0 0 {_WIDTH:g} 26' preserveAspectRatio='none' role='img' "
        f"aria-label='{escape(_describe(coverage), quote=True)}'>{''.join(parts)}</svg>"
    )
    return f"<div class='wb-timeline'>{svg}{_build_handles(coverage, start, end, prefix)}</div>{_build_words(coverage)}"


def _build_bins(coverage: Mapping[str, Any]) -> list[str]:
    """Return one rectangle for each stretch of neighbouring bins that are alike."""
    bins = coverage.get("bins") or {}
    rows, poor = bins.get("rows") or [], bins.get("is_poor") or []
    width = _WIDTH / max(len(rows), 1)
    kinds = ["poor" if p and n else "data" if n else "" for n, p in zip(rows, poor, strict=True)]
    parts, begin = [], 0
    for i in range(1, len(kinds) + 1):
        if i < len(kinds) and kinds[i] == kinds[begin]:
            continue
        if kinds[begin]:
            parts.append(
                f"<rect class='wb-{kinds[begin]}' x='{begin * width:.2f}' y='9' width='{(i - begin) * width:.2f}' "
                "height='8'/>"
            )
        begin = i
    return parts


def _build_handles(coverage: Mapping[str, Any], start: Any, end: Any, prefix: str) -> str:
    """Return the two handles: native sliders, so that keys move them as well."""
    count = _count(coverage)
    if count < 2:
        return ""
    handles = []
    for key, label, value, at in (
        ("start", "Start", start, find_bin(start, coverage)),
        ("end", "End", end, find_bin(end, coverage, is_end=True)),
    ):
        text = format_time(_read(value) or coverage[key])
        handles.append(
            f"<input type='range' id='{prefix}-slide-{key}' min='0' max='{count}' step='1' value='{at}' "
            f"data-action='slide' data-key='{key}' data-live "
            f"aria-label='{label} of the range' aria-valuetext='{text} UTC'>"
        )
    return "".join(handles)


def _real_gaps(coverage: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [gap for gap in coverage.get("gaps") or [] if not gap.get("spans_weekend")]


def _describe(coverage: Mapping[str, Any]) -> str:
    return f"Data from {format_time(coverage['start'])} to {format_time(coverage['end'])} UTC"


def _build_words(coverage: Mapping[str, Any]) -> str:
    """Return what is wrong with the data, in a line: the longest gap that is no weekend, and how many are poor."""
    words = []
    gaps = _real_gaps(coverage)
    if gaps:
        longest = gaps[0]
        what = f"{format_duration(float(longest['seconds']))} missing from {format_time(longest['start'])}"
        more = f", {len(gaps) - 1:,} more" if len(gaps) > 1 else ""
        words.append((what + more, _list_ranges(gaps)))
    poor = coverage.get("poor_ranges") or []
    if poor:
        noun = "range" if len(poor) == 1 else "ranges"
        words.append(
            (f"{len(poor):,} poor {noun}", f"{coverage.get('rule', '')}\n{_list_ranges(poor)}".strip())
        )
    words += [(problem, "") for problem in coverage.get("problems") or []]
    lines = "".join(
        f"<span title='{escape(title, quote=True)}'>{escape(text)}</span>" for text, title in words
    )
    return f"<div class='wb-gaps'>{lines}</div>" if lines else ""


def _list_ranges(ranges: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{format_time(r['start'])} to {format_time(r['end'])}" for r in ranges[:12]]
    if len(ranges) > len(shown):
        shown.append(f"and {len(ranges) - len(shown):,} more")
    return "\n".join(shown)
