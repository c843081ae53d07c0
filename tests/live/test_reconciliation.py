"""A journal that does not tell all: nothing starts on it unless a person takes it for the truth."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.engines import INSTRUMENT, build_catalog, build_config, find_events, running
from workbench.errors import ConfirmationRequiredError, ConflictError, InputError, NotFoundError, StoreError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.exits import HostExit
from workbench.live.journal import Journal
from workbench.live.reconciliation import accept_journal, end_acceptance, load_acceptance, load_state

ACCOUNT = {
    "type": "AccountState",
    "account_id": "SIM-001",
    "account_type": "MARGIN",
    "base_currency": "USD",
    "reported": True,
    "balances": [
        {
            "type": "AccountBalance",
            "total": "999000.00",
            "locked": "0.00",
            "free": "999000.00",
            "currency": "USD",
        }
    ],
    "margins": [],
    "info": {},
    "event_id": "11111111-1111-4111-8111-111111111111",
    "ts_event": 1,
    "ts_init": 1,
}
POSITION = {
    "type": "PositionChanged",
    "trader_id": "TRADER-001",
    "strategy_id": "QuoteTrader-001",
    "instrument_id": "GBP/USD.SIM",
    "position_id": "GBP/USD.SIM-QuoteTrader-001",
    "account_id": "SIM-001",
    "opening_order_id": "O-1",
    "entry": "BUY",
    "side": "LONG",
    "quantity": "7000",
    "currency": "USD",
    "avg_px_open": 1.2503333333333333,
    "event_id": "22222222-2222-4222-8222-222222222222",
    "ts_opened": 2,
    "ts_event": 2,
    "ts_init": 2,
}


def _write(directory: EngineDirectory, *events: dict[str, Any]) -> None:
    directory.create()
    with Journal.open(directory.journal, incarnation=1) as journal:
        for event in events:
            kind = "account" if event["type"] == "AccountState" else "position"
            journal.append(kind, event["type"], json.dumps(event).encode())
        assert journal.flush()


def _accept(directory: EngineDirectory, token: str = "") -> dict[str, Any]:
    return accept_journal(directory, by="ann", reason="checked by hand", confirm_token=token)


def _ask(directory: EngineDirectory) -> ConfirmationRequiredError:
    with pytest.raises(ConfirmationRequiredError) as caught:
        _accept(directory)
    return caught.value


def _configure(directory: EngineDirectory, catalog: Path) -> None:
    config = build_config(catalog)
    config.node["exec_clients"]["SIM"]["config"]["quotes"] = [INSTRUMENT]
    directory.save_config(config, by="ann")


@pytest.fixture
def directory(tmp_path: Path) -> EngineDirectory:
    return EngineDirectory(tmp_path / "demo")


def test_acceptance_holds_for_what_was_shown_and_for_nothing_else(directory: EngineDirectory) -> None:
    _write(directory, ACCOUNT, POSITION)
    asked = _ask(directory)
    lines = " | ".join(asked.risks["lines"])
    assert "held 7000 LONG at 1.2503333333333333 by its own event, and 0 by the fills" in lines
    assert "its realised PnL and commissions begin at nothing" in lines
    assert "SIM-001 will hold 999000.00 USD" in lines
    state = load_state(directory.journal)
    assert load_acceptance(directory, state) is None

    _write(directory, {**POSITION, "quantity": "6000", "event_id": "other"})
    _ask(directory)  # The token is of what was shown before
    with pytest.raises(ConfirmationRequiredError):
        _accept(directory, asked.confirm_token)
    _accept(directory, _ask(directory).confirm_token)
    assert load_acceptance(directory, state) is None
    taken = load_acceptance(directory, load_state(directory.journal))
    assert taken is not None
    assert (taken.by, taken.reason) == ("ann", "checked by hand")
    end_acceptance(directory)
    assert load_acceptance(directory, load_state(directory.journal)) is None


def test_acceptance_of_what_tells_all_or_runs_or_has_no_reason_is_refused(directory: EngineDirectory) -> None:
    directory.create()
    with pytest.raises(NotFoundError):
        _accept(directory)
    _write(directory, ACCOUNT)
    with pytest.raises(ConflictError, match="nothing to accept"):
        _accept(directory)
    with pytest.raises(InputError, match="for a reason"):
        accept_journal(directory, by="ann", reason=" ")
    with directory.hold_lock("host"), pytest.raises(ConflictError, match="runs"):
        _accept(directory)


def _remove(path: Path) -> None:
    path.unlink()


def _scribble(path: Path) -> None:
    path.write_bytes(b"x" * 9_000)


@pytest.mark.parametrize("lose", [_remove, _scribble])
def test_journal_that_was_lost_is_not_taken_for_a_new_one(
    directory: EngineDirectory, lose: Callable[[Path], None]
) -> None:
    _write(directory, ACCOUNT)
    assert load_state(directory.journal).problems == []
    lose(directory.journal)
    _write(directory)

    state = load_state(directory.journal)
    assert "what was held before that is not known" in state.problems[0]
    assert state.find_problems("SIM") == state.problems
    # Nobody knows what to close
    assert load_acceptance(directory, state, is_liquidating=True) is None
    _accept(directory, _ask(directory).confirm_token)
    assert load_acceptance(directory, state) is not None


def test_acceptance_that_cannot_be_read_is_told(directory: EngineDirectory) -> None:
    _write(directory, POSITION)
    (directory.path / "reconcile.json").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"reconcile\.json"):
        load_acceptance(directory, load_state(directory.journal))


def test_host_refuses_what_is_not_sure_until_a_person_takes_it(
    directory: EngineDirectory, tmp_path: Path
) -> None:
    _configure(directory, build_catalog(tmp_path / "catalog"))
    _write(directory, ACCOUNT, POSITION)
    with running(directory) as host:
        assert host.process.wait(30) == HostExit.CONFIG
        output = host.read_output()
    assert "held 7000 LONG" in output
    assert "`workbench engine reconcile`" in output

    _accept(directory, _ask(directory).confirm_token)
    with running(directory) as host:
        host.wait_until_running()
        (position,) = host.get("/positions")
        assert (position["quantity"], position["avg_px_open"]) == ("7000", "1.2503333333333333")
        assert host.get("/accounts")[0]["balances"][0]["total"] == "999000"
        host.end(signal.SIGKILL)
    left = load_state(directory.journal)  # From now on it stands in the journal
    assert (left.problems, [p.signed_quantity for p in left.positions.values()]) == ([], [7000])
    (told,) = find_events(directory, "SandboxReconciled")
    assert (told["acceptance"]["by"], told["acceptance"]["reason"]) == ("ann", "checked by hand")
    assert "held 7000 LONG" in told["problems"][0]
    assert not (directory.path / "reconcile.json").exists()


def test_host_that_liquidates_asks_nobody(directory: EngineDirectory, tmp_path: Path) -> None:
    _configure(directory, build_catalog(tmp_path / "catalog"))
    _write(directory, ACCOUNT, POSITION)
    with directory.hold_lock("guardian"), running(directory, "--liquidate") as host:
        assert host.process.wait(30) == HostExit.ORDERLY
    (flattened,) = find_events(directory, "Flattened")
    assert (flattened["closed"], flattened["still_open"]) == (1, [])
    (told,) = find_events(directory, "SandboxReconciled")
    assert told["acceptance"]["by"] == "guardian"
