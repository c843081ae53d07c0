"""Stored and sent facts: what a job reports while it runs and what remains when it has ended."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.roles import Role
from workbench.states import JobState

__all__ = [
    "EquityTrace",
    "Failure",
    "FileRecord",
    "HoldoutRecord",
    "HoldoutUse",
    "Identity",
    "Inspection",
    "JobEvent",
    "JobRecord",
    "Progress",
    "RunRecord",
    "TokenRecord",
    "UserRecord",
]


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
    cpu_percent : float
        The CPU time that it takes, in percent of one core; 0 while unknown.

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
    cpu_percent: float = 0.0


class EquityTrace(msgspec.Struct, frozen=True, kw_only=True):
    """
    The equity of a run at work, from its start until now, in a few points.

    Attributes
    ----------
    points : list[tuple[int, str]]
        The simulated time, UNIX nanoseconds UTC, and the equity marked to market, a decimal number in
        `currency`; in the order of time.
    currency : str
        The reporting currency; empty without points.

    """

    points: list[tuple[int, str]] = msgspec.field(default_factory=list)
    currency: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why a job failed.

    Attributes
    ----------
    kind : str
        A stable word: ``exception``, ``input``, ``memory``, ``stalled``, ``died``, ``killed``, ``account``,
        ``cancel`` or ``interrupted``.
    message : str
        One line for people.
    traceback : str
        Where it happened, as far as it is known.
    detail : dict[str, str]
        The parts of an error that the workbench raised on purpose: ``code``, ``message``, ``expected``,
        ``advice``, ``field``.
    errors : list[dict[str, str]]
        The same of each wrong place of the input, where more than one was looked for.

    """

    kind: str
    message: str
    traceback: str = ""
    detail: dict[str, str] = msgspec.field(default_factory=dict)
    errors: list[dict[str, str]] = msgspec.field(default_factory=list)


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
    lineage, dataset : str
        Which strategy on which data, whatever the parameters: by these trials are counted.
    rows : int
        The data points in the range of the run.
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
    rows: int = 0
    lineage: str = ""
    dataset: str = ""
    warnings: list[str] = msgspec.field(default_factory=list)
    files: dict[str, FileRecord] = msgspec.field(default_factory=dict)


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a paused run holds. Amounts are decimal numbers as text.

    Attributes
    ----------
    simulated_ts_ns : int
        The simulated time, UNIX nanoseconds UTC.
    positions, orders, accounts : list[dict]
        The open positions, the open orders and the balances of each account, one flat row each.

    """

    simulated_ts_ns: int
    positions: list[dict[str, str | int | None]]
    orders: list[dict[str, str | int | None]]
    accounts: list[dict[str, str | int | None]]


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    One job: what was asked, by whom, and how far it has come.

    Attributes
    ----------
    id : str
        The name of its directory.
    kind : str
        What is done: ``backtest``, ``sweep``.
    owner : str
        The user who asked.
    created_at, started_at, finished_at : str, optional
        ISO 8601 UTC.
    spec : dict
        What its kind needs to do the work, without secrets.
    parent_id : str, optional
        The sweep that it belongs to.
    requeued_from : str, optional
        The job that this one repeats.
    point : dict
        The values that a sweep has chosen for it.
    lineage, dataset : str
        Which strategy on which data, whatever the parameters: by these trials are counted.
    reason : str
        Why it waits, in words; empty when it does not.
    rows : int
        The data points it will read.
    predicted_rss_bytes, peak_rss_bytes : int
        The resident memory that was expected of its process, and the most that was seen; 0 while unknown.
    elapsed_secs : float
        How long its process worked, without pauses.
    progress : Progress, optional
        The latest progress; not stored.
    identity : str
        The identity of the run (see `Identity`); empty until it is known.
    headline : dict[str, float]
        The numbers that lists are sorted by, once there are results.
    seq : int
        The sequence number of its last change of state or of reason.

    """

    id: str
    kind: str
    name: str = ""
    state: JobState = JobState.PENDING
    owner: str = ""
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    parent_id: str | None = None
    requeued_from: str | None = None
    point: dict[str, Any] = msgspec.field(default_factory=dict)
    lineage: str = ""
    dataset: str = ""
    reason: str = ""
    rows: int = 0
    predicted_rss_bytes: int = 0
    peak_rss_bytes: int = 0
    elapsed_secs: float = 0.0
    progress: Progress | None = None
    failure: Failure | None = None
    identity: str = ""
    headline: dict[str, float] = msgspec.field(default_factory=dict)
    seq: int = 0


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A change of a job's state, or of the reason why it waits, in the order of `seq`.

    `job` is the record as it was right after the change, without its `spec`.
    """

    seq: int
    ts: str
    job: JobRecord


class HoldoutRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A range of a dataset that is sealed: kept apart for a last judgement, every use of it counted.

    Attributes
    ----------
    dataset : str
        The data, as in `JobRecord.dataset`.
    start, end : str
        The first and the last moment of the range, ISO 8601 UTC with nine decimals: they compare as text.
    sealed_by : str
        The user who sealed it.
    sealed_at : str
        When, ISO 8601 UTC.
    uses : int
        How many runs have looked at sealed data of this dataset; those under an earlier seal count too.

    """

    dataset: str
    start: str
    end: str
    sealed_by: str
    sealed_at: str
    uses: int = 0


class HoldoutUse(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run that looked at a sealed range.

    `user` is empty where nobody wrote it down: a run without a server. `ts` is when it was counted, ISO 8601
    UTC.
    """

    dataset: str
    job_id: str
    user: str
    ts: str


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may use the server. `created_at` is ISO 8601 UTC."""

    name: str
    role: Role
    created_at: str
    is_active: bool = True


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A token of a user; the token itself is nowhere, only its SHA-256.

    Attributes
    ----------
    id : str
        A short public name of the token, to revoke it by.
    label : str
        What it is for.
    created_at, expires_at, last_used_at : str, optional
        ISO 8601 UTC.

    """

    id: str
    user: str
    label: str = ""
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None
