from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from workbench.records import JobRecord
from workbench.states import JobState
from workbench.ui.paging import TableState
from workbench.ui.sweep_data import SweepData
from workbench.ui.sweep_tables import build_folds, build_sweep_head, build_trials


def build_sweep(count: int = 60, state: JobState = JobState.RUNNING, **changes: Any) -> SweepData:
    rows = [
        {
            "job_id": f"job-{k}", "fold": pd.NA, "part": "", "state": "COMPLETED", "error": "", "objective": k / 10,
            "sharpe": k / 10, "total_return": 0.01, "max_drawdown": -0.02, "trades": 5.0, "fast": k % 7,
        }
        for k in range(count)
    ]  # fmt: skip
    rows[3] |= {"state": "FAILED", "error": "boom <b>", "objective": math.nan}
    trials = pd.DataFrame(rows).astype({"fold": "Int64"})
    search = {"space": {"kind": "grid"}, "objective": "sharpe", **changes.pop("search", {})}
    record = JobRecord(
        id="sweep-1", kind="sweep", created_at="", name="<i>", state=state, spec={"search": search}
    )
    values: dict[str, Any] = {
        "expected": 100,
        "lineage_trials": 108,
        "statistics": {},
        "out_of_sample": {},
        "best": {},
    }
    return SweepData(record, trials, {"fast": "engine.fast"}, **{**values, **changes})


def test_sweep_head_counts_trials_here_and_before() -> None:
    html = build_sweep_head(build_sweep(), is_live=True)
    assert "60 of 100 trials; 59 completed, 1 failed" in html
    assert "With 48 from before these are trials 49 to 108 of this strategy on these data." in html
    assert "aria-valuenow='60'" in html
    assert "&lt;i&gt;" in html


def test_sweep_head_labels_probabilities_and_their_trials() -> None:
    statistics = {
        "deflated_sharpe": {"value": 0.62, "trials": 108, "reason": None},
        "pbo": {"value": 0.4, "trials": 60, "reason": None},
    }
    html = build_sweep_head(build_sweep(state=JobState.COMPLETED, statistics=statistics), is_live=True)
    assert "Deflated Sharpe, a probability" in html
    assert "<span class='warn'>0.62</span> <small>after 108 trials</small>" in html
    assert "<span class=''>0.40</span>" in html
    assert "data-action='cancel'" not in html


def test_sweep_head_offers_what_its_state_allows() -> None:
    assert "data-action='pause'" in build_sweep_head(build_sweep(), is_live=True)
    assert "data-action='resume'" in build_sweep_head(build_sweep(state=JobState.PAUSED), is_live=True)
    assert "data-confirm=" in build_sweep_head(build_sweep(), is_live=True)
    assert "data-action" not in build_sweep_head(build_sweep(), is_live=False)


def test_trials_are_paged_sorted_and_opened() -> None:
    state = TableState(sort="objective", is_descending=True, page=1)
    html = build_trials(build_sweep(), state, opened="job-5")
    assert "51–60 of 60 trials" in html
    opened = re.findall(r"data-action='open' data-key='([^']+)'", html)
    assert opened == [f"job-{k}" for k in (9, 8, 7, 6, 5, 4, 2, 1, 0, 3)]  # without a value: last
    assert "boom &lt;b&gt;" in html
    assert html.count("class='sel'") == 1


def test_trials_without_state_are_the_best_and_cannot_be_clicked() -> None:
    html = build_trials(build_sweep(), None)
    assert "best 50 of 60" in html
    assert "data-action" not in html


def test_folds_show_in_and_out_of_sample() -> None:
    data = build_sweep(6, search={"walk_forward": {"folds": 2}})
    data.trials["fold"] = [1, 1, 1, 2, 2, 2]
    data.trials["part"] = ["train", "train", "test"] * 2
    html = build_folds(data)
    assert html.count("<tr>") == 1 + 2
    assert "fast 1" in html  # the best of the first training
    assert ">0.20<" in html  # and its test
    data.trials["fold"] = pd.NA
    assert "No fold has begun" in build_folds(data)


def test_trials_of_a_walk_forward_have_no_best_one() -> None:
    best = {"job_id": "job-50"}
    assert "aria-label='best'" in build_trials(build_sweep(best=best), None)
    walk = build_sweep(best=best, search={"walk_forward": {"folds": 2}})
    assert "aria-label='best'" not in build_trials(walk, None)
