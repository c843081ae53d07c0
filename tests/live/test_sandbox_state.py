from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from workbench.live.sandbox_state import collect_state

Event = tuple[str, bytes]
_COUNT = iter(range(10**9))


def _event(name: str, **fields: Any) -> Event:
    return name, json.dumps({"type": name, "event_id": str(next(_COUNT)), **fields}).encode()


def _order(name: str, kind: str, **fields: Any) -> Event:
    return _event(kind, client_order_id=name, instrument_id="GBP/USD.SIM", strategy_id="S-1", **fields)


def _fill(name: str, quantity: int, position: str = "P", commission: str | None = "0.10 USD") -> Event:
    return _order(
        name,
        "OrderFilled",
        account_id="SIM-001",
        position_id=position,
        order_side="BUY" if quantity > 0 else "SELL",
        last_qty=str(abs(quantity)),
        last_px="1.5",
        currency="USD",
        commission=commission,
    )


def _account(total: str, *, reported: bool = False) -> Event:
    balances = [{"total": total, "currency": "USD"}]
    return _event(
        "AccountState", account_id="SIM-001", reported=reported, base_currency="USD", balances=balances
    )


def _position(kind: str, position: str, quantity: int, opening: str) -> Event:
    return _event(
        kind,
        trader_id="T-1",
        strategy_id="S-1",
        instrument_id="GBP/USD.SIM",
        account_id="SIM-001",
        position_id=position,
        quantity=str(abs(quantity)),
        side="LONG" if quantity > 0 else "SHORT",
        avg_px_open=1.4999999999999999,
        opening_order_id=opening,
        currency="USD",
        ts_opened=1,
        ts_init=2,
    )


def _trade(name: str, quantity: int, position: str = "P") -> list[Event]:
    return [_order(name, "OrderInitialized", quantity=str(abs(quantity))), _fill(name, quantity, position)]


def test_state_keeps_what_is_open_only() -> None:
    events = [
        *_trade("a", 10),
        *_trade("b", -10),
        *_trade("c", 5, "Q"),
        _order("d", "OrderInitialized", quantity="1"),
    ]

    state = collect_state([*events, _order("d", "OrderAccepted")])

    assert set(state.positions) == {"Q"}
    assert set(state.orders) == {"c", "d"}
    assert state.open_orders == ["d"]


def test_state_with_an_order_that_ended_does_not_hold_it() -> None:
    for kind in ("OrderCanceled", "OrderExpired", "OrderRejected", "OrderDenied"):
        state = collect_state([_order("a", "OrderInitialized", quantity="1"), _order("a", kind)])
        assert state.open_orders == []
        assert state.orders == {}


def test_state_holds_an_order_that_was_enlarged_after_a_part_was_filled() -> None:
    events = [
        _order("a", "OrderInitialized", quantity="10"),
        _fill("a", 6),
        _order("a", "OrderUpdated", quantity="20"),
        _fill("a", 10),
    ]

    assert collect_state(events).open_orders == ["a"]
    assert collect_state([*events, _fill("a", 4)]).open_orders == []


def test_state_splits_a_fill_that_turns_a_position() -> None:
    state = collect_state([*_trade("a", 10), *_trade("b", -40)])

    (share,) = state.positions["P"].fills
    assert state.positions["P"].signed_quantity == -30
    assert (share.quantity, share.commission) == (Decimal(30), Decimal("0.07"))
    assert set(state.orders) == {"b"}


def test_state_gives_a_turned_position_the_id_that_nautilus_gave_it() -> None:
    turned = [*_trade("a", 10, "P-1"), *_trade("b", -40, "P-1")]

    told = collect_state(
        [*turned, _position("PositionClosed", "P-1", 0, "a"), _position("PositionOpened", "P-2F", 30, "b")]
    )
    untold = collect_state(turned)

    assert {n: p.signed_quantity for n, p in told.positions.items()} == {"P-2F": -30}
    assert {n: p.signed_quantity for n, p in untold.positions.items()} == {"P-1F": -30}
    assert told.problems == untold.problems == []


def test_state_counts_an_event_that_comes_twice_once() -> None:
    events = _trade("a", 10)

    assert collect_state([*events, *events]).positions["P"].signed_quantity == 10


def test_state_tells_the_fills_that_the_account_does_not_know_of() -> None:
    known = [_account("100", reported=True), *_trade("a", 10), _account("99")]

    settled = collect_state(known)
    state = collect_state([*known, *_trade("b", -4)])

    assert settled.unsettled == []
    (unsettled,) = state.unsettled
    assert unsettled.event["client_order_id"] == "b"
    assert [share.quantity for share in unsettled.before] == [10]
    assert state.accounts["SIM-001"]["balances"][0]["total"] == "99"


def test_state_doubts_a_position_whose_first_fills_are_gone() -> None:
    lost = [*_trade("b", -5), _position("PositionChanged", "P", -15, "a")]

    state = collect_state(lost)
    assert "P held 15 SHORT at 1.5 by its own event, and 0 by the fills" in state.problems[0]
    assert state.find_problems() == state.find_problems("SIM") == state.problems
    assert state.find_problems("OTHER") == []
    closed = collect_state([*lost, _position("PositionClosed", "P", 0, "a")])
    assert (closed.problems, closed.disputed, closed.positions) == ([], [], {})


def test_state_takes_a_position_whose_fills_are_gone_from_its_own_event() -> None:
    lost = _position("PositionChanged", "P", 15, "a")
    # A position of which no fill at all is kept is none to be forgotten
    assert len(collect_state([lost]).problems) == 1

    state = collect_state([lost, *_trade("b", -4), _position("PositionChanged", "P", 11, "a")])
    assert state.positions["P"].signed_quantity == 11
    assert [share.event["last_px"] for share in state.positions["P"].fills] == ["1.5000000000000000", "1.5"]
    assert len(state.problems) == 1, "what is right by chance is not known for sure"

    (problem,) = state.accept()
    assert problem.startswith("P held 15")
    assert (state.problems, state.disputed, state.is_accepted) == ([], [], True)
    later = collect_state([state.build_event(), *_trade("c", -1), _position("PositionChanged", "P", 10, "a")])
    assert (later.positions["P"].signed_quantity, later.problems) == (10, [])


def test_state_as_an_event_stands_for_all_before_it() -> None:
    early = [
        _account("100", reported=True),
        *_trade("a", 10),
        *_trade("b", -40),
        _account("98"),
        _order("d", "OrderInitialized", quantity="3"),
        *_trade("c", 5),
    ]
    late = [_fill("d", 2), _position("PositionChanged", "P", 23, "b"), _account("97")]
    whole = collect_state([*early, *late])

    short = collect_state([collect_state(early).build_event(), *late])

    assert short == whole
    assert short.positions["P"].signed_quantity == -23
    assert short.open_orders == ["d"]
    assert short.unsettled == []
    # Events of before that come once more change nothing
    assert collect_state([collect_state(early).build_event(), early[-1], *late]) == whole


def test_state_is_described_in_plain_values() -> None:
    described = collect_state([_account("100", reported=True), *_trade("a", 10)]).describe()

    assert json.loads(json.dumps(described)) == {
        "balances": {"SIM-001": ["100 USD"]},
        "unsettled": 1,
        "positions": {"P": {"instrument_id": "GBP/USD.SIM", "strategy_id": "S-1", "signed_quantity": "10"}},
        "open_orders": [],
        "problems": [],
    }


def test_state_of_many_orders_forgets_those_that_ended() -> None:
    def trade() -> Any:
        for number in range(15_000):
            yield from _trade(f"o{number}", 1 if number % 2 else -1)

    state = collect_state(trade())

    assert (state.positions, state.orders, state.open_orders) == ({}, {}, [])
