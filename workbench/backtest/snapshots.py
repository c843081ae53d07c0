"""Snapshots of closed positions, kept as objects where nautilus's cache keeps pickles."""

from __future__ import annotations

import itertools
import pickle
import uuid
from weakref import WeakValueDictionary

from nautilus_trader.model.identifiers import AccountId, InstrumentId, PositionId
from nautilus_trader.model.position import Position

__all__ = ["SnapshotStore"]


class SnapshotStore:
    """
    The snapshots that a cache took.

    In NETTING mode every closed cycle is kept so, before its position id is used again. Nautilus pickles the
    position twice and unpickles it once to copy it, once more in the portfolio, and all of them several times
    when a run ends.
    """

    def __init__(self) -> None:
        self._positions: dict[PositionId, list[Position]] = {}
        self._references: dict[PositionId, list[bytes]] = {}
        self._pickles: dict[PositionId, list[bytes]] = {}
        self._ids_by_instrument: dict[InstrumentId, set[PositionId]] = {}
        self._key = next(_KEYS)
        _STORES[self._key] = self

    def add(self, position: Position) -> None:
        """Keep a copy of `position` under an id with a UUID behind it."""
        positions = self._positions.setdefault(position.id, [])
        positions.append(_copy(position, PositionId(f"{position.id}-{uuid.uuid4()}")))
        reference = _Reference(self._key, position.id.value, len(positions) - 1)
        self._references.setdefault(position.id, []).append(pickle.dumps(reference))
        self._ids_by_instrument.setdefault(position.instrument_id, set()).add(position.id)

    def find(self, position_id: PositionId | None, account_id: AccountId | None) -> list[Position]:
        """Return the snapshots themselves, in the order in which they were taken."""
        if position_id is not None:
            found = list(self._positions.get(position_id, []))
        else:
            found = list(itertools.chain.from_iterable(self._positions.values()))
        return found if account_id is None else [p for p in found if p.account_id == account_id]

    def copy(self, position_id: PositionId | None, account_id: AccountId | None) -> list[Position]:
        """Return copies of the snapshots, as `Cache.position_snapshots` does."""
        return [_copy(p, p.id) for p in self.find(position_id, account_id)]

    def find_ids(self, instrument_id: InstrumentId | None) -> set[PositionId]:
        """Return the ids of positions that have snapshots."""
        return (
            set(self._positions)
            if instrument_id is None
            else self._ids_by_instrument.get(instrument_id, set())
        )

    def reference(self, position_id: PositionId) -> list[bytes]:
        """Return a short pickle for each snapshot, which unpickles to the snapshot itself, here alone."""
        return self._references.get(position_id, [])

    def pickle(self, position_id: PositionId) -> list[bytes]:
        """Return a whole pickle of each snapshot, as `Cache.position_snapshot_bytes` does."""
        if position_id not in self._positions:
            return []
        pickles = self._pickles.setdefault(position_id, [])
        pickles += [pickle.dumps(p) for p in self._positions[position_id][len(pickles) :]]
        return pickles

    def purge_position(self, position_id: PositionId, instrument_id: InstrumentId | None) -> None:
        """Forget the snapshots of a position; `instrument_id` is ``None`` if the cache did not know it."""
        found = self._positions.pop(position_id, None)
        self._references.pop(position_id, None)
        self._pickles.pop(position_id, None)
        if found is not None and instrument_id is not None:
            ids = self._ids_by_instrument.get(instrument_id, set())
            ids.discard(position_id)
            if not ids:
                self._ids_by_instrument.pop(instrument_id, None)

    def clear_index(self, instrument_id: InstrumentId | None = None) -> None:
        """Forget which instruments have snapshots, or that one of them has."""
        if instrument_id is None:
            self._ids_by_instrument.clear()
        else:
            self._ids_by_instrument.pop(instrument_id, None)

    def clear(self) -> None:
        """Forget everything."""
        for held in (self._positions, self._references, self._pickles, self._ids_by_instrument):
            held.clear()


_KEYS = itertools.count()
_STORES: WeakValueDictionary[int, SnapshotStore] = WeakValueDictionary()


class _Reference:
    """Pickles to the way to a snapshot."""

    __slots__ = ("_place",)

    def __init__(self, *place: object) -> None:
        self._place = place

    def __reduce__(self) -> tuple[object, ...]:
        return _look_up, self._place


def _look_up(key: int, position_id: str, index: int) -> Position:
    return _STORES[key]._positions[PositionId(position_id)][index]


def _copy(position: Position, position_id: PositionId) -> Position:
    """
    Return `position` under another id, equal in every other way.

    What pickle would write, without writing it. Lists, sets and dicts are copied; what is in them, events and
    amounts, never changes.
    """
    own_id = position.id
    state = tuple(
        position_id if value is own_id else value.copy() if type(value) in _CONTAINERS else value
        for value in position.__reduce__()[2]
    )
    copy: Position = Position.__new__(Position)
    copy.__setstate_cython__(state)
    return copy


_CONTAINERS = frozenset({list, set, dict})
