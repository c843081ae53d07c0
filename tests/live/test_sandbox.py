from __future__ import annotations

import json
import os
import random
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Logger, TestClock
from nautilus_trader.model.identifiers import InstrumentId

from tests.backtest import tiny
from tests.live.replay_catalogs import BID, LAST, NAME, build_bars
from tests.live.replay_nodes import NodeProcess, build_config
from workbench.catalog.definitions import find_instruments
from workbench.live.sandbox_restore import build_position, settle_balances
from workbench.live.sandbox_state import collect_state

COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))
POSITION = "GBP/USD.SIM-Schemer-000"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bars(tmp_path_factory.mktemp("bars") / "catalog")


def _compute(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return position and balance by the fills alone, each counted once: an account book of the simplest kind."""
    # Published twice, as a fill of the instrument and as an event of the order; a kill may come in between.
    fills = {x["body"]["event_id"]: x["body"] for x in lines if x["name"] == "OrderFilled"}
    held, price, realized, balance = Decimal(), Decimal(), Decimal(), Decimal("1000000.00")
    for fill in fills.values():
        paid = Decimal(fill["commission"].split()[0])
        px = Decimal(fill["last_px"])
        change = Decimal(fill["last_qty"]) * (1 if fill["order_side"] == "BUY" else -1)
        balance -= paid
        if held * change < 0:
            closed = min(abs(held), abs(change))
            gain = (closed * (px - price) * (1 if held > 0 else -1)).quantize(Decimal("0.01"))
            balance += gain
            if abs(change) > abs(held):  # The rest is a new position, with its part of the commission
                realized = -(paid - (paid * (abs(held) / abs(change))).quantize(Decimal("0.01")))
                price = px
            else:
                realized += gain - paid
        else:
            if held == 0:
                realized = Decimal()
            realized -= paid
            price = (price * abs(held) + px * abs(change)) / (abs(held) + abs(change))
        held += change
    return {"held": held, "price": price, "realized": realized, "balance": balance, "fills": len(fills)}


def _check_balance(balance: Decimal, lines: list[dict[str, Any]]) -> bool:
    """Compare a balance with nautilus's last word on it, and return whether a fill came after that."""
    last = max(n for n, x in enumerate(lines) if x["name"] == "AccountState")
    total = Decimal(lines[last]["body"]["balances"][0]["total"])
    known, now = _compute(lines[:last]), _compute(lines)
    if known["fills"] == now["fills"]:
        assert balance == total
    # Nautilus counts in floats, and may round half a cent the other way.
    assert abs(balance - total - (now["balance"] - known["balance"])) <= Decimal("0.01")
    assert abs(balance - now["balance"]) <= Decimal("0.01") * now["fills"]
    return known["fills"] != now["fills"]


def _parse(money: str) -> Decimal:
    return Decimal(money.split()[0].replace("_", ""))


def _check_cuts(catalog: Path, lines: list[dict[str, Any]], chance: random.Random) -> None:
    """Restore from what a kill would have left after some events, right after fills above all."""
    cache = Cache()
    for instrument in find_instruments(catalog):
        cache.add_instrument(instrument)
    events = [(x["name"], json.dumps(x["body"]).encode(), x["topic"]) for x in lines]
    fills = [
        n for n, x in enumerate(lines, 1) if x["name"] == "OrderFilled" and x["topic"] == "events.order."
    ]
    states = 0
    for count in sorted(
        {
            *chance.sample(fills, min(25, len(fills))),
            *chance.sample(range(1, len(lines) + 1), min(60, len(lines))),
        }
    ):
        cut = lines[:count]
        expected = _compute(cut)
        state = collect_state((name, body) for name, body, topic in events[:count] if topic != "test.")
        assert not state.problems
        history = state.positions.get(POSITION)
        held = Decimal() if history is None else history.signed_quantity
        assert held == expected["held"]
        if history is not None:
            position = build_position(cache.instrument(InstrumentId.from_str(NAME)), history)
            assert position.signed_decimal_qty() == held
            assert position.avg_px_open == pytest.approx(float(expected["price"]), abs=1e-12)
            assert abs(position.realized_pnl.as_decimal() - expected["realized"]) <= Decimal("0.05")
        if state.accounts:
            (balance,) = settle_balances(state, "SIM-001", cache, TestClock(), Logger("test"))
            assert _check_balance(balance.as_decimal(), cut) == bool(state.unsettled)
            states += bool(state.unsettled)
    assert states  # Some cuts are between a fill and its account


def _count_fills(lines: list[dict[str, Any]]) -> int:
    return sum(x["name"] == "OrderFilled" and x["topic"] == "events.order." for x in lines)


@pytest.mark.timeout(240 + 60 * COUNT)
def test_sandbox_killed_at_random_comes_back_with_what_the_events_say(catalog: Path, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    (tmp_path / "seed.txt").write_text(str(seed))
    chance = random.Random(seed)
    config = build_config(catalog, ("Schemer", {}))
    held = 0
    for turn in range(COUNT + 1):
        with NodeProcess(tmp_path, config) as node:
            before = list(node.read())
            expected = _compute(before)
            known = {x["body"]["client_order_id"] for x in before if x["name"].startswith("Order")}
            running = node.wait(lambda: node.find("running"))[0]

            found = running["positions"].get(POSITION)
            if expected["held"] == 0:
                assert found is None
            else:
                held += 1
                assert Decimal(found[0]) == expected["held"]
                assert found[1] == pytest.approx(float(expected["price"]), abs=1e-12)
                assert abs(_parse(found[2]) - expected["realized"]) <= Decimal("0.05")
                told = [
                    x for x in before if x["name"] in ("PositionOpened", "PositionChanged", "OrderFilled")
                ]
                if told and told[-1]["name"].startswith("Position"):
                    assert found[1] == told[-1]["body"]["avg_px_open"]
                    assert found[2] == told[-1]["body"]["realized_pnl"]
            if before:
                _check_balance(_parse(running["balances"]["USD"]), before)
            assert not known & set(running["open"])
            ended = collect_state([(x["name"], json.dumps(x["body"]).encode()) for x in node.read()])
            assert not known & set(ended.open_orders)
            if turn < COUNT:
                fills = _count_fills(before) + chance.randint(2, 30)
                node.wait(lambda count=fills: _count_fills(node.read()) >= count)
                node.process.send_signal(signal.SIGKILL)
                node.process.wait()
    _check_cuts(catalog, node.read(), chance)
    assert held
    canceled = [x["body"] for x in node.read() if x["name"] == "OrderCanceled"]
    assert canceled


def test_sandbox_fills_by_bars_alone_at_their_prices(catalog: Path, tmp_path: Path) -> None:
    config = build_config(catalog, ("Watcher", {"bar_types": [BID], "buys": True}), feed={"speed": 60.0})
    with NodeProcess(tmp_path, config) as node:
        fill = node.wait(lambda: node.find("OrderFilled"))[0]
        bars = [seen for seen in node.find("seen") if seen["what"] == "bar"]

        third = tiny.prices(shift="0.00010")["close"].iloc[2]
        assert Decimal(fill["last_px"]) == third
        assert fill["ts_event"] >= bars[2]["init"]


def test_sandbox_with_last_bars_fills(tmp_path: Path) -> None:
    catalog = build_bars(tmp_path / "catalog", sides=("LAST",))
    config = build_config(
        catalog, ("Watcher", {"bar_types": [LAST], "buys": True}), feed={"speed": 60.0}, bar_types=[]
    )
    with NodeProcess(tmp_path, config) as node:
        fill = node.wait(lambda: node.find("OrderFilled"))[0]

        assert Decimal(fill["last_px"]) == tiny.prices()["close"].iloc[2]


def test_sandbox_with_bid_bars_alone_rejects_an_order_and_says_why(catalog: Path, tmp_path: Path) -> None:
    config = build_config(catalog, ("Watcher", {"bar_types": [BID], "buys": True}), bar_types=[])
    with NodeProcess(tmp_path, config) as node:
        rejected = node.wait(lambda: node.find("OrderRejected"))[0]

        assert "BID bars of GBP/USD.SIM alone" in rejected["reason"]
        assert "ask bars" in rejected["reason"]


def test_sandbox_with_latency_fills_later_without_waiting_for_the_next_bar(
    catalog: Path, tmp_path: Path
) -> None:
    latency = {
        "latency_model_path": "nautilus_trader.backtest.models:LatencyModel",
        "config_path": "nautilus_trader.backtest.config:LatencyModelConfig",
        "config": {"base_latency_nanos": 200_000_000},
    }
    # A bar every four seconds: the third comes at the eighth, and the fill before the fourth.
    config = build_config(
        catalog,
        ("Watcher", {"bar_types": [BID], "buys": True}),
        feed={"speed": 15.0},
        latency_model=latency,
    )
    with NodeProcess(tmp_path, config) as node:
        fill = node.wait(lambda: node.find("OrderFilled"))[0]
        third = [seen for seen in node.find("seen") if seen["what"] == "bar"][2]

        assert 0.2 <= (fill["ts_event"] - third["init"]) / 1e9 < 3.0


def test_sandbox_closes_no_more_than_is_held_however_fast_orders_come(catalog: Path, tmp_path: Path) -> None:
    config = build_config(catalog, ("Haster", {}))
    with NodeProcess(tmp_path, config) as node:
        node.wait(lambda: node.find("OrderRejected"))

        fills = {x["event_id"]: x for x in node.find("OrderFilled")}.values()
        (rejected,) = node.find("OrderRejected")
        (cut,) = node.find("OrderUpdated")
        assert [Decimal(f["last_qty"]) for f in fills] == [10_000, 4_000, 6_000]
        assert Decimal(cut["quantity"]) == 6_000
        assert "would have increased position" in rejected["reason"]
        assert len(node.find("PositionClosed")) == 1
        assert node.describe()["positions"] == {}
        _check_balance(_parse(node.describe()["balances"]["USD"]), node.read())
