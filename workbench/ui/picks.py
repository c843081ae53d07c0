"""The data of a run as the server knows them: what a configuration calls them, and their other side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.ui.run_form import BAR, Pick

__all__ = ["find_sibling", "has_pair", "pick_of"]


def pick_of(dataset: Mapping[str, Any]) -> Pick:
    """Return what a configuration calls a dataset."""
    return str(dataset["catalog_path"]), str(dataset.get("data_cls") or BAR), str(dataset["identifier"])


def find_sibling(picks: Sequence[Pick], known: Mapping[Pick, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the other side of the first bars, where they are of one side and the run does not read the other."""
    first = known.get(picks[0]) if picks else None
    if first is None or _side(first) not in ("BID", "ASK"):
        return None  # Others have both sides in one
    other = "ASK" if _side(first) == "BID" else "BID"
    spec = f"{str(first['bar_spec']).rpartition('-')[0]}-{other}"
    for pick, one in known.items():
        is_it = one["instrument_id"] == first["instrument_id"] and one.get("bar_spec") == spec
        if is_it and one["catalog"] == first["catalog"]:
            return None if pick in picks else one
    return None


def has_pair(datasets: Iterable[Mapping[str, Any] | None], venue: Mapping[str, Any]) -> bool:
    """Return whether some of the data are of a currency pair at `venue`."""
    return any(
        one is not None
        and one["venue"] == venue.get("name")
        and (one["instrument"] or {}).get("kind") == "CurrencyPair"
        for one in datasets
    )


def _side(dataset: Mapping[str, Any]) -> str:
    return str(dataset.get("bar_spec") or "").rpartition("-")[2]
