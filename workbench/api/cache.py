"""Answers that took work to make, kept until what they tell of has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["AnswerCache"]


class AnswerCache:
    """
    The last answers, each with the state that it was made of. All methods may be called from any thread.

    Parameters
    ----------
    size : int
        How many are kept.

    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, bytes]] = OrderedDict()

    def find(self, key: Hashable, state: Any, make: Callable[[], bytes]) -> bytes:
        """Return the answer to `key`: the kept one if it was made of this `state`, or what `make` returns."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == state:
                self._kept.move_to_end(key)
                return kept[1]
        made = make()
        with self._lock:
            self._kept[key] = (state, made)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made
