"""``workbench serve``: the workspace's server, in the foreground; or its end."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.cli.tables import echo_json
from workbench.config import load_settings

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port (default: a free one).")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="The certificate chain for TLS (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="The private key for TLS (PEM).")
@click.option("--allow-plain", is_flag=True, help="Let others send their tokens in the clear, without TLS.")
@click.option(
    "--idle-secs",
    type=click.FloatRange(min=1),
    help="End when nobody has used it for so long (default: never).",
)
@click.option("--slots", type=click.IntRange(min=1), help="Jobs at a time (default: as many as cores).")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory for all jobs together.")
@click.option("--stop", is_flag=True, help="Stop the server that runs; what it runs is kept as interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
def serve(
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    allow_plain: bool,
    idle_secs: float | None,
    slots: int | None,
    memory_mb: int | None,
    stop: bool,
    as_json: bool,
) -> None:
    """
    Run the workspace's server, until Ctrl-C.

    There is no need to: whatever wants the server starts it.
    """
    settings = load_settings()
    if stop:
        from workbench.client.connection import stop_server

        is_stopped = stop_server(settings)
        if as_json:
            echo_json({"is_stopped": is_stopped, "workspace": str(settings.workspace)})
        elif is_stopped:
            click.echo(f"the server of {settings.workspace} has ended")
        else:
            click.echo(f"no server of {settings.workspace} runs")
        return
    from workbench.api.server import run

    run(
        settings,
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        is_plain_allowed=allow_plain,
        idle_secs=idle_secs,
        slots=slots,
        memory_bytes=None if memory_mb is None else memory_mb * 1_000_000,
    )
