from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.attribution import build_trade_costs
from workbench.analysis.costs import build_fill_costs
from workbench.analysis.trades import build_trades

T = [f"2024-01-02 10:0{minute}" for minute in range(10)]
UNKNOWN = "the fills do not add up to this trade"


def _fill(time, side, qty="1000", fee="0", slip="0", **fields):
    """Return a fill `slip` worse than the touch of a book at 1.1000 / 1.1002."""
    touch, sign = (Decimal("1.1002"), 1) if side == "BUY" else (Decimal("1.1"), -1)
    price = touch + sign * Decimal(slip)
    return {
        "ts_event": T[time], "order_side": side, "last_qty": qty, "commission": fee, "last_px": str(price), **fields
    }  # fmt: skip


def _trade(opened, closed, side="BUY", **fields):
    return {
        "ts_opened": T[opened],
        "ts_closed": None if closed is None else T[closed],
        "entry": side,
        **fields,
    }


@pytest.fixture
def costs(make_positions, make_fills):
    def build(positions, fills, *, drop=()):
        trades = build_trades(make_positions(*positions).drop(columns=list(drop)), currency="USD")
        frame = build_trade_costs(trades, make_fills(*fills).drop(columns=list(drop)))
        assert frame.index.equals(trades.index)
        return list(frame.itertuples(index=False, name=None))

    return build


def test_trade_costs_worked_example(costs):
    fills = [_fill(1, "BUY", fee="1.5", slip="0.0003"), _fill(2, "SELL", fee="2", slip="-0.0001")]
    # Half the spread of 0.0002 twice x 1000; 0.3 paid and 0.1 gained.
    assert costs([_trade(1, 2)], fills) == [(Decimal("3.5"), Decimal("0.2"), Decimal("0.2"), None)]


def test_trade_costs_of_a_position_built_and_closed_in_parts(costs):
    fills = [_fill(1, "SELL", fee="1"), _fill(2, "SELL", "500", fee="2"), _fill(3, "BUY", "700", fee="4")]
    fills.append(_fill(4, "BUY", "800", fee="8"))
    assert costs([_trade(1, 4, "SELL")], fills)[0][0] == 15


def test_trade_costs_of_a_fill_that_turns_are_split_by_quantity(costs):
    # 1000 long, sell 4000 (1000 of it close), buy 3000: the fee of 8 goes 2 and 6.
    fills = [_fill(1, "BUY", fee="1"), _fill(2, "SELL", "4000", fee="8"), _fill(3, "BUY", "3000", fee="3")]
    rows = costs([_trade(1, 2), _trade(2, 3, "SELL")], fills)
    assert [row[0] for row in rows] == [3, 9]


def test_trade_costs_close_and_entry_at_the_same_time_are_told_apart(costs):
    fills = [
        _fill(1, "BUY", fee="1"),
        _fill(2, "SELL", fee="2"),
        _fill(2, "SELL", fee="4"),
        _fill(3, "BUY", fee="8"),
    ]
    rows = costs([_trade(1, 2), _trade(2, 3, "SELL")], fills)
    assert [row[0] for row in rows] == [3, 12]


def test_trade_costs_of_positions_that_overlap_need_their_ids(costs):
    first, second = {"position_id": "P-1"}, {"position_id": "P-2"}
    fills = [
        _fill(1, "BUY", fee="1", **first), _fill(2, "SELL", fee="2", **second),
        _fill(3, "SELL", fee="4", **first), _fill(4, "BUY", fee="8", **second),
    ]  # fmt: skip
    positions = [_trade(1, 3, **first), _trade(2, 4, "SELL", **second)]
    assert [row[0] for row in costs(positions, fills)] == [5, 10]
    assert [row[3] for row in costs(positions, fills, drop=["position_id"])] == [UNKNOWN] * 2


def test_trade_costs_without_ids_go_by_instrument_and_strategy(costs):
    fills = [_fill(1, "BUY", fee="1"), _fill(2, "SELL", fee="2")]
    assert costs([_trade(1, 2)], fills, drop=["position_id"])[0][0] == 3


def test_trade_costs_of_an_open_trade_are_those_so_far(costs):
    assert costs([_trade(1, None)], [_fill(1, "BUY", fee="1"), _fill(2, "BUY", fee="2")])[0][0] == 3


@pytest.mark.parametrize("trade", [_trade(0, 2), _trade(1, 3), _trade(1, 2, "SELL"), _trade(1, None)])
def test_trade_costs_of_fills_that_disagree_are_unknown(costs, trade):
    assert costs([trade], [_fill(1, "BUY"), _fill(2, "SELL")]) == [(None, None, None, UNKNOWN)]


def test_trade_costs_missing_book_gives_no_number(costs):
    fills = [_fill(1, "BUY", fee="1", best_ask=None), _fill(2, "SELL", fee="2")]
    assert costs([_trade(1, 2)], fills) == [
        (Decimal(3), None, None, "spread and slippage unknown at a fill of the trade")
    ]


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(-5, 5).filter(bool), min_size=1, max_size=9))
def test_trade_costs_add_up_to_those_of_the_fills(make_positions, make_fills, sizes):
    rows, held, positions = [], 0, []
    for number, size in enumerate(sizes):
        rows.append(_fill(number, "BUY" if size > 0 else "SELL", str(abs(size)), fee="0.7", slip="0.0001"))
        after = held + size
        if held and after * held <= 0:
            positions[-1]["ts_closed"] = T[number]
        if after and after * held <= 0:
            positions.append(_trade(number, None, "BUY" if after > 0 else "SELL"))
        held = after
    fills = make_fills(*rows)
    frame = build_trade_costs(build_trades(make_positions(*positions), currency="USD"), fills)
    assert frame["unknown"].isna().all()
    whole = build_fill_costs(fills)
    for name in ("fee", "spread", "slippage"):
        assert abs(sum(frame[name]) - sum(whole[name])) < Decimal("1e-14")
    assert pd.api.types.is_object_dtype(frame["fee"])
