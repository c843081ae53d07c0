"""``workbench engine log``: what nautilus logs, from disk; it needs no server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from workbench.cli.engine_options import engine_option
from workbench.cli.engine_report import find_local
from workbench.config import load_settings
from workbench.errors import NotFoundError

if TYPE_CHECKING:
    from workbench.engine_records import LogLine

__all__ = ["log"]

_LOOK_SECS = 0.3
_PAGE = 2_000


@click.command()
@engine_option
@click.option(
    "--level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="The least grave level.",
)
@click.option(
    "--last",
    type=click.IntRange(1, _PAGE),
    default=50,
    show_default=True,
    help="How many lines to begin with.",
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Write each line as JSON.")
def log(engine_name: str, level: str, last: int, follow: bool, as_json: bool) -> None:
    """Show what nautilus logs in an engine, and follow it. It needs no server."""
    settings = load_settings()
    directory = next((d for d in find_local(settings) if d.name == engine_name), None)
    if directory is not None:
        from workbench.live.node_log import build_scrubber, read_log

        path, scrub = directory.log, build_scrubber(directory)
        _show(
            lambda after, limit: read_log(
                path,
                after=after,
                level=level,  # type: ignore[arg-type]
                limit=limit,
                scrub=scrub,
            ),
            last,
            follow,
            as_json,
        )
    elif settings.server is not None:
        from workbench.client.connection import connect

        with connect(settings=settings) as client:
            engine = client.engine(engine_name)
            _show(
                lambda after, limit: engine.log(after=after, level=level, limit=limit), last, follow, as_json
            )
    else:
        raise NotFoundError(
            f"there is no engine {engine_name!r}", advice="`workbench engine status` shows those there are"
        )


def _show(read: Callable[[str, int], Any], last: int, follow: bool, as_json: bool) -> None:
    pause = threading.Event()
    page = read("", last)
    while True:
        for line in page.items:
            _echo(line, as_json)
        if not follow:
            return
        if len(page.items) < _PAGE:
            pause.wait(_LOOK_SECS)
        page = read(page.cursor, _PAGE)


def _echo(line: LogLine, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(line).decode())
    else:
        click.echo(f"{line.ts:<30}  {line.level:<7}  {line.component}: {line.message}")
