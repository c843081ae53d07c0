"""How much of each day a position was open."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.analysis.columns import read_times, require_columns

__all__ = ["build_daily_exposure"]

_DAY_NS = 86_400_000_000_000


def build_daily_exposure(equity: pd.DataFrame) -> pd.DataFrame:
    """
    Return the share of time with an open position, by UTC day.

    The state of a sample is taken to hold until the next sample. So this is a share of **time**, nights and
    weekends included, while the headline's ``exposure`` is a share of samples; how exact it is depends on how
    often equity was sampled.

    Parameters
    ----------
    equity : pd.DataFrame
        A run's equity frame: ``ts`` ascending with a time zone, ``open_positions`` (a count).

    Returns
    -------
    pd.DataFrame
        Index ``day`` (`DatetimeIndex`, UTC midnight at which the day starts), every day from the first to the
        last sample; ``exposure`` (time with a position / time seen) and ``observed`` (time seen / 24 h: less
        than 1 on the first and the last day), float64. Empty with fewer than 2 samples.

    Raises
    ------
    InputError
        If a column is missing or times are not ascending.

    """
    require_columns(equity, ("ts", "open_positions"), frame_name="equity")
    times = read_times(equity, "ts", is_ascending=True)
    if len(times) < 2:
        index = pd.DatetimeIndex([], dtype="datetime64[ns, UTC]", name="day")
        return pd.DataFrame({"exposure": np.empty(0), "observed": np.empty(0)}, index=index)
    first_day, last_day = int(times[0] // _DAY_NS), int((times[-1] - 1) // _DAY_NS)
    midnights = np.arange(first_day + 1, last_day + 1, dtype=np.int64) * _DAY_NS
    borders = np.union1d(times, midnights)
    spans = np.diff(borders).astype(np.float64)
    is_exposed = equity["open_positions"].to_numpy() > 0
    # The last sample at or before each border holds until the next border.
    held = is_exposed[np.searchsorted(times, borders[:-1], side="right") - 1]
    days = borders[:-1] // _DAY_NS - first_day
    count = last_day - first_day + 1
    seen = np.bincount(days, weights=spans, minlength=count)
    exposed = np.bincount(days, weights=spans * held, minlength=count)
    labels = np.arange(first_day, last_day + 1, dtype=np.int64) * _DAY_NS
    index = pd.DatetimeIndex(labels.astype("datetime64[ns]"), tz="UTC", name="day")
    return pd.DataFrame({"exposure": exposed / seen, "observed": seen / _DAY_NS}, index=index)
