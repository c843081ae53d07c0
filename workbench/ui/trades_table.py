"""The trades of a run as an HTML table: the first and the last of them, or a page that a reader sorts and filters."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.formats import (
    UNKNOWN,
    find_places,
    format_decimal,
    format_duration,
    format_time,
    shorten,
    tint,
)
from workbench.ui.paging import PAGE_ROWS, TableState, build_pager, build_sort_header, sort_rows
from workbench.ui.series import read_millis, require_columns
from workbench.ui.view import View

__all__ = ["TradesTable", "find_range", "find_trade", "select_trades"]

_TABLE = "trades"
_AROUND_BARS = 20
_SIGNED = frozenset({"net_pnl", "mae", "mfe"})
# Why a number is missing, by its column.
_REASONS: Mapping[str, str] = {
    "net_pnl": "unknown",
    "mae": "excursion_unknown",
    "mfe": "excursion_unknown",
    "slippage": "cost_unknown",
}
_RESULTS: Mapping[str, str] = {"won": "Won", "lost": "Lost", "even": "Even", "open": "Still open"}


class TradesTable(View):
    """
    The trades of a run, and a plain statement of how many there are.

    The pointer or the focus on a row lights up its span in the charts of the page. With `state` a reader sorts by the
    headers, filters, turns pages (actions ``sort``, ``filter`` and ``page``, each with a key that begins with
    ``trades:``) and chooses a row (``select``, the trade's index).

    Parameters
    ----------
    trades : pandas.DataFrame
        As `workbench.analysis.trades.build_trades` returns them; with ``mae``, ``mfe`` and ``slippage`` these too.
    currency : str
        The reporting currency.
    first, last : int
        How many of the earliest and of the latest trades are shown, without `state`.
    state : TableState, optional
        Which page of which rows is shown.
    selected : int, optional
        The index of the chosen trade.
    hints : Mapping of str to str
        Column -> its definition, on hover.

    Raises
    ------
    InputError
        If a column is missing or a count is negative.

    """

    _COLUMNS = ("entry_time", "exit_time", "instrument_id", "side", "quantity", "entry_price", "exit_price",
                "held", "net_pnl", "fees")  # fmt: skip

    def __init__(
        self,
        trades: pd.DataFrame,
        currency: str,
        *,
        first: int = 10,
        last: int = 10,
        state: TableState | None = None,
        selected: int | None = None,
        hints: Mapping[str, str] | None = None,
    ) -> None:
        require_columns(trades, self._COLUMNS, "the trades frame")
        if first < 0 or last < 0:
            raise InputError(f"first is {first}, last is {last}", expected="0 or more")
        self._trades = trades
        self._currency = currency
        self._first = first
        self._last = last
        self._state = state
        self._selected = selected
        self._hints = hints or {}
        self._places: dict[Any, tuple[int, int]] = {}
        instruments = trades["instrument_id"].dropna().unique()
        self._instruments = sorted(map(str, instruments))
        times = [*trades["entry_time"].dropna(), *trades["exit_time"].dropna()]
        years = {time.year for time in times}
        self._year = f"{years.pop()} " if len(years) == 1 else ""

    def __repr__(self) -> str:
        return f"TradesTable({len(self._trades):,} trades)"

    def build_html(self) -> str:
        """Return the table as a card."""
        count = len(self._trades)
        if count == 0:
            body = "<div class='wb-empty'>No trades: the strategy opened no position in this run.</div>"
            return build_card("Trades", body)
        return self._build_ends(count) if self._state is None else self._build_page(self._state)

    def _build_ends(self, count: int) -> str:
        head = self._trades.iloc[: self._first]
        tail = self._trades.iloc[max(self._first, count - self._last) :]
        hidden = count - len(head) - len(tail)
        rows = self._build_rows(head)
        if hidden:
            span = len(self._list_columns())
            rows += f"<tr class='group'><td colspan='{span}'>{hidden:,} more, not shown here</td></tr>"
        rows += self._build_rows(tail)
        shown = f"all {count:,}" if not hidden else f"first {len(head):,} and last {len(tail):,} of {count:,}"
        return build_card("Trades", self._build_table(rows), right=self._describe(shown))

    def _build_page(self, state: TableState) -> str:
        chosen = select_trades(self._trades, state)
        page = min(state.page, max(len(chosen) - 1, 0) // PAGE_ROWS)
        rows = self._build_rows(chosen.iloc[page * PAGE_ROWS : (page + 1) * PAGE_ROWS])
        if not rows:
            span = len(self._list_columns())
            text = "No trade passes these filters: choose <em>all</em> to see them again."
            rows = f"<tr><td colspan='{span}' class='wb-empty'>{text}</td></tr>"
        total = len(self._trades)
        shown = f"all {total:,}" if len(chosen) == total else f"{len(chosen):,} of {total:,}"
        pager = build_pager(_TABLE, page, len(chosen), what="trades")
        body = f"{self._build_filters(state)}{self._build_table(rows)}{pager}"
        return build_card("Trades", body, right=self._describe(shown))

    def _describe(self, shown: str) -> str:
        parts = self._instruments if len(self._instruments) == 1 else []
        return ", ".join([*parts, f"money in {self._currency}", shown])

    def _list_columns(self) -> list[tuple[str, str]]:
        """Return column and title, in the order in which they are shown."""
        columns = [("entry_time", f"entry, {self._year}UTC"), ("side", "side")]
        if len(self._instruments) > 1:
            columns.append(("instrument_id", "instrument"))
        columns += [("quantity", "quantity"), ("entry_price", "entry"), ("exit_price", "exit")]
        columns += [("exit_time", "exit, UTC"), ("held", "held"), ("net_pnl", "net PnL")]
        more = (("mae", "MAE"), ("mfe", "MFE"), ("fees", "fees"), ("slippage", "slippage"))
        return columns + [(name, title) for name, title in more if name in self._trades.columns]

    def _build_table(self, rows: str) -> str:
        heads = []
        for name, title in self._list_columns():
            is_number = name not in ("entry_time", "side", "instrument_id")
            hint = self._hints.get(name, "")
            if self._state is None:
                kind = " class='n'" if is_number else ""
                text = (
                    f"<abbr title='{escape(hint, quote=True)}'>{escape(title)}</abbr>"
                    if hint
                    else escape(title)
                )
                heads.append(f"<th{kind}>{text}</th>")
            else:
                heads.append(
                    build_sort_header(_TABLE, name, title, self._state, is_number=is_number, hint=hint)
                )
        return (
            f"<div class='wb-scroll'><table class='wb-trades'><thead><tr>{''.join(heads)}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )

    def _build_filters(self, state: TableState) -> str:
        fields = [("side", "Side", {"LONG": "Long", "SHORT": "Short"}), ("result", "Result", dict(_RESULTS))]
        if len(self._instruments) > 1:
            fields.append(("instrument_id", "Instrument", {name: name for name in self._instruments}))
        return f"<div class='wb-filters'>{''.join(_build_filter(*field, state) for field in fields)}</div>"

    def _build_rows(self, part: pd.DataFrame) -> str:
        columns = [name for name, _ in self._list_columns()]
        needed = list(dict.fromkeys([*columns, "entry_time", "exit_time", "instrument_id"]))
        needed += [name for name in set(_REASONS.values()) if name in part.columns and name not in needed]
        return "".join(
            self._build_row(index, dict(zip(needed, row, strict=True)), columns)
            for index, row in zip(part.index, part[needed].itertuples(index=False, name=None), strict=True)
        )

    def _find_places(self, instrument_id: Any) -> tuple[int, int]:
        # Each instrument has its own precision, taken from all of its trades so that its rows align.
        if instrument_id not in self._places:
            own = self._trades[self._trades["instrument_id"] == instrument_id]
            prices = [*own["entry_price"], *own["exit_price"]]
            self._places[instrument_id] = find_places(prices), find_places(own["quantity"], default=0)
        return self._places[instrument_id]

    def _build_row(self, index: Any, row: Mapping[str, Any], columns: list[str]) -> str:
        cells = "".join(self._build_cell(name, row) for name in columns)
        start = row["entry_time"].timestamp() * 1_000
        end = start if row["exit_time"] is pd.NaT else row["exit_time"].timestamp() * 1_000
        action = f" data-action='select' data-key='{index}'" if self._state is not None else ""
        chosen = " class='sel' aria-selected='true'" if index == self._selected else ""
        return (
            f"<tr id='wb-trade-{index}' tabindex='0' data-span='{start:.0f},{end:.0f}'{action}{chosen}>"
            f"{cells}</tr>"
        )

    def _build_cell(self, name: str, row: Mapping[str, Any]) -> str:
        value = row[name]
        if name in ("entry_time", "exit_time"):
            text = format_time(value)
            text = text[5:] if self._year and value is not pd.NaT else text
            return (
                f"<td class='n' style='text-align:left'>{text}</td>"
                if name == "entry_time"
                else _number(text)
            )
        if name == "side":
            return f"<td>{escape(str(value))}</td>"
        if name == "instrument_id":
            return f"<td>{shorten(value, most=22)}</td>"
        if name == "held":
            return _number("open" if row["exit_time"] is pd.NaT else format_duration(value.total_seconds()))
        if value is None or pd.isna(value):
            reason = row.get(_REASONS.get(name, "")) or ""
            title = f" title='{escape(str(reason), quote=True)}'" if reason else ""
            return f"<td class='n mute'{title}>{UNKNOWN}</td>"
        price, size = self._find_places(row["instrument_id"])
        places = size if name == "quantity" else price if name.endswith("_price") else 2
        text = format_decimal(value, places, is_signed=name in _SIGNED)
        return _number(text, tint(value) if name == "net_pnl" else "")


def _number(text: str, kind: str = "") -> str:
    return f"<td class='{f'n {kind}'.strip()}'>{text}</td>"


def _build_filter(name: str, label: str, choices: Mapping[str, str], state: TableState) -> str:
    now = state.find_filter(name)
    options = "".join(
        f"<option value='{escape(value, quote=True)}'{' selected' if value == now else ''}>{escape(text)}</option>"
        for value, text in {"": "all", **choices}.items()
    )
    return (
        f"<label>{escape(label)} <select class='wb-input' id='wb-filter-{_TABLE}-{name}' data-action='filter' "
        f"data-key='{_TABLE}:{name}'>{options}</select></label>"
    )


def select_trades(trades: pd.DataFrame, state: TableState) -> pd.DataFrame:
    """
    Return the trades that pass the filters, in the order that was asked for.

    Parameters
    ----------
    trades : pandas.DataFrame
        As `TradesTable` takes them.
    state : TableState
        Its filters are ``side``, ``instrument_id`` and ``result`` (``won``, ``lost``, ``even``, ``open``).

    """
    keep = pd.Series(True, index=trades.index)
    for name, value in state.filters:
        if name == "result":
            keep &= trades["net_pnl"].map(_name_result).where(trades["exit_time"].notna(), "open") == value
        elif name in trades.columns:
            keep &= trades[name].astype(str) == value
    return sort_rows(trades[keep], state.sort, is_descending=state.is_descending)


def _name_result(pnl: Any) -> str:
    if pnl is None or pd.isna(pnl):
        return "unknown"
    return "won" if pnl > 0 else "lost" if pnl < 0 else "even"


def find_range(trade: Mapping[Any, Any], prices: pd.DataFrame) -> tuple[float, float]:
    """
    Return the range of time that shows a trade in its chart, milliseconds since the epoch, UTC.

    Parameters
    ----------
    trade : Mapping
        A row of the trades.
    prices : pandas.DataFrame
        The prices of its instrument: at least 20 bars stand on either side of the trade.

    """
    stamps = read_millis(prices["ts"], "ts of the prices")
    start_ms = trade["entry_time"].timestamp() * 1_000
    end_ms = float(stamps[-1]) if pd.isna(trade["exit_time"]) else trade["exit_time"].timestamp() * 1_000
    step_ms = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
    around = max(end_ms - start_ms, _AROUND_BARS * step_ms)
    return start_ms - around, end_ms + around


def find_trade(trades: pd.DataFrame, instrument_id: str, millis: float) -> int | None:
    """
    Return the index of the trade whose entry or exit is nearest to a time; ``None`` without trades.

    Parameters
    ----------
    trades : pandas.DataFrame
        As `TradesTable` takes them.
    instrument_id : str
        Only trades of it.
    millis : float
        Since the epoch, UTC.

    """
    own = trades[trades["instrument_id"].astype(str) == instrument_id]
    if own.empty:
        return None
    moment = pd.Timestamp(millis * 1e6, unit="ns", tz="UTC")
    entry, exit_ = ((own[name] - moment).abs() for name in ("entry_time", "exit_time"))
    nearest = entry.where(exit_.isna() | (entry <= exit_), exit_)
    return int(own.index[int(nearest.to_numpy().argmin())])
