"""One job of the server, to be steered, waited for and read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from workbench.client.events import EventStream
from workbench.client.transport import Transport
from workbench.errors import RunError
from workbench.records import Inspection, JobRecord, Progress, RunRecord
from workbench.states import JobState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Job"]

# Events tell of every change; this is for a server that lost what it knew.
_REFRESH_SECS = 15.0
_RESULT_SECS = 120.0
# As the server calls it: a trade is a position from its opening to its end.
_TABLES = {"positions": "trades"}


class Job:
    """
    A job, wherever it runs. It goes on when this object, or the notebook, is gone.

    Attributes
    ----------
    record : JobRecord
        The job as it was known last.

    """

    def __init__(self, transport: Transport, record: JobRecord) -> None:
        self._transport = transport
        self.record = record

    def __repr__(self) -> str:
        name = f" {self.record.name!r}" if self.record.name else ""
        return f"Job({self.id!r}{name}, {self.record.state})"

    @property
    def id(self) -> str:
        """Return the job's id, which is the name of its directory."""
        return self.record.id

    @property
    def state(self) -> JobState:
        """Return the state; asks the server while the job has not ended."""
        return self._renew().state

    @property
    def progress(self) -> Progress | None:
        """Return the latest progress; asks the server while the job has not ended."""
        return self._renew().progress

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the metrics of a backtest: ``headline``, ``costs``, ``nautilus``, ``definitions``."""
        metrics: dict[str, Any] = self._transport.fetch_json("GET", f"backtests/{self.id}/results/metrics")
        return metrics

    def refresh(self) -> JobRecord:
        """Ask the server for the record and return it."""
        self._keep(self._transport.fetch("GET", f"jobs/{self.id}"))
        return self.record

    def pause(self) -> None:
        """
        Hold the job in simulated time.

        Raises
        ------
        ConflictError
            If its state forbids that.

        """
        self._steer("pause")

    def resume(self) -> None:
        """
        Let a paused job go on.

        Raises
        ------
        ConflictError
            If its state forbids that.

        """
        self._steer("resume")

    def cancel(self) -> None:
        """
        Stop the job and keep its results so far.

        Raises
        ------
        ConflictError
            If it has ended.

        """
        self._steer("cancel")

    def requeue(self) -> Job:
        """Queue a new job like this one and return it."""
        content = self._transport.fetch("POST", f"jobs/{self.id}/requeue", timeout_secs=_RESULT_SECS)
        return Job(self._transport, msgspec.json.decode(content, type=JobRecord))

    def inspect(self) -> Inspection:
        """
        Return what a paused run holds.

        Raises
        ------
        ConflictError
            If it is not paused.

        """
        content = self._transport.fetch("GET", f"jobs/{self.id}/inspection")
        return msgspec.json.decode(content, type=Inspection)

    def wait(
        self,
        timeout_secs: float | None = None,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Job:
        """
        Wait for the end of the job, whatever it is, and return this object.

        An interrupt ends the waiting, not the job.

        Parameters
        ----------
        timeout_secs : float, optional
            How long to wait at most.
        on_progress : Callable[[Progress], None], optional
            Called with the progress, on this thread.

        Raises
        ------
        TimeoutError
            If the job has not ended after `timeout_secs`.
        ServerError
            If the server is lost; the job may go on, or ended with it.

        """
        deadline = None if timeout_secs is None else time.monotonic() + timeout_secs
        with EventStream(self._transport) as stream:
            while not self.record.state.is_finished:
                rest = _REFRESH_SECS if deadline is None else min(deadline - time.monotonic(), _REFRESH_SECS)
                if rest <= 0:
                    raise TimeoutError(f"the job {self.id} has not ended after {timeout_secs} s")
                progress = self._note(stream.take(rest))
                if progress is not None and on_progress is not None:
                    on_progress(progress)
        return self

    def raise_for_failure(self) -> None:
        """
        Raise if the job failed or was interrupted.

        Raises
        ------
        RunError
            With the reason and the traceback.

        """
        record = self.record
        if record.state not in {JobState.FAILED, JobState.INTERRUPTED}:
            return
        what = "failed" if record.state == JobState.FAILED else "was interrupted"
        message, trace = "no reason is known", ""
        if record.failure is not None:
            message, trace = record.failure.message, record.failure.traceback
        raise RunError(
            f"{record.kind} {self.id} {what}: {message}" + (f"\n{trace}" if trace else ""),
            advice=f"`workbench jobs requeue {self.id}` runs it again",
        )

    def load_manifest(self) -> RunRecord | None:
        """Return the manifest of a backtest; ``None`` while it has not ended, or if it never began."""
        found = self._transport.fetch_json("GET", f"backtests/{self.id}")
        return None if found["manifest"] is None else msgspec.convert(found["manifest"], RunRecord)

    def load_table(self, name: str) -> pd.DataFrame:
        """
        Return a table of a backtest: ``equity``, ``positions``, ``orders``, ``fills`` or ``accounts``.

        Amounts are `decimal.Decimal`, times are UTC.

        Raises
        ------
        InputError
            If there is no such table, or the run kept none.

        """
        import pyarrow.parquet as pq

        content = self._transport.fetch(
            "GET",
            f"backtests/{self.id}/results/{quote(_TABLES.get(name, name), safe='')}",
            params={"format": "parquet"},
            timeout_secs=_RESULT_SECS,
        )
        frame: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
        return frame

    def _renew(self) -> JobRecord:
        return self.record if self.record.state.is_finished else self.refresh()

    def _steer(self, verb: str) -> None:
        self._keep(self._transport.fetch("POST", f"jobs/{self.id}/{verb}"))

    def _note(self, message: dict[str, Any] | None) -> Progress | None:
        """Take what a message says about this job; return its progress, if it is that."""
        kind = None if message is None else message["type"]
        if message is None or kind in {"hello", "gap"}:
            self.refresh()  # What happened before is not told
            return self.record.progress
        if kind == "progress" and message["job_id"] == self.id:
            return msgspec.convert(message["progress"], Progress)
        if kind == "job" and message["job"]["id"] == self.id:
            record = msgspec.convert(message["job"], JobRecord)
            self.record = msgspec.structs.replace(record, spec=self.record.spec)
        return None

    def _keep(self, content: bytes) -> None:
        self.record = msgspec.json.decode(content, type=JobRecord)
