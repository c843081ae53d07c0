"""Stored and sent facts: what a job reports while it runs and what remains when it has ended."""

from __future__ import annotations

import msgspec

from workbench.states import JobState

__all__ = ["Failure", "FileRecord", "Identity", "Progress", "RunRecord"]


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How far a job has come.

    Attributes
    ----------
    state : JobState
        RUNNING or PAUSED.
    stage : str
        What is being done: ``load``, ``run`` or ``save`` for a backtest.
    fraction : float
        The share of the work done, 0 to 1.
    simulated_ts_ns : int, optional
        The simulated time, UNIX nanoseconds UTC.
    events : int
        The data points processed so far.
    events_per_sec : float
        The data points processed a second of wall time, since the start of the stage.
    eta_secs : float, optional
        The wall time left at the present rate; ``None`` while unknown.
    equity : str, optional
        The equity marked to market, a decimal number in `currency`.
    currency : str
        The reporting currency.
    open_positions, open_orders : int
        What is open now.
    rss_bytes : int
        The resident memory of the process that does the work.

    """

    state: JobState = JobState.RUNNING
    stage: str = ""
    fraction: float = 0.0
    simulated_ts_ns: int | None = None
    events: int = 0
    events_per_sec: float = 0.0
    eta_secs: float | None = None
    equity: str | None = None
    currency: str = ""
    open_positions: int = 0
    open_orders: int = 0
    rss_bytes: int = 0


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why a job failed.

    Attributes
    ----------
    kind : str
        A stable word: ``exception``, ``input``, ``memory``, ``stalled``, ``died``, ``account`` or ``cancel``.
    message : str
        One line for people.
    traceback : str
        Where it happened, as far as it is known.

    """

    kind: str
    message: str
    traceback: str = ""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a run directory: its hash (SHA-256, hex), its size, and its rows if it is a table."""

    sha256: str
    bytes: int
    rows: int | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """
    What makes a run repeatable: equal hashes mean equal results.

    Attributes
    ----------
    run : str
        The hash over the other three and the versions that matter.
    code : str
        Over the source of every strategy, actor and model that the configuration names.
    config : str
        Over the normalised configuration: without paths, storage options, chunk size and logging.
    data : str
        Over the content of the data files in the range of the run, and the instruments.

    """

    run: str
    code: str
    config: str
    data: str


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    The manifest of a run directory, written last: what ran, how it ended and what is there.

    Attributes
    ----------
    schema : int
        The version of this layout.
    elapsed_secs : float
        Wall time of the run itself, without the start of its process.
    backtest_start, backtest_end : str, optional
        The simulated range, ISO 8601 UTC.
    currency : str
        The reporting currency of equity and metrics.
    warnings : list[str]
        What a reader of the results must know: an account below zero, a missing rate. One line each.

    """

    schema: int = 1
    run_id: str
    name: str = ""
    state: JobState
    failure: Failure | None = None
    identity: Identity | None = None
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    started_at: str
    finished_at: str
    elapsed_secs: float = 0.0
    backtest_start: str | None = None
    backtest_end: str | None = None
    currency: str = ""
    account_type: str = ""
    events: int = 0
    orders: int = 0
    fills: int = 0
    positions: int = 0
    warnings: list[str] = msgspec.field(default_factory=list)
    files: dict[str, FileRecord] = msgspec.field(default_factory=dict)
