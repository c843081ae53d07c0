"""``workbench engine reconcile``: where the journal of a sandbox does not tell all, what it tells, and to take that."""

from __future__ import annotations

import getpass
from typing import Any

import click

from workbench.cli.engine_options import confirmed, engine_option, json_option, yes_option
from workbench.cli.engine_report import find_local
from workbench.cli.tables import echo_json
from workbench.config import load_settings
from workbench.errors import NotFoundError

__all__ = ["reconcile"]


@click.command()
@engine_option
@click.option("--accept", is_flag=True, help="Take it for what the sandbox holds, at the next start.")
@click.option("--reason", default="", help="Why, for those who look at it later; --accept needs it.")
@yes_option
@json_option
def reconcile(engine_name: str, accept: bool, reason: str, yes: str | None, as_json: bool) -> None:
    """Show what the journal tells of a sandbox that cannot be restored, or accept it. It needs no server."""
    from workbench.live.reconciliation import accept_journal, load_state

    directory = next((d for d in find_local(load_settings()) if d.name == engine_name), None)
    if directory is None:
        raise NotFoundError(f"there is no engine {engine_name!r} here")
    if accept:
        by = getpass.getuser()
        found = confirmed(
            lambda token: accept_journal(directory, by=by, reason=reason, confirm_token=token), yes
        )
    elif directory.journal.exists():
        found = load_state(directory.journal).describe()
    else:
        raise NotFoundError(f"the engine {engine_name} has no journal")
    if as_json:
        echo_json({**found, "is_accepted": accept})
        return
    for line in _describe(found):
        click.echo(line)
    if accept:
        click.echo(f"accepted: `workbench engine start --engine {engine_name}` takes it")
    elif found["problems"]:
        click.echo("to take it for the truth: --accept --reason WHY")


def _describe(found: dict[str, Any]) -> list[str]:
    return [
        *(f"problem   {problem}" for problem in found["problems"]),
        *(f"account   {name}: {', '.join(held)}" for name, held in found["balances"].items()),
        *(
            f"position  {name}: {held['signed_quantity']} {held['instrument_id']} of {held['strategy_id']}"
            for name, held in found["positions"].items()
        ),
        *(["nothing is missing in the journal"] if not found["problems"] else []),
    ]
