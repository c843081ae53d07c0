"""What a kind of job brings along: how its wishes are checked, what does the work, how its end is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec

from workbench.jobs.pool import Launcher
from workbench.records import Failure, JobRecord
from workbench.states import JobState

__all__ = ["JobEnd", "Kind", "Prepared"]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """
    A checked wish.

    Attributes
    ----------
    spec : dict
        What is stored with the job: without secrets.
    files : dict[str, str]
        The first files of its directory, by name.
    rows : int
        The data points it will read.
    lineage, dataset : str
        By these trials are counted.
    preview : dict
        What a person wants to know before it starts.

    """

    spec: dict[str, Any]
    files: dict[str, str] = {}
    rows: int = 0
    lineage: str = ""
    dataset: str = ""
    preview: dict[str, Any] = {}


class JobEnd(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a job ended, as its directory tells; times are ISO 8601 UTC.

    `start` and `end` are the range of the data that it has gone through, with nine decimals.
    """

    state: JobState
    failure: Failure | None = None
    name: str = ""
    identity: str = ""
    lineage: str = ""
    dataset: str = ""
    rows: int = 0
    headline: dict[str, float] = {}
    started_at: str | None = None
    finished_at: str | None = None
    elapsed_secs: float = 0.0
    start: str | None = None
    end: str | None = None


class Kind(Protocol):
    """
    One kind of job. Nothing here may import nautilus or a user's code: the server calls it.

    Attributes
    ----------
    name : str
        The word that stands in `JobRecord.kind`.
    can_pause : bool
        Whether its task reaches checkpoints at which it can be held.
    preparation : str
        The task that checks a wish: called in a child with the wish and ``runs``, it returns the fields of
        `Prepared`, or raises an `InputError` that names the field.
    launcher : Launcher, optional
        Where its tasks run, if not where the others do: such a job takes no slot and no memory, and does not
        wait for its turn.

    """

    name: str
    can_pause: bool
    preparation: str
    launcher: Launcher | None

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        """
        Return the task that does the work, ``module:function``, and what it is called with.

        ``path`` in that is the job's directory; on a cluster it is another one, with the same first files.
        """

    def build_wish(self, job: JobRecord, directory: Path) -> dict[str, Any]:
        """Return what to submit to have a job like this one again."""

    def read_end(self, directory: Path) -> JobEnd | None:
        """Return how the job ended, or ``None`` if its directory has no manifest."""
