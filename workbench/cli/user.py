"""``workbench user``: who may use the server, as what, and their tokens."""

from __future__ import annotations

import click

from workbench.cli.tables import echo_json, echo_table
from workbench.client.connection import connect
from workbench.roles import Role

__all__ = ["user"]

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")


@click.group()
def user() -> None:
    """Say who may use the server, and give out tokens."""


@user.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="What they may do."
)
@_json
def add(name: str, role: str, as_json: bool) -> None:
    """Add the user NAME, who needs a token next."""
    with connect() as client:
        added = client.add_user(name, role)
    if as_json:
        echo_json(added)
    else:
        click.echo(f"{added.name} is a {added.role} now; `workbench user token {added.name}` makes a token")


@user.command()
@_json
def ls(as_json: bool) -> None:
    """List the users."""
    with connect() as client:
        users = client.users()
    if as_json:
        echo_json(users)
        return
    columns = [("user", "left"), ("role", "left"), ("since", "left"), ("", "left")]
    echo_table(columns, [[u.name, str(u.role), u.created_at, "" if u.is_active else "barred"] for u in users])


@user.command()
@click.argument("name")
@click.option("--label", default="", help="What the token is for.")
@click.option(
    "--days", type=click.IntRange(min=1), help="How long it is good (default: until it is revoked)."
)
@_json
def token(name: str, label: str, days: int | None, as_json: bool) -> None:
    """Make a token for the user NAME and show it, this once."""
    with connect() as client:
        made = client.add_token(name, label=label, expires_days=days)
    if as_json:
        echo_json({"user": name, "token": made})
    else:
        click.echo(made)
        click.echo("it is shown this once; WORKBENCH_TOKEN_FILE names the file to keep it in", err=True)
