"""One job of the server, to be steered, waited for and read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from workbench.client.events import EventStream
from workbench.errors import RunError
from workbench.records import EquityTrace, Inspection, JobRecord, Progress, RunRecord
from workbench.states import JobState

if TYPE_CHECKING:
    import pandas as pd

    from workbench.client.client import Client

__all__ = ["Job"]

# Events tell of every change; this is for a server that lost what it knew.
_REFRESH_SECS = 15.0
_RESULT_SECS = 120.0
# As the server calls it: a trade is a position from its opening to its end.
_TABLES = {"positions": "trades"}


class Job:
    """
    A job, wherever it runs. It goes on when this object, or the notebook, is gone.

    Parameters
    ----------
    client : Client
        The server that has it.
    record : JobRecord
        The job as it is known.

    Attributes
    ----------
    client : Client
        The server that has it.
    record : JobRecord
        The job as it was known last.

    """

    def __init__(self, client: Client, record: JobRecord) -> None:
        self.client = client
        self.record = record
        self._transport = client.transport

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
        return Job(self.client, msgspec.json.decode(content, type=JobRecord))

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

    def load_prices(
        self,
        instrument_id: str,
        *,
        start: str | None = None,
        end: str | None = None,
        points: int = 2_000,
    ) -> pd.DataFrame:
        """
        Return prices of an instrument of a backtest, merged into at most `points` bars.

        Parameters
        ----------
        instrument_id : str
            The instrument.
        start, end : str, optional
            The range, ISO 8601, UTC unless they say otherwise; default: that of the run.
        points : int
            The most bars, at most 100,000.

        Returns
        -------
        pandas.DataFrame
            ``ts`` (UTC, the last stamp in the bar) and ``open``, ``high``, ``low``, ``close``
            (`decimal.Decimal`); of bars and trades also ``volume``. ``attrs["rows"]`` is how many rows were
            merged, ``attrs["identifier"]`` what was read: a bar type, or the instrument for ticks, and
            ``attrs["volume_is_traded"]`` whether the volume is what was traded in a market.

        Raises
        ------
        NotFoundError
            If the run has no such instrument, or its data are not there any more.

        """
        import pandas as pd

        span = {name: one for name, one in (("start", start), ("end", end)) if one is not None}
        found = self._transport.fetch_json(
            "GET",
            f"backtests/{self.id}/results/prices",
            params={"instrument_id": instrument_id, "points": points, **span},
            timeout_secs=_RESULT_SECS,
        )
        columns: dict[str, list[str]] = found["columns"]
        exact = {name: [Decimal(v) for v in values] for name, values in columns.items() if name != "ts"}
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in exact.items()})
        frame.insert(
            0, "ts", pd.to_datetime(pd.Series(columns["ts"], dtype=object), utc=True, format="ISO8601")
        )
        frame.attrs.update(
            rows=found["total"],
            identifier=found["identifier"],
            volume_is_traded=found.get("volume_is_traded", False),  # An older server does not say
        )
        return frame

    def load_trials(self, *, limit: int = 1_000) -> tuple[list[JobRecord], int]:
        """
        Return the backtests of the same strategy on the same data, whoever ran them, and how many there are.

        Parameters
        ----------
        limit : int
            The most records to return, the newest first; all are counted.

        Returns
        -------
        list of JobRecord, int
            Those that wait are not among them: they have tried nothing yet.

        """
        found = self._transport.fetch_json(
            "GET",
            "jobs",
            params={
                "kind": "backtest",
                "lineage": self.record.lineage,
                "dataset": self.record.dataset,
                "state": [str(state) for state in JobState if state != JobState.PENDING],
                "sort": "-created_at",
                "limit": limit,
            },
        )
        return msgspec.convert(found["items"], list[JobRecord]), int(found["total"])

    def load_trace(self) -> EquityTrace:
        """Return the equity so far of a backtest at work, in a few points; none before it began or after its end."""
        content = self._transport.fetch("GET", f"jobs/{self.id}/trace")
        return msgspec.json.decode(content, type=EquityTrace)

    def load_curve(self, points: int = 60) -> EquityTrace:
        """
        Return the equity of a backtest that has ended, in a few points with the extremes among them.

        Raises
        ------
        NotFoundError
            If it kept none.

        """
        import numpy as np

        path = f"backtests/{self.id}"
        table = self._transport.fetch_json("GET", f"{path}/results/equity", params={"points": points})
        manifest = self._transport.fetch_json("GET", path)["manifest"] or {}
        names = [column["name"] for column in table["columns"]]
        ts, equity = names.index("ts"), names.index("equity")
        rows = [row for row in table["rows"] if row[equity] is not None]
        stamps = np.array([row[ts].removesuffix("Z") for row in rows], dtype="datetime64[ns]").astype("int64")
        return EquityTrace(
            points=[(int(ns), row[equity]) for ns, row in zip(stamps, rows, strict=True)],
            currency=manifest.get("currency", ""),
        )

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
