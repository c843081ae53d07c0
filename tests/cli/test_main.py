"""The command line as a whole: help, usage errors, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tests.cli.conftest import Cli
from workbench.cli.main import cli as root


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from walk(found, f"{name} {child}")


COMMANDS = dict(walk(root, "workbench"))


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, f"{name} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{name} {parameter.opts} has no help"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("backtest", "nonsense"), ("backtest", "ls", "--limit", "x")]
)
def test_wrong_usage_exits_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert result.returncode == 2
    assert "Error" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.returncode == 0
    for name in ("backtest", "batch", "data", "demo", "lab"):
        assert f"  {name}" in result.stdout


def test_help_imports_neither_nautilus_nor_pandas() -> None:
    code = (
        "import sys; sys.argv = ['workbench', '--help']\n"
        "from workbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('nautilus_trader', 'pandas', 'bokeh', 'panel') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")
