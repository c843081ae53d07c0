"""Rows of results: ratios over several rounds, with their spread, against a target."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["build_row", "compare", "parse_arguments", "print_row", "run_script"]

Row = dict[str, Any]


def build_row(
    name: str,
    ratios: Sequence[float],
    target: float,
    detail: str = "",
    *,
    is_more_better: bool = False,
    **facts: Any,
) -> Row:
    """
    Return one line of results.

    Parameters
    ----------
    name : str
        What was measured.
    ratios : Sequence[float]
        The ratio of each round; the row has their median and keeps the least and the greatest.
    target : float
        What the median must not exceed; with `is_more_better`, what it must reach.
    detail : str
        What the ratio was made of.
    facts : Any
        More numbers to keep.

    """
    ratio = statistics.median(ratios)
    return {
        "name": name,
        "ratio": round(ratio, 4),
        "least": round(min(ratios), 4),
        "greatest": round(max(ratios), 4),
        "rounds": len(ratios),
        "target": target,
        "is_more_better": is_more_better,
        "ok": ratio >= target if is_more_better else ratio <= target,
        "detail": detail,
        **facts,
    }


def compare(ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Return the median wall and CPU seconds of both sides; on a busy machine the latter say more."""
    wall, cpu = (
        [f"{statistics.median(r[key] for r in side):.2f} s" for side in (ours, theirs)]
        for key in ("secs", "cpu_secs")
    )
    return f"{wall[0]} against {wall[1]} (CPU {cpu[0]} against {cpu[1]})"


def print_row(row: Row, *, quick: bool = False) -> None:
    """Print ``name  ratio  target  ok|SHORT`` and, indented, what it was made of; a quick row proves nothing."""
    verdict = "quick" if quick else "ok" if row["ok"] else "SHORT"
    print(f"{row['name']:<44}  {row['ratio']:<8g}  {row['target']:<6g}  {verdict}")
    spread = f"{row['least']:g} to {row['greatest']:g} in {row['rounds']} rounds; " if "least" in row else ""
    print(f"    {spread}{row['detail']}", flush=True)


def parse_arguments(
    description: str | None, add: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Return ``rounds``, ``quick`` and ``json`` from the command line, and whatever `add` adds."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, proves nothing"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    if add is not None:
        add(parser)
    return parser.parse_args()


def run_script(
    measure: Callable[..., list[Row]],
    description: str | None,
    add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Measure as the command line says and print the rows; what `add` adds is passed on to `measure`."""
    arguments = vars(parse_arguments(description, add))
    as_json = arguments.pop("json")
    rows = measure(**arguments)
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print_row(row, quick=arguments["quick"])
