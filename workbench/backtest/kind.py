"""The backtest as a kind of job. The server imports this: nothing here knows nautilus."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from workbench.jobs.directory import JobDirectory
from workbench.jobs.kinds import JobEnd
from workbench.jobs.pool import Launcher
from workbench.records import JobRecord

__all__ = ["BacktestKind"]


class BacktestKind:
    """How backtests are prepared, run and read; see `workbench.jobs.kinds.Kind`."""

    name = "backtest"
    can_pause = True
    preparation = "workbench.backtest.preparation:prepare"
    launcher: Launcher | None = None

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        """Return the task that runs the configuration in `directory`."""
        return "workbench.backtest.engine:execute", {
            "config": (directory / "config.json").read_text(),
            "path": str(directory.resolve()),
            "name": job.name,
            "search_path": list(job.spec.get("search_path", [])),
            "started_at": job.started_at,
        }

    def build_wish(self, job: JobRecord, directory: Path) -> dict[str, Any]:
        """Return what to submit to run the same again, with the strategies as they were then."""
        sources = {p.stem: p.read_text() for p in sorted((directory / "strategies").glob("*.py"))}
        return {
            "config": (directory / "config.json").read_text(),
            "name": job.name,
            "sources": sources,
            "search_path": list(job.spec.get("search_path", [])),
            "limits": dict(job.spec.get("limits", {})),
            "use_holdout": bool(job.spec.get("use_holdout")),
        }

    def read_end(self, directory: Path) -> JobEnd | None:
        """Return what the manifest and the metrics say, or ``None`` if there is no manifest."""
        files = JobDirectory(directory)
        if not files.is_finished:
            return None
        record = files.read_manifest()
        headline = files.read_json("metrics.json").get("headline", {})
        return JobEnd(
            state=record.state,
            failure=record.failure,
            name=record.name,
            identity=record.identity.run if record.identity is not None else "",
            lineage=record.lineage,
            dataset=record.dataset,
            rows=record.rows,
            headline={k: n for k, m in headline.items() if (n := _to_number(m)) is not None},
            started_at=record.started_at,
            finished_at=record.finished_at,
            elapsed_secs=record.elapsed_secs,
            start=record.backtest_start,
            end=record.backtest_end,
        )


def _to_number(metric: Any) -> float | None:
    """Return the value of a metric to sort by; amounts are decimals as text."""
    value = metric.get("value") if isinstance(metric, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:  # A time
        return None
    return number if math.isfinite(number) else None
