"""The entry point of the command line, and how errors become one line and an exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import click

from workbench import __version__
from workbench.errors import ConfirmationRequiredError, WorkbenchError

__all__ = ["cli", "main"]

# Loaded when they are called: `workbench --help` need not import nautilus.
_COMMANDS = {
    "backtest": ("workbench.cli.backtest:backtest", "Run backtests and look at what they kept."),
    "batch": ("workbench.cli.batch:batch", "Run a notebook over a grid of parameters."),
    "data": ("workbench.cli.data:data", "Import market data and look at the catalog."),
    "demo": ("workbench.cli.demo:demo", "Do the main job on real sample data."),
    "engine": ("workbench.cli.engine:engine", "Start, watch and stop live engines."),
    "jobs": ("workbench.cli.jobs:jobs", "Look at the server's jobs and steer them."),
    "lab": ("workbench.cli.lab:lab", "Open JupyterLab on the quickstart notebook."),
    "live": ("workbench.cli.live:live", "Serve the dashboards as an app (Voila)."),
    "serve": ("workbench.cli.serve:serve", "Run the workspace's server, or stop it."),
    "user": ("workbench.cli.user:user", "Say who may use the server, and give out tokens."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="workbench")
def cli() -> None:
    """Import market data, run NautilusTrader backtests, and read their reports."""


def main() -> None:
    """Run the command line; exit 0 done, 1 the work failed, 2 wrong usage or input."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _say("cancelled")
        code = 130
    except click.ClickException as e:
        e.show()
        code = e.exit_code
    except WorkbenchError as e:
        _say_error(e)
        code = e.exit_code
    except KeyboardInterrupt:
        _say("cancelled")
        code = 130
    except BrokenPipeError:  # `workbench ... | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as e:
        where = f" ({e.filename})" if e.filename else ""
        _say(f"error: {e.strerror or e}{where}")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _say_error(error: WorkbenchError) -> None:
    if "--json" in sys.argv:
        others: dict[str, Any] = {"errors": [_describe(e) for e in error.errors]} if error.errors else {}
        if isinstance(error, ConfirmationRequiredError):
            others["risks"] = error.risks
        _say(json.dumps({"error": {**_describe(error), **others}}))
        return
    _say(f"error: {error}")
    for other in error.errors[1:]:
        _say(f"error: {other}")
    if isinstance(error, ConfirmationRequiredError):
        for line in error.risks.get("lines", []):
            _say(f"  - {line}")


def _describe(error: WorkbenchError) -> dict[str, str | None]:
    return {
        "code": error.code,
        "message": error.message,
        "expected": error.expected,
        "advice": error.advice,
        "field": error.field,
    }


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
