"""What the benchmarks say about what they measured, and that each can be started."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of the benchmarks, which are scripts and no package."""
    names = {path.stem for path in BENCHMARKS.glob("*.py")}
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in names & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("ratios", "target", "is_more_better", "ok"),
    [
        ([0.3, 0.5, 0.35], 0.4, False, True),
        ([0.3, 0.5, 0.45], 0.4, False, False),
        ([3.0, 4.5, 5.0], 4.0, True, True),
        ([3.0, 3.5, 5.0], 4.0, True, False),
    ],
)
def test_row_is_judged_by_its_median(
    load: Any, ratios: list[float], target: float, is_more_better: bool, ok: bool
) -> None:
    row = load("rounds").build_row("name", ratios, target, is_more_better=is_more_better)

    assert row["ok"] is ok
    assert (row["least"], row["greatest"], row["rounds"]) == (min(ratios), max(ratios), 3)


def test_printed_row_has_name_ratio_target_and_verdict(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = load("rounds")
    row = rounds.build_row("a run", [0.5], 0.4, "2 s against 4 s")

    rounds.print_row(row)
    rounds.print_row({**row, "ok": True})
    rounds.print_row(row, quick=True)

    first, detail, second, _, third, _ = capsys.readouterr().out.splitlines()
    assert first.split() == ["a", "run", "0.5", "0.4", "SHORT"]
    assert detail.endswith("2 s against 4 s")
    assert (second.split()[-1], third.split()[-1]) == ("ok", "quick")


def test_every_benchmark_measures_in_rounds(load: Any) -> None:
    run_all = load("run_all")

    assert run_all.BENCHMARKS
    for name in run_all.BENCHMARKS:
        assert "rounds" in inspect.signature(load(name).measure).parameters, name


def test_all_benchmarks_are_run_and_kept_though_one_fails(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all, rounds = load("run_all"), load("rounds")
    good, bad = ModuleType("good"), ModuleType("bad")
    good.measure = lambda rounds: [build("works", [0.1] * rounds, 0.4)]  # type: ignore[attr-defined]
    bad.measure = lambda rounds, quick: 1 / 0  # type: ignore[attr-defined]
    build = rounds.build_row
    monkeypatch.setitem(sys.modules, "good", good)
    monkeypatch.setitem(sys.modules, "bad", bad)
    monkeypatch.setattr(run_all, "BENCHMARKS", ("bad", "good"))
    output = tmp_path / "results.json"
    monkeypatch.setattr(sys, "argv", ["run_all", "--rounds", "2", "--output", str(output)])

    assert run_all.main() == 1

    results = json.loads(output.read_text())
    assert results["failed"] == ["bad"]
    assert [(r["benchmark"], r["name"], r["rounds"], r["ok"]) for r in results["rows"]] == [
        ("good", "works", 2, True)
    ]
    assert {"date", "python", "versions", "cpus", "system", "quick"} <= set(results)
    assert "FAILED" in capsys.readouterr().out
