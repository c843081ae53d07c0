"""Times, and ids that sort by them, as they are written down."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

__all__ = ["new_job_id", "normalise_stamp", "utc_now"]

_STAMP = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.(?P<fraction>\d{1,9}))?)?)(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def utc_now() -> str:
    """Return the present time, ISO 8601 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_job_id() -> str:
    """Return an id that sorts by time and that nobody else has: ``20120206-143005-3f9a1c``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def normalise_stamp(text: str) -> str:
    """
    Return an ISO 8601 time in UTC with nine decimals, as nautilus writes it: such texts sort as their times.

    Without a zone it is UTC, and a day is its first moment, as in the configuration of a run.

    Raises
    ------
    ValueError
        If it is no such time.

    """
    found = _STAMP.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:64]!r} is no time in ISO 8601")
    try:
        moment = datetime.fromisoformat(
            f"{found['day']}T{found['time'] or '00:00'}{found['zone'] or 'Z'}"
        ).astimezone(UTC)
    except OverflowError as e:
        raise ValueError(f"{text[:64]!r} is beyond the calendar") from e
    fraction = f".{found['fraction'] or '':0<9}Z"
    return moment.isoformat(timespec="seconds").replace("+00:00", fraction)
