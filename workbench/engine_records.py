"""What is written down about live engines, and told of them: the facts that cross a process's edge."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from workbench.states import EngineState

__all__ = [
    "AccountRow",
    "Balance",
    "CheckOutcome",
    "ConfigCheck",
    "ConfigVersion",
    "Desired",
    "DesiredState",
    "EmergencyAction",
    "EmergencyOutcome",
    "EmergencyPolicy",
    "EmergencyScope",
    "EngineEvent",
    "EngineStatus",
    "EquityPage",
    "EquitySample",
    "FillRow",
    "Gap",
    "Heartbeat",
    "HostMode",
    "HostRecord",
    "LastExit",
    "Latch",
    "LogLine",
    "LogPage",
    "OrderRow",
    "PositionRow",
    "Risks",
    "StillOpen",
    "StrategyPnl",
    "StrategyRow",
    "Supervision",
]


class DesiredState(StrEnum):
    """What people want an engine to be."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class HostMode(StrEnum):
    """What a host does: trade, or close what is open without any strategy."""

    TRADE = "TRADE"
    LIQUIDATE = "LIQUIDATE"


class EmergencyAction(StrEnum):
    """What an emergency stop does after the gate is shut."""

    CANCEL_ONLY = "CANCEL_ONLY"
    FLATTEN = "FLATTEN"


class EmergencyScope(StrEnum):
    """Whose orders and positions an emergency stop ends."""

    STRATEGIES = "STRATEGIES"
    ACCOUNT = "ACCOUNT"


class EmergencyPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What an emergency stop does.

    Attributes
    ----------
    action : EmergencyAction
        Cancel orders only, or close positions too.
    scope : EmergencyScope
        What the engine's own strategies have, or everything in the account.

    """

    action: EmergencyAction = EmergencyAction.FLATTEN
    scope: EmergencyScope = EmergencyScope.STRATEGIES


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """
    What people want, written by whoever starts or stops an engine.

    Attributes
    ----------
    state : DesiredState
        Running or not.
    config_version : int
        The version of the configuration to run.
    request : int
        Counts the commands: a new one ends the guardian's waiting and its count of restarts.
    is_flattening : bool
        Whether a stop closes what is open first.
    restart_version : int
        Of a stop that a start is to follow, the version of the configuration to run then; 0: none is.
    by, at : str
        Who asked, and when (ISO 8601 UTC).

    """

    state: DesiredState
    config_version: int
    request: int
    is_flattening: bool = False
    restart_version: int = 0
    by: str
    at: str


class HostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A host that holds the lock of its engine, or held it last.

    Attributes
    ----------
    pid : int
        For signals only; the lock says whether it lives.
    incarnation : int
        Counts the hosts of the engine, from 1.
    config_version : int
        What it runs.
    environment : str
        ``SANDBOX`` or ``LIVE``.
    mode : HostMode
        What it is for.
    started_at : str
        ISO 8601 UTC.
    socket : str
        Where it answers: the path of a unix socket in a directory that is private to its user.

    """

    pid: int
    incarnation: int
    config_version: int
    environment: str
    mode: HostMode
    started_at: str
    socket: str


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a host says of itself twice a second, from a thread that no strategy can block.

    Attributes
    ----------
    ts_ns : int
        When, wall clock, UNIX nanoseconds UTC.
    incarnation, pid : int
        Which host.
    state : EngineState
        Where it stands.
    loop_ts_ns : int
        When the main loop turned last: older than a second or two, and something blocks it.
    lag_ms : float
        How late the main loop was at its last turn.
    trading_state : str
        What the gate lets through.
    breach : str
        The limit that was reached, or nothing.
    last_seq : int
        The last event in the journal.
    journal_trouble : str
        Why the journal cannot be written, or nothing.
    is_settled : bool
        Whether an emergency stop has done all that it can; what is still open is in the outcome.
    problems : list[str]
        What is wrong, in words: old data, a client that is not connected, queues, disk.

    """

    ts_ns: int
    incarnation: int
    pid: int
    state: EngineState
    loop_ts_ns: int
    lag_ms: float = 0.0
    trading_state: str = ""
    breach: str = ""
    last_seq: int = 0
    journal_trouble: str = ""
    is_settled: bool = False
    problems: list[str] = []


class Latch(msgspec.Struct, frozen=True, kw_only=True):
    """
    An emergency stop that holds until a trader clears it, whatever is restarted meanwhile.

    Attributes
    ----------
    at : str
        When, ISO 8601 UTC.
    ts_ns : int
        The same as UNIX nanoseconds UTC.
    by, reason : str
        Who pulled it, and why.
    policy : EmergencyPolicy
        What it does.

    """

    at: str
    ts_ns: int
    by: str
    reason: str
    policy: EmergencyPolicy


class StillOpen(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that an emergency stop could not end, or may not.

    Attributes
    ----------
    kind : str
        ``order``, ``position`` or ``balance``.
    instrument_id, key : str
        What it is of, and the id of the order or position, or the currency of the balance.
    quantity : str
        How much, decimal text.
    reason : str
        Why it is still there.

    """

    kind: str
    instrument_id: str
    key: str
    quantity: str
    reason: str


class EmergencyOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far an emergency stop has come.

    Attributes
    ----------
    latch : Latch
        Which one.
    shut_ns : int
        When the gate was shut, UNIX nanoseconds UTC.
    settled_ns : int, optional
        When nothing was left to do, or to try.
    cancelled, closed : int
        Orders that were cancelled, positions that were closed.
    still_open : list[StillOpen]
        What is still there. Only an empty list means flat.
    attempts : int
        How often it was tried.

    """

    latch: Latch
    shut_ns: int
    settled_ns: int | None = None
    cancelled: int = 0
    closed: int = 0
    still_open: list[StillOpen] = []
    attempts: int = 0


class LastExit(msgspec.Struct, frozen=True, kw_only=True):
    """How a host ended: its exit code (minus the signal's number), when, and why as far as it is known."""

    at: str
    incarnation: int
    code: int | None
    reason: str
    is_expected: bool


class Supervision(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the guardian did, and what it waits for.

    Attributes
    ----------
    pid : int
        The guardian.
    state : EngineState
        Where the engine stands, as the guardian sees it.
    at : str
        When that was written, ISO 8601 UTC.
    restarts : list[str]
        When it started the host again, within the policy's window.
    next_restart_at : str
        When it will, ISO 8601 UTC, or nothing.
    last_exit : LastExit, optional
        How the last host ended.
    message : str
        What a person should know.
    request : int
        The command that it acted on: `Desired.request`.

    """

    pid: int
    state: EngineState
    at: str
    restarts: list[str] = []
    next_restart_at: str = ""
    last_exit: LastExit | None = None
    message: str = ""
    request: int = 0


class CheckOutcome(StrEnum):
    """
    What a check of a configuration has found.

    ``UNKNOWN`` is what shows only when the engine runs; ``MISSING`` what has to be there when it starts, such as a
    credential; ``WRONG`` what no engine can use.
    """

    OK = "OK"
    UNKNOWN = "UNKNOWN"
    MISSING = "MISSING"
    WRONG = "WRONG"


class ConfigCheck(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that was looked at before a configuration is used.

    Attributes
    ----------
    subject : str
        What: ``adapter``, ``credential``, ``database``, ``instrument``, ``limits``, ``node`` or ``strategy``.
    outcome : CheckOutcome
        What was found.
    message : str
        The same in words, without any secret.
    field : str
        The place in the configuration, such as ``node.exec_clients.BINANCE.config.api_key``.
    advice : str
        What to do about it.

    """

    subject: str
    outcome: CheckOutcome
    message: str
    field: str = ""
    advice: str = ""


class ConfigVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an engine's configuration: `config` is the `EngineConfig` as plain values."""

    version: int
    at: str
    by: str
    comment: str
    config: dict[str, Any]


class EngineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    One entry of an engine's journal.

    Attributes
    ----------
    seq : int
        Its number: without holes, across all hosts of the engine.
    ts_ns : int
        When it was written, wall clock, UNIX nanoseconds UTC.
    incarnation : int
        Which host wrote it.
    kind : str
        ``order``, ``position``, ``account``, ``strategy``, ``gate``, ``engine``, ``alarm``, ``data`` or ``log``.
    name : str
        What happened, such as ``OrderFilled``.
    body : msgspec.Raw
        The rest, JSON; amounts and prices are decimal text.

    """

    seq: int
    ts_ns: int
    incarnation: int
    kind: str
    name: str
    body: msgspec.Raw


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events asked for are no longer kept: `requested` is the first of them, `first` the oldest that there is."""

    requested: int
    first: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the engine holds it; amounts and prices are decimal text, times UNIX nanoseconds UTC."""

    client_order_id: str
    venue_order_id: str = ""
    strategy_id: str
    instrument_id: str
    side: str
    type: str
    status: str
    quantity: str
    filled_qty: str
    price: str = ""
    trigger_price: str = ""
    avg_px: str = ""
    time_in_force: str
    is_reduce_only: bool = False
    is_open: bool
    position_id: str = ""
    ts_init: int
    ts_last: int


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fill; amounts and prices are decimal text, `ts_event` is UNIX nanoseconds UTC."""

    trade_id: str
    client_order_id: str
    strategy_id: str
    instrument_id: str
    side: str
    quantity: str
    price: str
    commission: str = ""
    liquidity_side: str = ""
    ts_event: int


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    An open position; amounts and prices are decimal text, times UNIX nanoseconds UTC.

    `mark` is what it is valued at, and `mark_ts` when that was quoted; both are empty where there is no price.
    """

    position_id: str
    strategy_id: str
    instrument_id: str
    side: str
    quantity: str
    avg_px_open: str
    mark: str = ""
    mark_ts: int = 0
    unrealized_pnl: str = ""
    realized_pnl: str = ""
    currency: str
    ts_opened: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A balance in one currency, decimal text."""

    currency: str
    total: str
    free: str
    locked: str


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the venue last told of it; `ts_event` is UNIX nanoseconds UTC."""

    account_id: str
    type: str
    base_currency: str = ""
    balances: list[Balance]
    ts_event: int


class StrategyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy of an engine; `error` is the traceback of the exception that stopped it, or nothing."""

    strategy_id: str
    path: str
    state: str
    error: str = ""


class StrategyPnl(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a strategy has made, in the currency of the engine, after fees; decimal text.

    ``None`` where a price or a rate is missing.

    Attributes
    ----------
    realized : str, optional
        Of all that it closed, since the engine's history begins; a rate is that of when it was closed.
    unrealized : str, optional
        Of what it holds, at the price at which that could be closed now.
    why : str
        What is missing.

    """

    realized: str | None
    unrealized: str | None
    why: str = ""


class EquitySample(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an engine was worth at a moment; amounts are decimal text, ``None`` where a price or a rate was missing.

    Attributes
    ----------
    ts_ns : int
        When, wall clock, UNIX nanoseconds UTC.
    currency : str
        What it is counted in.
    equity : str, optional
        Marked to market, after fees.
    day_pnl : str, optional
        What it changed by since the day began.
    gross, net : str, optional
        The exposure.
    missing : str
        What was missing, in words.
    strategies : dict[str, StrategyPnl]
        What each strategy had made, by its id.

    """

    ts_ns: int
    currency: str
    equity: str | None = None
    day_pnl: str | None = None
    gross: str | None = None
    net: str | None = None
    missing: str = ""
    strategies: dict[str, StrategyPnl] = {}


class EquityPage(msgspec.Struct, frozen=True):
    """
    What an engine was worth over time.

    Attributes
    ----------
    items : list[EquitySample]
        By time. Where there are more than were asked for: the lowest and the highest of each part of the range.
    total : int
        How many there are in the range.

    """

    items: list[EquitySample]
    total: int


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line of nautilus's log.

    Attributes
    ----------
    ts : str
        When, ISO 8601 UTC.
    level : str
        ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    component : str
        Who says it.
    message : str
        What.

    """

    ts: str
    level: str
    component: str
    message: str


class LogPage(msgspec.Struct, frozen=True):
    """
    Lines of nautilus's log.

    Attributes
    ----------
    items : list[LogLine]
        As they were written, the oldest first.
    cursor : str
        Where to go on: `after` of the next request; nothing where there is no log yet.
    is_cut : bool
        Whether lines between what was asked for and the first of these are no longer kept, or were passed over.

    """

    items: list[LogLine]
    cursor: str
    is_cut: bool = False


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an engine stands, as it can be told with or without its host.

    Attributes
    ----------
    name : str
        The engine.
    state : EngineState
        Where it stands.
    environment : str
        ``SANDBOX`` or ``LIVE``; empty before its first start.
    is_alive, is_guarded : bool
        Whether a host, and a guardian, hold their locks.
    guardian_age_secs : float, optional
        How long ago a guardian that holds its lock has turned.
    desired : Desired, optional
        What people want.
    host : HostRecord, optional
        The host, or the last one.
    heartbeat : Heartbeat, optional
        The last one; of the host that lives, where one does.
    heartbeat_age_secs : float, optional
        How old that is.
    supervision : Supervision, optional
        What the guardian says.
    latch : Latch, optional
        The emergency stop that holds.
    outcome : EmergencyOutcome, optional
        How far it has come.
    is_green : bool
        The overall light.
    reasons : list[str]
        Why it is not green.

    """

    name: str
    state: EngineState
    environment: str = ""
    is_alive: bool
    is_guarded: bool
    guardian_age_secs: float | None = None
    desired: Desired | None = None
    host: HostRecord | None = None
    heartbeat: Heartbeat | None = None
    heartbeat_age_secs: float | None = None
    supervision: Supervision | None = None
    latch: Latch | None = None
    outcome: EmergencyOutcome | None = None
    is_green: bool = False
    reasons: list[str] = []


class Risks(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a person must see before they raise risk.

    Attributes
    ----------
    engine : str
        Which one.
    action : str
        What was asked for: ``start``, ``restart``, ``trading-state``, ``config`` or ``emergency-clear``.
    environment : str
        ``SANDBOX`` or ``LIVE``.
    word : str
        What a person types to confirm it: ``LIVE`` or ``y``.
    lines : list[str]
        The risks in words.
    orders, positions : list
        What is open; empty where nobody knows, and then the lines say so.
    gross, net, currency : str
        The exposure, decimal text; empty where nobody knows.
    changes : list[dict]
        What will change: ``field``, ``before`` and ``after``.

    """

    engine: str
    action: str
    environment: str
    word: str
    lines: list[str]
    orders: list[OrderRow] = []
    positions: list[PositionRow] = []
    gross: str = ""
    net: str = ""
    currency: str = ""
    changes: list[dict[str, Any]] = []
