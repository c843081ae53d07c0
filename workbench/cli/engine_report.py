"""Where engines stand, read from their directories: server or no server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.cli.tables import echo_table
from workbench.config import Settings
from workbench.engine_records import EngineStatus

if TYPE_CHECKING:
    from workbench.client.engine import EngineReport
    from workbench.live.engine_directory import EngineDirectory

__all__ = ["echo_report", "echo_statuses", "find_local", "load_report"]

_FACTS_SECS = 2.0


def find_local(settings: Settings) -> list[EngineDirectory]:
    """Return the engines whose directories are here."""
    from workbench.live.engine_directory import find_engines

    return find_engines(settings.engines)


def load_report(settings: Settings, name: str) -> EngineReport:
    """
    Return where an engine stands: from its directory and its host, or from the server where it is not here.

    Raises
    ------
    NotFoundError
        If there is none of this name.

    """
    from workbench.client.engine import EngineReport
    from workbench.live.engine_directory import build_missing_error
    from workbench.live.observation import observe_engine

    directory = next((d for d in find_local(settings) if d.name == name), None)
    if directory is None and settings.server is not None:
        from workbench.client.connection import connect

        with connect(settings=settings) as client:
            return client.engine(name).status()
    if directory is None:
        raise build_missing_error(name, settings.engines)
    status = observe_engine(directory)
    if not status.is_alive or status.host is None:
        return EngineReport(status=status)
    facts, trouble = _ask_host(status.host.socket)
    return EngineReport(status=status, facts=facts, trouble=trouble)


def echo_report(report: EngineReport) -> None:
    """Write where one engine stands."""
    status = report.status
    beat, desired, host = status.heartbeat, status.desired, status.host
    facts = [
        ("engine", status.name),
        ("state", str(status.state)),
        ("environment", status.environment),
        ("light", "green" if status.is_green else "not green"),
        *(("", reason) for reason in status.reasons),
        ("trading state", beat.trading_state if beat is not None and status.is_alive else ""),
        ("wanted", f"{desired.state}, by {desired.by} at {desired.at}" if desired is not None else ""),
        ("version", str(host.config_version) if host is not None else ""),
        (
            "host",
            f"process {host.pid}, number {host.incarnation} of this engine"
            if host is not None and status.is_alive
            else "",
        ),
        ("guardian", "there" if status.is_guarded else "not there"),
        ("heartbeat", _describe_beat(status)),
        *_list_facts(report.facts or {}),
        ("trouble", report.trouble),
    ]
    echo_table([("", "left"), ("", "left")], [fact for fact in facts if fact[1]])


def echo_statuses(statuses: list[EngineStatus]) -> None:
    """Write where several engines stand, one to a line."""
    titles = ("engine", "environment", "state", "trading", "light", "why")
    rows = [
        [
            one.name,
            one.environment,
            str(one.state),
            one.heartbeat.trading_state if one.heartbeat is not None and one.is_alive else "",
            "green" if one.is_green else "not green",
            "; ".join(one.reasons),
        ]
        for one in statuses
    ]
    echo_table([(title, "left") for title in titles], rows)


def _ask_host(socket: str) -> tuple[dict[str, Any] | None, str]:
    """Return what a host says of itself, or why it says nothing."""
    import httpx

    try:
        transport = httpx.HTTPTransport(uds=socket)
        with httpx.Client(transport=transport, timeout=_FACTS_SECS, trust_env=False) as http:
            found = msgspec.json.decode(http.get("http://engine/status").raise_for_status().content)
    except (httpx.HTTPError, OSError, msgspec.DecodeError) as e:
        return None, f"the host does not say more: {e or type(e).__name__}"
    return (found, "") if isinstance(found, dict) else (None, "the host speaks nonsense")


def _describe_beat(status: EngineStatus) -> str:
    beat, age = status.heartbeat, status.heartbeat_age_secs
    if beat is None or age is None:
        return ""
    at = datetime.fromtimestamp(beat.ts_ns / 1e9, UTC).isoformat(timespec="seconds")
    lag = f", main loop {beat.lag_ms:,.0f} ms late" if status.is_alive else ""
    return f"{age:,.1f} s old ({at}){lag}, event {beat.last_seq:,}"


def _list_facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    valuation = facts.get("valuation") or {}
    currency = valuation.get("currency", "")
    rows = [
        (name.replace("_", " "), f"{valuation[name]} {currency}")
        for name in ("equity", "day_pnl", "gross", "net")
        if valuation.get(name) is not None
    ]
    if valuation.get("missing"):
        rows.append(("not known", str(valuation["missing"])))
    made = facts.get("strategy_pnl") or {}
    for one in facts.get("strategies") or []:
        error = str(one.get("error") or "").strip().splitlines()
        text = f"{one.get('strategy_id')} {one.get('state')}{_describe_pnl(made.get(one.get('strategy_id')), currency)}"
        rows.append(("strategy", f"{text}: {error[-1]}" if error else text))
    words = {True: "connected", False: "NOT connected"}
    rows += [
        ("client", f"{one.get('client_id')} {words[bool(one.get('is_connected'))]}")
        for one in facts.get("clients") or []
    ]
    clock, log = facts.get("clock") or {}, facts.get("log") or {}
    if clock:
        offset = clock.get("offset_ms")
        rows.append(
            ("clock", f"not known: {clock['why']}" if offset is None else f"{offset:,.1f} ms: {clock['why']}")
        )
    if log:
        rows.append(("log", f"{log.get('errors', 0):,} errors, {log.get('warnings', 0):,} warnings"))
    return rows


def _describe_pnl(made: dict[str, Any] | None, currency: str) -> str:
    if made is None:
        return ""
    if made.get("why"):
        return f", PnL not known: {made['why']}"
    return f", realized {made['realized']}, unrealized {made['unrealized']} {currency}"
