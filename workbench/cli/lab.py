"""``workbench lab``: JupyterLab on the quickstart notebook."""

from __future__ import annotations

import os
import sys

import click

from workbench.cli.notebooks import find_notebook

__all__ = ["lab"]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on the quickstart notebook; ARGUMENTS go to JupyterLab (for example --no-browser)."""
    notebook = find_notebook("01_quickstart.ipynb")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={notebook.parent.parent}"]
    command.append(f"--LabApp.default_url=/lab/tree/{notebook.parent.name}/{notebook.name}")
    os.execv(sys.executable, [*command, *arguments])  # noqa: S606 - no shell is wanted
