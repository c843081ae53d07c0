"""``workbench engine events``: the journal, from disk; it needs no server."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from workbench.cli.engine_options import engine_option
from workbench.cli.engine_report import find_local
from workbench.config import Settings, load_settings
from workbench.engine_records import EngineEvent, Gap
from workbench.errors import NotFoundError

if TYPE_CHECKING:
    from workbench.client.engine_events import Item
    from workbench.live.journal_reader import JournalReader

__all__ = ["events"]

_LOOK_SECS = 0.2
_PAGE = 1_000
_MOST_BODY = 200


@click.command()
@engine_option
@click.option("--after", type=click.IntRange(min=0), help="Begin after this event (default: the last ones).")
@click.option(
    "--last", type=click.IntRange(min=0), default=20, show_default=True, help="How many, without --after."
)
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Write each event as a line of JSON.")
def events(engine_name: str, after: int | None, last: int, follow: bool, as_json: bool) -> None:
    """Show what happened in an engine, and follow it. It needs no server."""
    settings = load_settings()
    directory = next((d for d in find_local(settings) if d.name == engine_name), None)
    if directory is None and settings.server is not None:
        _follow_server(settings, engine_name, after, follow, as_json)
        return
    if directory is None:
        raise NotFoundError(
            f"there is no engine {engine_name!r}", advice="`workbench engine status` shows those there are"
        )
    from workbench.live.journal_reader import JournalReader

    pause = threading.Event()
    while True:
        try:
            reader = JournalReader(directory.journal)
        except NotFoundError:
            if not follow:
                return  # It was never started
            pause.wait(_LOOK_SECS)
            continue
        with reader:
            begin = max(reader.last_seq - last, 0) if after is None else after
            _read_on(reader, begin, follow, as_json)
        return


def _read_on(reader: JournalReader, after: int, follow: bool, as_json: bool) -> None:
    pause = threading.Event()
    while True:
        page = reader.read_page(after, _PAGE)
        if page.gap is not None and (page.events or page.gap.first - 1 != after):
            _echo(page.gap, as_json)
            after = page.gap.first - 1
        for event in page.events:
            _echo(event, as_json)
            after = event.seq
        if len(page.events) < _PAGE:
            if not follow:
                return
            pause.wait(_LOOK_SECS)


def _follow_server(settings: Settings, name: str, after: int | None, follow: bool, as_json: bool) -> None:
    from workbench.client.connection import connect

    with connect(settings=settings) as client, client.engine(name).stream(after=after) as stream:
        while (item := stream.take(None if follow else 1.0)) is not None:
            _echo(item, as_json)


def _echo(item: Item, as_json: bool) -> None:
    if isinstance(item, EngineEvent):
        body = bytes(item.body).decode()
        if as_json:
            click.echo(msgspec.json.encode(item).decode())
            return
        at = datetime.fromtimestamp(item.ts_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        text = body if len(body) <= _MOST_BODY else f"{body[:_MOST_BODY]}..."
        click.echo(f"{item.seq:>8}  {at}  {item.kind:<9} {item.name}  {text}")
    elif isinstance(item, Gap):
        click.echo(f"events {item.requested:,} to {item.first - 1:,} are no longer kept", err=True)
    elif item.message:
        click.echo(item.message, err=True)
