"""What an engine holds and held: its orders, fills, positions, accounts, equity and log."""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.client.engine_calls import EngineCalls
from workbench.engine_records import AccountRow, EquityPage, FillRow, LogPage, OrderRow, PositionRow

__all__ = ["EngineTables"]


class EngineTables(EngineCalls):
    """The tables of one engine."""

    def orders(self, *, is_open: bool | None = None) -> list[OrderRow]:
        """Return the orders: the open ones, the closed ones, or all."""
        params = {} if is_open is None else {"open": "true" if is_open else "false"}
        return self._list("orders", OrderRow, params)

    def fills(self, *, limit: int = 200) -> list[FillRow]:
        """Return the latest fills."""
        return self._list("fills", FillRow, {"limit": limit})

    def positions(self) -> list[PositionRow]:
        """Return the open positions, with what they are valued at."""
        return self._list("positions", PositionRow)

    def accounts(self) -> list[AccountRow]:
        """Return the accounts."""
        return self._list("accounts", AccountRow)

    def equity(
        self,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        *,
        limit: int = 2_000,
    ) -> EquityPage:
        """
        Return what the engine was worth, also while it does not run.

        Every five seconds of the last day are kept, and every minute of a month.

        Parameters
        ----------
        start, end : str or datetime, optional
            The range, ISO 8601, UTC where there is no zone; both are within.
        limit : int
            How many samples at most, from 3 to 20,000.

        """
        params: dict[str, str | int] = {"limit": limit}
        params |= {k: _write(v) for k, v in (("from", start), ("to", end)) if v is not None}
        return self._get("equity", EquityPage, params)

    def log(self, *, after: str = "", level: str = "INFO", limit: int = 200) -> LogPage:
        """
        Return lines of nautilus's log, also while the engine does not run.

        Parameters
        ----------
        after : str
            The `cursor` of a call before; default: the last lines.
        level : str
            The least grave level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
        limit : int
            How many lines at most, from 1 to 2,000.

        """
        params: dict[str, str | int] = {"level": level, "limit": limit}
        if after:
            params["after"] = after
        return self._get("log", LogPage, params)


def _write(moment: str | datetime) -> str:
    if isinstance(moment, str):
        return moment
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()
