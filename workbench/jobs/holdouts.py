"""Whether a job may look at the sealed range of its dataset, and whether it has."""

from __future__ import annotations

from typing import Any

from workbench.errors import ConfigError
from workbench.jobs.kinds import JobEnd, Prepared
from workbench.records import HoldoutRecord, JobRecord

__all__ = ["build_spec", "describe_holdout", "has_used", "is_use"]

_FLAG = "use_holdout"
_SWEEP = "sweep"


def build_spec(
    holdout: HoldoutRecord | None,
    prepared: Prepared,
    wish: dict[str, Any],
    *,
    kind: str,
    parent_id: str | None,
) -> dict[str, Any]:
    """
    Return what is stored with a job: ``use_holdout`` is in it if, and only if, it will look at sealed data.

    Parameters
    ----------
    holdout : HoldoutRecord, optional
        The sealed range of its dataset.
    prepared : Prepared
        The checked wish.
    wish : dict
        What was asked; with ``use_holdout`` a backtest of its own may look.
    kind : str
        The kind of job.
    parent_id : str, optional
        The sweep that it belongs to. Neither that nor a sweep may ever look: what is chosen by sealed data
        cannot be judged by them.

    Raises
    ------
    ConfigError
        If it would look and may not.

    """
    spec = {name: value for name, value in prepared.spec.items() if name != _FLAG}
    if holdout is None or not _touches(holdout, prepared):
        return spec
    is_search = kind == _SWEEP or parent_id is not None
    if is_search or wish.get(_FLAG) is not True:
        if is_search:
            advice = f"search outside of it, then judge the one you choose with a backtest with {_FLAG}"
        else:
            advice = f"with {_FLAG} it runs, and that is counted and shown"
        times = "once" if holdout.uses == 1 else f"{holdout.uses:,} times"
        raise ConfigError(
            f"the run reads {prepared.preview['start']} to {prepared.preview['end']}, and "
            f"{holdout.start} to {holdout.end} of {holdout.dataset} is sealed (used {times} so far)",
            expected="a range that ends before it",
            advice=advice,
            field="config.end",
        )
    return {**spec, _FLAG: True}


def is_use(job: JobRecord) -> bool:
    """Return whether a job has been allowed to look at sealed data."""
    return job.spec.get(_FLAG) is True


def describe_holdout(holdout: HoldoutRecord | None, prepared: Prepared) -> dict[str, Any]:
    """Return what a preview shows: the sealed range of the dataset, and whether the wish touches it."""
    if holdout is None:
        return {"holdout": None, "touches_holdout": False}
    shown = {"start": holdout.start, "end": holdout.end, "uses": holdout.uses}
    return {"holdout": shown, "touches_holdout": _touches(holdout, prepared)}


def has_used(holdout: HoldoutRecord | None, end: JobEnd) -> bool:
    """Return whether a run that was found in its directory has looked at what was sealed when it began."""
    if holdout is None or end.start is None or end.end is None:
        return False
    is_older = end.started_at is not None and end.started_at < holdout.sealed_at
    return not is_older and _overlaps(holdout, end.start, end.end)


def _touches(holdout: HoldoutRecord, prepared: Prepared) -> bool:
    start, end = (prepared.preview.get(name) for name in ("start", "end"))
    return start is not None and end is not None and _overlaps(holdout, start, end)


def _overlaps(holdout: HoldoutRecord, start: str, end: str) -> bool:
    return start <= holdout.end and holdout.start <= end
