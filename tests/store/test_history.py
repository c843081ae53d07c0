from __future__ import annotations

from tests.store.jobs import build_job
from workbench.states import JobState
from workbench.store import Store


def test_trials_are_started_backtests_of_the_strategy_on_the_data(store: Store) -> None:
    ours = {"lineage": "ema", "dataset": "gbp"}
    for state in JobState:
        store.add_job(build_job(state, state=state, **ours))
    store.add_job(build_job("sweep", kind="sweep", state=JobState.RUNNING, **ours))
    store.add_job(build_job("other data", lineage="ema", dataset="eur", state=JobState.COMPLETED))
    store.add_job(build_job("other strategy", lineage="rsi", dataset="gbp", state=JobState.COMPLETED))

    assert store.count_trials("ema", "gbp") == len(JobState) - 1
    assert store.count_trials("ema", "nothing") == 0
    assert store.count_trials("\0", "gbp") == 0


def test_history_has_the_same_first_and_the_newest_of_each(store: Store) -> None:
    def add(job_id: str, rows: int, finished_at: str, **fields: object) -> None:
        known = {"peak_rss_bytes": rows * 10, "elapsed_secs": rows / 2, "state": JobState.COMPLETED}
        store.add_job(build_job(job_id, rows=rows, finished_at=finished_at, **{**known, **fields}))

    ours = {"lineage": "ema", "dataset": "gbp"}
    add("old", 1, "2026-01-01", **ours)
    add("new", 2, "2026-01-03", **ours)
    add("other", 3, "2026-01-04", lineage="ema", dataset="eur")
    add("older", 4, "2026-01-02")
    add("failed", 5, "2026-01-02", state=JobState.FAILED, **ours)
    add("unseen", 6, "2026-01-05", peak_rss_bytes=0, **ours)
    add("running", 7, "2026-01-05", state=JobState.RUNNING, **ours)
    add("sweep", 8, "2026-01-05", kind="sweep", **ours)

    history = store.find_history(lineage="ema", dataset="gbp")

    assert history == [(2, 20, 1.0), (5, 50, 2.5), (1, 10, 0.5), (3, 30, 1.5), (4, 40, 2.0)]
    assert store.find_history(lineage="ema", dataset="gbp", limit=2) == history[:2]
