"""Which jobs to list, in which order."""

from __future__ import annotations

import msgspec

from workbench.errors import InputError
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store.fields import FIELDS, FieldType

__all__ = ["HEADLINES", "MAX_LIMIT", "SORTS", "JobPage", "JobQuery"]

MAX_LIMIT = 1_000
_MAX_OFFSET = 2**31
_MAX_TEXT = 200
# The numbers of a headline that lists can be sorted by.
HEADLINES = (
    "pnl",
    "total_return",
    "annualised_return",
    "annualised_volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "exposure",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
    "net_pnl",
    "fees",
    "turnover",
    "fills",
)
_UNSORTED = {FieldType.JSON, FieldType.NUMBERS}
SORTS = (*(name for name, field in FIELDS.items() if field.type not in _UNSORTED), *HEADLINES)


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which jobs to list. What is empty does not filter.

    Attributes
    ----------
    states : tuple[JobState, ...]
        Jobs in one of these states.
    kind, owner, parent_id, lineage, dataset : str
        Jobs with exactly this value.
    is_top_level : bool
        Jobs that belong to no sweep.
    text : str
        Jobs that have this in their id or name, whatever the case.
    sort : str
        A column or a number of the headline, descending with ``-`` before it. Jobs without the value come
        last; equal ones are ordered by id.
    limit, offset : int
        How many, 1 to 1000, and how many to leave out first.

    Raises
    ------
    InputError
        If `sort`, `limit`, `offset` or `text` is none of that; `field` names it.

    """

    states: tuple[JobState, ...] = ()
    kind: str = ""
    owner: str = ""
    parent_id: str = ""
    lineage: str = ""
    dataset: str = ""
    is_top_level: bool = False
    text: str = ""
    sort: str = "-created_at"
    limit: int = 50
    offset: int = 0

    def __post_init__(self) -> None:
        if self.sort.removeprefix("-") not in SORTS:
            raise InputError(
                f"jobs cannot be sorted by {self.sort[:_MAX_TEXT]!r}",
                expected=f"one of {', '.join(SORTS)}, with '-' before it for descending",
                field="sort",
            )
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InputError(f"the limit is {self.limit}", expected=f"1 to {MAX_LIMIT}", field="limit")
        if not 0 <= self.offset <= _MAX_OFFSET:
            raise InputError(f"the offset is {self.offset}", expected=f"0 to {_MAX_OFFSET}", field="offset")
        if len(self.text) > _MAX_TEXT:
            raise InputError(
                f"the text has {len(self.text)} characters",
                expected=f"no more than {_MAX_TEXT}",
                field="text",
            )


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs without their `spec`, and how many there are in all pages."""

    items: list[JobRecord]
    total: int
