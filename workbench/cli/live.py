"""``workbench live``: the dashboards as an app, without code: each person signs in, each page has its own kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import workbench
from workbench.config import load_settings
from workbench.errors import NotFoundError
from workbench.ui.jupyter.runtime import RuntimeDirectory

__all__ = ["live"]

_CULL_SECS = (
    300  # kernels whose page never came; those with a page end by themselves, see `workbench.ui.heartbeat`
)

_EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget"]


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Notebooks (default: the project's dashboards)."
)
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True, help="The port.")
@click.option(
    "--theme",
    type=click.Choice(["auto", "light", "dark"]),
    default="auto",
    show_default=True,
    help="The colours; auto: as the reader's system has them.",
)
@click.option(
    "--preheated",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Kernels that wait for a page, for each dashboard: it shows in half the time.",
)
@click.option(
    "--session-hours",
    type=click.FloatRange(min=0, min_open=True, max=168),
    default=12.0,
    show_default=True,
    help="How long somebody stays signed in.",
)
@click.option(
    "--no-browser", is_flag=True, help="Print a link that signs in once instead of opening a browser."
)
@click.option("--sign-in", is_flag=True, help="Print such a link for the app that runs at --port.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def live(
    folder: Path | None,
    port: int,
    theme: str,
    preheated: int,
    session_hours: float,
    no_browser: bool,
    sign_in: bool,
    arguments: tuple[str, ...],
) -> None:
    """
    Serve the dashboards as an app, on this machine only.

    Each person signs in with their own token of the workbench (`workbench user token`), and their pages act with it.
    The browser that this command opens is signed in as you. ARGUMENTS go to Voila.
    """
    if sign_in:
        directory = RuntimeDirectory(load_settings().runtime, port)
        click.echo(f"http://127.0.0.1:{port}{directory.build_path(directory.make_ticket())}")
        return
    folder = folder or Path(workbench.__file__).resolve().parent.parent / "dashboards"
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", advice="name one that holds notebooks")
    options = [
        "--Voila.ip=127.0.0.1",
        f"--Voila.port={port}",
        "--Voila.port_retries=0",
        f"--LiveApp.session_hours={session_hours}",
        f"--LiveApp.is_link_printed={no_browser}",
        "--VoilaConfiguration.template=workbench",
        "--VoilaConfiguration.allow_template_override=NO",
        f"--VoilaConfiguration.theme={theme}",
        f"--VoilaConfiguration.preheat_kernel={preheated > 0}",
        f"--VoilaConfiguration.default_pool_size={preheated}",
        # What our pages need; others ask for parts of JupyterLab that Voila lacks, and cost time.
        *(f"--VoilaConfiguration.extension_allowlist={name}" for name in _EXTENSIONS),
        # A kernel that ends itself is not wanted any more; one that is killed is told to its page, which says so.
        "--KernelManager.autorestart=True",
        # Ports of this machine are everybody's: whoever connects to one of a kernel's hears what it shows.
        "--KernelManager.transport=ipc",
        "--AsyncIOLoopKernelRestarter.restart_limit=0",
        f"--MappingKernelManager.cull_idle_timeout={_CULL_SECS}",
        f"--MappingKernelManager.cull_interval={_CULL_SECS // 5}",
    ]
    if no_browser:
        options.append("--no-browser")
    environment = dict(os.environ)
    templates = Path(workbench.__file__).resolve().parent / "ui" / "jupyter"
    paths = [str(templates), *filter(None, [environment.get("JUPYTER_PATH")])]
    environment["JUPYTER_PATH"] = os.pathsep.join(paths)
    # A kernel's directory is that of its notebook, not this one.
    environment["WORKBENCH_HOME"] = str(load_settings().workspace)
    command = [
        sys.executable,
        "-P",
        "-m",
        "workbench.ui.jupyter.app",
        str(folder.resolve()),
        *options,
        *arguments,
    ]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
