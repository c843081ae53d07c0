"""Lines over time as the kernel holds them: all of their samples, of which a screen gets those that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.extremes import find_extremes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Samples"]

_FIRST_ROOM = 1_024
_OUTSIDE = (
    4  # of so many buckets one goes to what is not visible, so that a chart that is dragged is not empty
)


class Samples:
    """
    Columns over time that may grow at their end.

    Not for two threads at once.

    Parameters
    ----------
    millis : ndarray of float64
        Milliseconds since the epoch, UTC, ascending.
    columns : Mapping of str to ndarray of float64
        Name -> values; NaN where one is missing.
    most : int
        The most samples to hold. When there are more, the older half keeps only the extremes of its parts.

    """

    def __init__(
        self,
        millis: NDArray[np.float64],
        columns: Mapping[str, NDArray[np.float64]],
        *,
        most: int = 10_000_000,
    ) -> None:
        self._names = tuple(columns)
        self._room: list[NDArray[np.float64]] = [millis, *columns.values()]
        self._count = len(millis)
        self._most = max(most, 16)
        self._coarse: dict[int, NDArray[np.intp]] = {}
        self.total = len(millis)

    def __len__(self) -> int:
        return self._count

    @property
    def millis(self) -> NDArray[np.float64]:
        """The times of all samples that are held."""
        return self._room[0][: self._count]

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Name -> values of all samples that are held."""
        return {name: room[: self._count] for name, room in zip(self._names, self._room[1:], strict=True)}

    def append(self, millis: NDArray[np.float64], columns: Mapping[str, NDArray[np.float64]]) -> None:
        """Add samples at the end."""
        added = len(millis)
        self._coarse.clear()
        self._make_room(self._count + added)
        end = self._count + added
        for room, values in zip(self._room, (millis, *(columns[name] for name in self._names)), strict=True):
            room[self._count : end] = values
        self._count = end
        self.total += added
        if self._count > self._most:
            self._thin()

    def pick(self, buckets: int, start: float = -np.inf, end: float = np.inf) -> NDArray[np.intp]:
        """
        Return the rows that matter on a screen.

        Parameters
        ----------
        buckets : int
            The number of pixel columns that the rows may fill: most of them between `start` and `end`, and the rest
            outside.
        start, end : float
            The visible time, milliseconds since the epoch.

        """
        millis, columns = self.millis, list(self.columns.values())
        # One sample more on either side, to which the line that leaves the screen runs.
        first = max(int(np.searchsorted(millis, start)) - 1, 0)
        last = min(int(np.searchsorted(millis, end, side="right")) + 1, self._count)
        spare = max(buckets // _OUTSIDE, 1) if first > 0 or last < self._count else 0
        inside = (
            first
            + find_extremes(
                millis[first:last], [column[first:last] for column in columns], max(buckets - spare, 1)
            )
            if last > first
            else np.arange(0)
        )
        if spare == 0:
            return inside
        outside = self._find_coarse(spare)
        return np.concatenate([outside[outside < first], inside, outside[outside >= last]])

    def _find_coarse(self, buckets: int) -> NDArray[np.intp]:
        """Return the rows of an overview of all, which are the same for every view until there are more samples."""
        if buckets not in self._coarse:
            self._coarse[buckets] = find_extremes(self.millis, list(self.columns.values()), buckets)
        return self._coarse[buckets]

    def take(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
        """Return rows as a chart gets them: ``ts`` and the columns."""
        return {"ts": self.millis[rows], **{name: values[rows] for name, values in self.columns.items()}}

    def _make_room(self, wanted: int) -> None:
        # Also for arrays that are someone else's, or read-only: the room is a copy.
        if wanted > len(self._room[0]):
            size = max(_FIRST_ROOM, wanted + wanted // 2)
            self._room = [np.concatenate((room, np.empty(size - len(room)))) for room in self._room]

    def _thin(self) -> None:
        """Let the older half keep the extremes of each of its parts: a half or fewer of its samples."""
        half = self._count // 2
        columns = [room[:half] for room in self._room[1:]]
        rows = find_extremes(self._room[0][:half], columns, max(half // (4 * len(columns)), 1))
        kept = np.append(rows, np.arange(half, self._count))
        for room in self._room:
            room[: len(kept)] = room[kept]
        self._count = len(kept)
