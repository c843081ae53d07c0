"""``workbench engine``: live engines, started, watched and stopped; an emergency stop needs no server."""

from __future__ import annotations

import contextlib
import getpass
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from workbench.cli.engine_config import config
from workbench.cli.engine_events import events
from workbench.cli.engine_log import log
from workbench.cli.engine_options import confirmed, engine_option, json_option, yes_option
from workbench.cli.engine_reconcile import reconcile
from workbench.cli.engine_report import echo_report, echo_statuses, find_local, load_report
from workbench.cli.engine_strategies import drill, strategy
from workbench.cli.tables import echo_json, echo_table
from workbench.config import Settings, load_settings
from workbench.engine_records import EmergencyOutcome, EngineStatus
from workbench.errors import InputError, RunError, StartError, WorkbenchError
from workbench.states import EngineState

if TYPE_CHECKING:
    from workbench.client.engine import Engine

__all__ = ["engine"]

_LOOK_SECS = 0.1
# After what the server has waited
_START_SECS = 60.0
_reason = click.option("--reason", default="", help="Why, for those who look at it later.")


@click.group()
def engine() -> None:
    """Start, watch and stop live engines."""


engine.add_command(config)
engine.add_command(drill)
engine.add_command(events)
engine.add_command(log)
engine.add_command(reconcile)
engine.add_command(strategy)


@engine.command()
@engine_option
@click.option("--version", type=click.IntRange(min=1), help="The version to run (default: the last one).")
@yes_option
@json_option
def start(engine_name: str, version: int | None, yes: str | None, as_json: bool) -> None:
    """Start an engine, and wait until it runs. LIVE must be confirmed."""

    def act(found: Engine, token: str) -> EngineStatus:
        return _await_start(found, found.start(config_version=version, confirm=token))

    _steer(engine_name, act, yes, as_json)


@engine.command()
@engine_option
@click.option("--flatten", is_flag=True, help="Close positions first (default: leave them).")
@json_option
def stop(engine_name: str, flatten: bool, as_json: bool) -> None:
    """Stop an engine in an orderly way."""
    _steer(engine_name, lambda e, _: e.stop(is_flattening=flatten), None, as_json)


@engine.command()
@engine_option
@click.option("--version", type=click.IntRange(min=1), help="The version to run (default: the last one).")
@click.option("--flatten", is_flag=True, help="Close positions first (default: leave them).")
@yes_option
@json_option
def restart(engine_name: str, version: int | None, flatten: bool, yes: str | None, as_json: bool) -> None:
    """Stop an engine and start it again. LIVE must be confirmed."""

    def act(found: Engine, token: str) -> EngineStatus:
        result = found.restart(is_flattening=flatten, config_version=version, confirm=token)
        return _await_start(found, result)

    _steer(engine_name, act, yes, as_json)


@engine.command()
@click.option("--engine", "engine_name", help="Which engine (default: all of them, or the only one).")
@click.option("--check", is_flag=True, help="Exit 1 unless every one that is shown is green.")
@json_option
def status(engine_name: str | None, check: bool, as_json: bool) -> None:
    """Show where engines stand. It needs no server."""
    settings = load_settings()
    names = [engine_name] if engine_name is not None else _list_names(settings)
    reports = [load_report(settings, name) for name in names]
    if as_json:
        echo_json(reports if engine_name is None else reports[0])
    elif not reports:
        click.echo("no engines; `workbench engine config presets` shows where one can begin")
    elif len(reports) == 1:
        echo_report(reports[0])
    else:
        echo_statuses([report.status for report in reports])
    if check and not all(report.status.is_green for report in reports):
        raise click.exceptions.Exit(1)


@engine.command("trading-state")
@engine_option
@click.argument("state", type=click.Choice(["ACTIVE", "REDUCING", "HALTED"], case_sensitive=False))
@_reason
@yes_option
@json_option
def trading_state(engine_name: str, state: str, reason: str, yes: str | None, as_json: bool) -> None:
    """
    Set what the gate lets through.

    ACTIVE everything within the limits, REDUCING no new risk, HALTED cancels only. More risk must be confirmed.
    """
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(engine_name)
        effective = confirmed(
            lambda token: found.set_trading_state(state.upper(), reason=reason, confirm=token), yes
        )
    if as_json:
        echo_json({"engine": engine_name, "effective": effective})
    else:
        click.echo(effective)
        if effective != state.upper():
            click.echo(f"it was set to {state.upper()}; something else keeps it {effective}", err=True)


@engine.command("emergency-stop")
@click.option("--engine", "engine_name", default="default", show_default=True, help="Which engine.")
@click.option("--all", "is_all", is_flag=True, help="Every engine of the workspace.")
@_reason
@click.option(
    "--wait",
    "wait_secs",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="How many seconds to wait for what comes of it.",
)
@json_option
def emergency_stop(engine_name: str, is_all: bool, reason: str, wait_secs: float, as_json: bool) -> None:
    """
    Stop an engine at once: shut its gate, then cancel and close as its policy says.

    It asks nothing, needs no server, may be repeated, and holds until it is cleared. It waits a few seconds for what
    comes of it, and shows what is still open. Exit code 1: an engine could not be told.
    """
    settings = load_settings()
    is_remote = _is_remote(settings)
    done, failed = (_stop_remote if is_remote else _stop_local)(
        settings, None if is_all else engine_name, reason
    )
    done = _await_outcomes(settings, done, wait_secs, is_remote=is_remote)
    if as_json:
        plain = {name: msgspec.to_builtins(outcome) for name, outcome in done.items()}
        echo_json({"outcomes": plain, "errors": failed})
    else:
        for name, outcome in done.items():
            click.echo(f"{name}: {_describe_outcome(outcome)}")
            _echo_open(outcome)
        if not done and not failed:
            click.echo("no engines")
    if failed:
        lines = "; ".join(f"{name}: {message}" for name, message in failed.items())
        raise RunError(f"not every engine was stopped: {lines}", advice="repeat it, or end its process")


@engine.command()
@engine_option
@click.option("--reason", required=True, help="Why it is safe; it is written down.")
@yes_option
@json_option
def clear(engine_name: str, reason: str, yes: str | None, as_json: bool) -> None:
    """Clear an emergency stop. The gate stays HALTED until its trading state is set."""
    _steer(engine_name, lambda e, token: e.clear(reason, confirm=token), yes, as_json)


def _steer(name: str, act: Callable[[Engine, str], EngineStatus], word: str | None, as_json: bool) -> None:
    """Do something to an engine through the server, confirmed where it asks for that, and show where it stands."""
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(name)
        result = confirmed(lambda token: act(found, token), word)
    if as_json:
        echo_json(result)
    else:
        echo_statuses([result])


def _await_start(found: Engine, result: EngineStatus) -> EngineStatus:
    """Return where an engine stands that has come up, or not in the time that a start may take."""
    pause, deadline = threading.Event(), time.monotonic() + _START_SECS
    while result.state is EngineState.STARTING and time.monotonic() < deadline:
        pause.wait(_LOOK_SECS)
        result = found.status().status
    if result.state in {EngineState.FAILED, EngineState.CRASHED}:
        raise StartError(
            f"the engine {result.name} did not come up: {'; '.join(result.reasons)}",
            advice=f"`workbench engine log --engine {result.name} --level warning` shows more",
        )
    return result


def _list_names(settings: Settings) -> list[str]:
    if not _is_remote(settings):
        return [directory.name for directory in find_local(settings)]
    from workbench.client.connection import connect

    with connect(settings=settings) as client:
        return [one.name for one in client.engines.load_all()]


def _is_remote(settings: Settings) -> bool:
    """Return whether the engines are another machine's: the settings name a server, and none are here."""
    return settings.server is not None and not find_local(settings)


def _stop_local(
    settings: Settings, name: str | None, reason: str
) -> tuple[dict[str, EmergencyOutcome], dict[str, str]]:
    from workbench.live.emergency import stop_emergency, stop_every_engine
    from workbench.live.engine_directory import EngineDirectory

    by = getpass.getuser()
    if name is not None:
        directory = EngineDirectory(settings.engines / name)
        return {name: stop_emergency(directory, by=by, reason=reason)}, {}
    done: dict[str, EmergencyOutcome] = {}
    failed: dict[str, str] = {}
    for one, outcome in stop_every_engine(settings.engines, by=by, reason=reason).items():
        if isinstance(outcome, WorkbenchError):
            failed[one] = str(outcome)
        else:
            done[one] = outcome
    return done, failed


def _stop_remote(
    settings: Settings, name: str | None, reason: str
) -> tuple[dict[str, EmergencyOutcome], dict[str, str]]:
    from workbench.client.connection import connect

    with connect(settings=settings) as client:
        if name is not None:
            outcome = client.engine(name).emergency_stop(reason=reason)
            if outcome is None:
                raise InputError(f"the engine {name} says nothing of its emergency stop")
            return {name: outcome}, {}
        answers: list[dict[str, Any]] = client.engines.emergency_stop(reason=reason)
    done = {
        one["engine"]: msgspec.convert(one["outcome"], EmergencyOutcome) for one in answers if one["outcome"]
    }
    return done, {one["engine"]: one["error"] for one in answers if one["error"]}


def _await_outcomes(
    settings: Settings, done: dict[str, EmergencyOutcome], wait_secs: float, *, is_remote: bool
) -> dict[str, EmergencyOutcome]:
    """Return how far the stops have come when all have settled, or when the time is over."""
    pause, deadline = threading.Event(), time.monotonic() + wait_secs
    found = dict(done)
    while any(o.settled_ns is None for o in found.values()) and time.monotonic() < deadline:
        pause.wait(_LOOK_SECS)
        for name, outcome in found.items():
            with contextlib.suppress(WorkbenchError):  # What is known already is shown all the same
                now = _load_outcome(settings, name, is_remote=is_remote)
                if now is not None and now.latch.ts_ns == outcome.latch.ts_ns:
                    found[name] = now
    return found


def _load_outcome(settings: Settings, name: str, *, is_remote: bool) -> EmergencyOutcome | None:
    if is_remote:
        from workbench.client.connection import connect

        with connect(settings=settings) as client:
            return client.engine(name).status().status.outcome
    from workbench.live.engine_directory import EngineDirectory

    return EngineDirectory(settings.engines / name).load_outcome()


def _describe_outcome(outcome: EmergencyOutcome) -> str:
    policy = outcome.latch.policy
    what = f"latched ({policy.action}, {policy.scope})"
    gate = (
        "the gate is shut"
        if outcome.shut_ns
        else "no host could tell that its gate is shut: its guardian acts"
    )
    if outcome.settled_ns is None:
        end = "it goes on; `workbench engine status` shows how far"
    elif outcome.still_open:
        end = f"{len(outcome.still_open):,} still open"
    else:
        end = "nothing is open"
    return f"{what}; {gate}; {outcome.cancelled:,} cancelled, {outcome.closed:,} closed; {end}"


def _echo_open(outcome: EmergencyOutcome) -> None:
    if outcome.still_open:
        titles = ("still open", "instrument", "what", "how much", "why")
        columns = [(title, "right" if title == "how much" else "left") for title in titles]
        echo_table(
            columns, [[o.kind, o.instrument_id, o.key, o.quantity, o.reason] for o in outcome.still_open]
        )
