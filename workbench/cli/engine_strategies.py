"""``workbench engine strategy`` and ``workbench engine drill``: what is changed while an engine runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from workbench.cli.engine_options import confirmed, engine_option, json_option, yes_option
from workbench.cli.tables import echo_json
from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.client.engine import Engine

__all__ = ["drill", "strategy"]

_MODES = ("stall", "disconnect", "duplicates", "out_of_order", "slow", "garbage", "off")


@click.group()
def strategy() -> None:
    """Stop, start, add and remove strategies of an engine that runs; its configuration stays as it is."""


@strategy.command()
@click.argument("strategy_id")
@engine_option
@click.option("--cancel", "is_cancelling", is_flag=True, help="Cancel its orders (default: leave them).")
@json_option
def stop(strategy_id: str, engine_name: str, is_cancelling: bool, as_json: bool) -> None:
    """Stop a strategy; its positions stay."""
    _act(engine_name, lambda e, _: e.strategies.stop(strategy_id, is_cancelling=is_cancelling), None, as_json)


@strategy.command()
@click.argument("strategy_id")
@engine_option
@yes_option
@json_option
def start(strategy_id: str, engine_name: str, yes: str | None, as_json: bool) -> None:
    """Start a strategy that is stopped, by its exception too. LIVE must be confirmed."""
    _act(engine_name, lambda e, token: e.strategies.start(strategy_id, confirm=token), yes, as_json)


@strategy.command()
@click.argument("strategy_path")
@click.argument("config_path")
@click.option("--config", "text", default="{}", help="The fields of its configuration, as JSON.")
@click.option("--stopped", is_flag=True, help="Add it without starting it.")
@engine_option
@yes_option
@json_option
def add(
    strategy_path: str,
    config_path: str,
    text: str,
    stopped: bool,
    engine_name: str,
    yes: str | None,
    as_json: bool,
) -> None:
    """Add a strategy: package.module:Strategy package.module:Config. LIVE must be confirmed."""
    try:
        config = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as e:
        raise InputError(f"the configuration is no JSON object: {e}", field="config") from e

    def act(found: Engine, token: str) -> dict[str, Any]:
        return found.strategies.add(strategy_path, config_path, config, is_started=not stopped, confirm=token)

    _act(engine_name, act, yes, as_json)


@strategy.command()
@click.argument("strategy_id")
@engine_option
@json_option
def remove(strategy_id: str, engine_name: str, as_json: bool) -> None:
    """Stop a strategy that holds nothing, and forget it."""
    _act(engine_name, lambda e, _: e.strategies.remove(strategy_id), None, as_json)


@click.command()
@click.argument("mode", type=click.Choice(_MODES))
@click.option("--secs", type=click.FloatRange(min=0, min_open=True), help="How long (default: until off).")
@click.option("--instrument", "instrument_id", help="Which instrument (default: all).")
@click.option(
    "--every", type=click.IntRange(min=1), default=5, show_default=True, help="Hit every nth event."
)
@click.option("--feed", "client_id", help="Which feed (default: all).")
@engine_option
@json_option
def drill(
    mode: str,
    secs: float | None,
    instrument_id: str | None,
    every: int,
    client_id: str | None,
    engine_name: str,
    as_json: bool,
) -> None:
    """Let the replay of a SANDBOX go wrong on purpose; off ends it."""
    from workbench.client.connection import connect

    with connect() as client:
        feeds = client.engine(engine_name).set_drill(
            None if mode == "off" else mode,
            secs=secs,
            instrument_id=instrument_id,
            every=every,
            client_id=client_id,
        )
    if as_json:
        echo_json({"mode": mode, "feeds": feeds})
    else:
        click.echo(f"{mode}: {', '.join(feeds)}")


def _act(name: str, act: Callable[[Engine, str], dict[str, Any]], word: str | None, as_json: bool) -> None:
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(name)
        result = confirmed(lambda token: act(found, token), word)
    if as_json:
        echo_json(result)
    else:
        click.echo(f"{result['strategy_id']} is {result['state']}")
