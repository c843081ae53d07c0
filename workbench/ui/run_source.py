"""Where a page of results has its run from: a job of a server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.ui.run_view import RunView, load_prices, load_run_view

if TYPE_CHECKING:
    import pandas as pd

    from workbench.client.client import Client
    from workbench.client.job import Job

__all__ = ["RunSource"]

_FINE_POINTS = 2_000


class RunSource:
    """
    One backtest of a server. Its methods take time: call them on a thread of their own.

    Parameters
    ----------
    client : Client
        The server.
    job_id : str
        The backtest.

    """

    def __init__(self, client: Client, job_id: str) -> None:
        self.client = client
        self.job_id = job_id
        self._known: Job | None = None

    @property
    def _job(self) -> Job:
        if self._known is None:
            self._known = self.client.job(self.job_id)
        return self._known

    def load(self) -> RunView:
        """Return the run as far as there is something of it, without prices."""
        return load_run_view(self._job)

    def add_prices(self, run: RunView) -> RunView:
        """Return the run with the prices of its instruments."""
        prices, missing = load_prices(self._job, run)
        return replace(run, prices=prices, missing_prices=missing)

    def load_fine(self, instrument_id: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Return finer bars of a part of the range."""
        return self._job.load_prices(
            instrument_id, start=start.isoformat(), end=end.isoformat(), points=_FINE_POINTS
        )
