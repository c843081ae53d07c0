"""The list of jobs as of one moment: what a saved notebook keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workbench.states import JobState
from workbench.ui.job_list import JobWish
from workbench.ui.job_reader import load_answer, load_traces
from workbench.ui.job_rows import JobRow
from workbench.ui.job_table import JobTable, Load, build_table
from workbench.ui.sparkline import Curve

if TYPE_CHECKING:
    from workbench.client.client import Client

__all__ = ["build_snapshot"]

_AT_WORK = (JobState.RUNNING, JobState.PAUSED)


def build_snapshot(client: Client, wish: JobWish) -> str:
    """
    Ask the server and return the card, without controls; where the server cannot be asked it says why.

    Parameters
    ----------
    client : Client
        The server.
    wish : JobWish
        Which jobs.

    """
    try:
        answer = load_answer(client, wish)
        traces = load_traces(client, answer.page)
        load = Load.of(client.list_jobs(state=_AT_WORK, limit=1_000).items)
    except Exception as error:  # noqa: BLE001 - whatever fails, a saved notebook has to say so
        return build_table(JobTable(wish, problem=error, now=time.time(), is_live=False))
    rows = [
        JobRow(
            record,
            curve=Curve.of(traces.get(record.id)),
            trials=answer.trials.get(record.id),
            owner="" if answer.is_mine(record) else record.owner,
        )
        for record in answer.page
    ]
    table = JobTable(
        wish,
        rows=rows,
        total=answer.total,
        load=load,
        resources=answer.resources,
        now=time.time(),
        is_loaded=True,
        is_live=False,
    )
    return build_table(table)
