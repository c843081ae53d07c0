"""``workbench jobs``: what the server does and has done, and how to steer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from workbench.cli.tables import echo_json, echo_table
from workbench.client.client import JobPage
from workbench.client.connection import connect
from workbench.client.job import Job
from workbench.records import JobRecord
from workbench.states import JobState

__all__ = ["CANCEL", "PAUSE", "RESUME", "echo_job", "echo_page", "jobs", "list_options"]

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")


@click.group()
def jobs() -> None:
    """Look at the server's jobs and steer them."""


def list_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a list of jobs to a command."""
    states = click.Choice([str(state) for state in JobState], case_sensitive=False)
    options = [
        click.option("--state", type=states, multiple=True, help="Only in this state; again for others."),
        click.option("--name", "text", default="", help="Only with this in the name or id."),
        click.option(
            "--sort",
            default="-created_at",
            show_default=True,
            help="A column or a headline number, such as -sharpe; a minus for the highest first.",
        ),
        click.option(
            "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@jobs.command()
@list_options
@click.option("--kind", default="", help="Only of this kind, such as backtest.")
@_json
def ls(state: tuple[str, ...], text: str, sort: str, limit: int, kind: str, as_json: bool) -> None:
    """List the jobs, the newest first."""
    with connect() as client:
        page = client.list_jobs(state=state, text=text, sort=sort, limit=limit, kind=kind)
    if as_json:
        echo_json(page.items)
        return
    titles = ("job", "kind", "name", "state", "done", "owner", "created", "")
    columns = [(title, "right" if title == "done" else "left") for title in titles]
    echo_page(page, columns, _build_row)


@jobs.command()
@click.argument("job_id")
@_json
def show(job_id: str, as_json: bool) -> None:
    """Show the job JOB_ID: what it is, how far it has come, and why it failed."""
    with connect() as client:
        record = client.job(job_id).record
    if as_json:
        echo_json(record)
    else:
        echo_job(record)


def _build_steering(verb: str, text: str, act: Callable[[Job], Any]) -> click.Command:
    """Return the command `verb` that does `act` to some jobs, with `text` for its help."""

    def steer(job_ids: tuple[str, ...], as_json: bool) -> None:
        with connect() as client:
            steered = []
            for job_id in job_ids:
                job = client.job(job_id)
                act(job)
                steered.append(job.record)
        if as_json:
            echo_json(steered)
        else:
            for record in steered:
                click.echo(f"{record.id}  {record.state}")

    command = click.argument("job_ids", metavar="JOB_ID...", nargs=-1, required=True)(_json(steer))
    return click.command(verb, help=text)(command)


CANCEL = _build_steering("cancel", "Stop jobs and keep their results so far.", Job.cancel)
PAUSE = _build_steering("pause", "Hold jobs in simulated time; they free their place for others.", Job.pause)
RESUME = _build_steering("resume", "Let paused jobs go on.", Job.resume)
for _command in (CANCEL, PAUSE, RESUME):
    jobs.add_command(_command)


@jobs.command()
@click.argument("job_id")
@_json
def requeue(job_id: str, as_json: bool) -> None:
    """Queue a new job like JOB_ID, which has ended."""
    with connect() as client:
        record = client.job(job_id).requeue().record
    if as_json:
        echo_json(record)
    else:
        click.echo(record.id)


@jobs.command()
@click.option("--rebuild", is_flag=True, help="Forget all jobs first. Users and tokens stay.")
@_json
def reindex(rebuild: bool, as_json: bool) -> None:
    """Bring the server's records in line with the job directories."""
    with connect() as client:
        counts = client.reindex(rebuild=rebuild)
    if as_json:
        echo_json(counts)
    else:
        click.echo(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))


@jobs.command()
@click.option(
    "--after", type=click.IntRange(min=0), help="Begin after this event (default: with what is unfinished)."
)
@_json
def watch(after: int | None, as_json: bool) -> None:
    """
    Follow what happens to jobs, until Ctrl-C.

    With --json every message is one line, progress too.
    """
    with connect() as client:
        for message in client.events(after=after):
            if as_json:
                click.echo(msgspec.json.encode(message))
            elif message["type"] == "job":
                _echo_event(message["ts"], msgspec.convert(message["job"], JobRecord))
            elif message["type"] == "snapshot":
                for job in msgspec.convert(message["jobs"], list[JobRecord]):
                    _echo_event(job.started_at or job.created_at, job)
            elif message["type"] == "gap":
                click.echo(f"the events before {message['first']} are no longer kept", err=True)


def echo_job(record: JobRecord) -> None:
    """Write what is known of a job."""
    facts = [
        ("job", record.id),
        ("kind", record.kind),
        ("name", record.name),
        ("state", str(record.state)),
        ("waits", record.reason),
        ("done", _describe_progress(record)),
        ("owner", record.owner),
        ("created", record.created_at),
        ("started", record.started_at or ""),
        ("ended", record.finished_at or ""),
        ("rows", f"{record.rows:,}" if record.rows else ""),
        ("memory", _describe_memory(record)),
        ("repeats", record.requeued_from or ""),
        ("part of", record.parent_id or ""),
        ("identity", record.identity[:16]),
    ]
    echo_table([("", "left"), ("", "left")], [fact for fact in facts if fact[1]])
    if record.failure is not None:
        click.echo(f"\n{record.failure.message}\n{record.failure.traceback}".rstrip())


def echo_page(
    page: JobPage, columns: Sequence[tuple[str, str]], build_row: Callable[[JobRecord], list[str]]
) -> None:
    """Write a list of jobs, and say what it does not show."""
    if not page.items:
        click.echo("no jobs; start one with `workbench backtest run CONFIG.json`")
        return
    echo_table(columns, [build_row(job) for job in page.items])
    if page.total > len(page.items):
        click.echo(f"\n{len(page.items):,} of {page.total:,}; --limit shows more")


def _build_row(job: JobRecord) -> list[str]:
    done = f"{job.progress.fraction:.0%}" if job.progress is not None else ""
    return [job.id, job.kind, job.name, str(job.state), done, job.owner, job.created_at, _find_reason(job)]


def _echo_event(ts: str, job: JobRecord) -> None:
    parts = [ts, job.id, job.kind, str(job.state), job.name, _find_reason(job)]
    click.echo("  ".join(part for part in parts if part))


def _find_reason(job: JobRecord) -> str:
    reason = job.reason if job.failure is None else job.failure.message
    return (reason.splitlines() or [""])[0]


def _describe_progress(job: JobRecord) -> str:
    progress = job.progress
    if progress is None:
        return ""
    parts = [f"{progress.fraction:.0%}", progress.stage]
    if progress.events:
        parts.append(f"{progress.events:,} events, {progress.events_per_sec:,.0f}/s")
    if progress.eta_secs is not None:
        parts.append(f"{progress.eta_secs:.0f} s left")
    return ", ".join(part for part in parts if part)


def _describe_memory(job: JobRecord) -> str:
    known = {"expected": job.predicted_rss_bytes, "highest": job.peak_rss_bytes}
    return ", ".join(f"{value / 1e6:,.0f} MB {name}" for name, value in known.items() if value)
