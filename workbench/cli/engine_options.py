"""What the commands of the engines share: options, and how a person confirms what raises risk."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
import msgspec

from workbench.cli.tables import echo_table
from workbench.engine_records import Risks
from workbench.errors import ConfirmationRequiredError, InputError

__all__ = ["confirmed", "echo_changes", "echo_risks", "engine_option", "json_option", "yes_option"]

_NUMBERS = frozenset({"price", "quantity", "unrealized"})
engine_option = click.option(
    "--engine", "engine_name", default="default", show_default=True, help="Which engine."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
yes_option = click.option(
    "--yes",
    metavar="WORD",
    help="Confirm without being asked: the word that would be asked for, LIVE or y (SANDBOX).",
)


def confirmed[T](act: Callable[[str], T], word: str | None) -> T:
    """
    Do something, and where it must be confirmed show the risks, ask, and do it again.

    Parameters
    ----------
    act : Callable
        Takes the token of a confirmation, empty at first.
    word : str, optional
        What a script gave as the word; without it a person is asked.

    Raises
    ------
    ConfirmationRequiredError
        If there is nobody to be asked.
    InputError
        If the word is not the right one.

    """
    try:
        return act("")
    except ConfirmationRequiredError as e:
        risks = msgspec.convert(e.risks, Risks)
        token, error = e.confirm_token, e
    if word is None:
        if not sys.stdin.isatty():
            error.advice = f"look at the risks, and confirm them with `--yes {risks.word}`"
            raise error
        echo_risks(risks)
        word = click.prompt(f"Type {risks.word} to go on", default="", show_default=False, err=True)
    if word != risks.word:
        raise InputError(f"{word!r} does not confirm it; nothing was done", expected=risks.word, field="yes")
    return act(token)


def echo_risks(risks: Risks) -> None:
    """Write to the standard error what a person must see."""
    click.echo(f"{risks.action} of the {risks.environment} engine {risks.engine}:", err=True)
    for line in risks.lines:
        click.echo(f"  - {line}", err=True)
    if risks.gross:
        click.echo(f"  - exposure: gross {risks.gross}, net {risks.net} {risks.currency}", err=True)
    if risks.positions:
        columns = [
            (t, "right" if t in _NUMBERS else "left") for t in ("position", "side", "quantity", "unrealized")
        ]
        rows = [[p.instrument_id, p.side, p.quantity, p.unrealized_pnl] for p in risks.positions]
        echo_table(columns, rows, err=True)
    if risks.orders:
        titles = ("order", "instrument", "side", "quantity", "price")
        columns = [(t, "right" if t in _NUMBERS else "left") for t in titles]
        rows = [[o.client_order_id, o.instrument_id, o.side, o.quantity, o.price] for o in risks.orders]
        echo_table(columns, rows, err=True)
    echo_changes(risks.changes, err=True)


def echo_changes(changes: list[dict[str, object]], *, err: bool = False) -> None:
    """Write what differs."""
    if changes:
        titles = [("field", "left"), ("before", "left"), ("after", "left")]
        rows = [[str(c["field"]), _show(c["before"]), _show(c["after"])] for c in changes]
        echo_table(titles, rows, err=err)


def _show(value: object) -> str:
    return "-" if value is None else str(value)
