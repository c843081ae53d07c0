"""What earlier backtests tell about the next one: how many there were and what they took."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.states import JobState
from workbench.store.database import Database
from workbench.store.tables import JOBS

__all__ = ["HistoryRecords"]

_FINISHED = [state.value for state in JobState if state.is_finished]
_MAX_HISTORY = 1_000


class HistoryRecords:
    """The backtests that were."""

    _database: Database

    def count_trials(self, lineage: str, dataset: str) -> int:
        """Return how many backtests of this strategy on these data have been started, whatever became of them."""
        statement = sa.select(sa.func.count()).where(
            JOBS.c.kind == "backtest",
            JOBS.c.lineage == lineage,
            JOBS.c.dataset == dataset,
            JOBS.c.state != JobState.PENDING.value,
        )
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one()

    def find_history(self, *, lineage: str, dataset: str, limit: int = 50) -> list[tuple[int, int, float]]:
        """
        Return ``(rows, peak_rss_bytes, elapsed_secs)`` of finished backtests whose memory was seen.

        Those of this strategy on these data come first, then any others, each newest first.
        """
        is_same = (JOBS.c.lineage == lineage) & (JOBS.c.dataset == dataset)
        statement = (
            sa.select(JOBS.c.rows, JOBS.c.peak_rss_bytes, JOBS.c.elapsed_secs)
            .where(JOBS.c.kind == "backtest", JOBS.c.state.in_(_FINISHED), JOBS.c.peak_rss_bytes > 0)
            .order_by(
                sa.case((is_same, 0), else_=1), JOBS.c.finished_at.desc().nulls_last(), JOBS.c.id.desc()
            )
            .limit(min(max(limit, 1), _MAX_HISTORY))
        )
        with self._database.read() as connection:
            return [(rows, peak, secs) for rows, peak, secs in connection.execute(statement)]
