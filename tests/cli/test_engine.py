"""``workbench engine`` with a real engine: through the server, over its death, and without any."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, build_environment
from tests.client.conftest import end_server, make_settings
from tests.live.engines import INSTRUMENT, ROOT, build_catalog, build_strategy
from workbench.client.connection import connect
from workbench.client.engine_events import Item, Link
from workbench.config import Settings
from workbench.engine_records import EngineEvent
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal_reader import JournalReader

DEADLINE_SECS = 60.0
REATTACH_SECS = 2.0


def wait_until(condition: Callable[[], Any], secs: float = DEADLINE_SECS) -> None:
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Return a workspace; whatever runs for it is ended with its tests."""
    settings = make_settings(tmp_path_factory.mktemp("engine"))
    build_catalog(settings.catalog)
    with pytest.MonkeyPatch.context() as patch:
        # Whoever starts the server: it and the engine find the strategies of the tests.
        patch.setenv("PYTHONPATH", str(ROOT))
        yield settings
        end_server(settings)


@pytest.fixture(scope="module")
def cli(settings: Settings) -> Cli:
    def run(*arguments: str | Path, timeout: float = 120, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workbench.cli.main", "engine", *map(str, arguments)],
            cwd=settings.workspace,
            env={**build_environment(settings.workspace), "PYTHONPATH": str(ROOT)},
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def engine(settings: Settings, cli: Cli) -> Iterator[EngineDirectory]:
    """Return an engine that trades, made of a preset."""
    strategies = settings.workspace / "strategies.json"
    strategies.write_text(json.dumps([build_strategy(every=40)]))
    values = {
        "catalog_path": settings.catalog,
        "venue": "SIM",
        "quotes": INSTRUMENT,
        "speed": "5",
    }
    sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    made = cli("config", "set", "--preset", "sandbox-replay", *sets, "--strategies", strategies)
    assert made.returncode == 0, made.stderr
    directory = EngineDirectory(settings.engines / "default")
    try:
        started = cli("start")
        assert started.returncode == 0, started.stderr
        assert "RUNNING" in started.stdout
        yield directory
    finally:
        cli("stop")


def test_status_and_events_need_no_server(settings: Settings, cli: Cli, engine: EngineDirectory) -> None:
    with JournalReader(engine.journal) as reader:
        wait_until(lambda: reader.last_seq > 20)
    assert cli("status").returncode == 0
    kill_server(settings)

    shown, told = cli("status"), json.loads(cli("status", "--json", "--engine", "default").stdout)
    lines = cli("events", "--after", "0", "--json").stdout.splitlines()

    assert "RUNNING" in shown.stdout
    assert told["status"]["is_alive"]
    assert told["facts"]["strategies"]
    seqs = [json.loads(line)["seq"] for line in lines]
    assert len(seqs) > 20
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(cli("events", "--last", "3").stdout.splitlines()) == 3
    assert not settings.state.joinpath("server.lock").exists() or not is_served(settings)


def test_server_that_is_killed_leaves_the_engine_alone_and_a_new_one_finds_it(
    settings: Settings, engine: EngineDirectory
) -> None:
    host = engine.load_host()
    assert host is not None
    items: list[Item] = []
    with connect(settings=settings) as client, client.engine().listen(items.append, after=0):
        wait_until(lambda: sum(isinstance(i, EngineEvent) for i in items) > 30)
        os.kill(client.health()["pid"], signal.SIGKILL)
        wait_until(lambda: any(isinstance(i, Link) and not i.is_server for i in items))
        assert engine.is_held("host")

        began = time.monotonic()
        with connect(settings=settings) as again:
            up = time.monotonic()
            report = again.engine().status()
        lost = next(n for n, i in enumerate(items) if isinstance(i, Link) and not i.is_server)
        wait_until(lambda: any(isinstance(i, EngineEvent) for i in items[lost:]))
        heard = time.monotonic()
        print(f"the server was up after {up - began:.2f} s, events came {heard - up:.2f} s later")  # noqa: T201

    assert report.status.is_alive
    assert report.facts is not None
    assert report.status.host == host
    seqs = [item.seq for item in items if isinstance(item, EngineEvent)]
    assert seqs == list(range(1, len(seqs) + 1))
    links = [(item.is_server, item.is_host) for item in items if isinstance(item, Link)]
    assert links[-1] == (True, True)
    assert (False, False) in links


def test_orders_by_hand_reach_the_venue_and_carry_a_name(settings: Settings, engine: EngineDirectory) -> None:
    with connect(settings=settings) as client:
        found = client.engine()
        name = found.submit(INSTRUMENT, "BUY", "1000", type="LIMIT", price="1.00000")["client_order_id"]
        wait_until(lambda: name in [o.client_order_id for o in found.orders(is_open=True)])
        found.modify(name, price="1.00100")
        wait_until(lambda: next(o.price for o in found.orders() if o.client_order_id == name) == "1.00100")
        found.cancel(name)
        wait_until(lambda: name not in [o.client_order_id for o in found.orders(is_open=True)])
        wait_until(found.positions)
        found.close(found.positions()[0].position_id, quantity="1000")
        who = client.whoami()["name"]
    with JournalReader(engine.journal) as reader:
        told = [bytes(e.body) for e in reader.read(0, 100_000) if name.encode() in bytes(e.body)]
    assert any(who.encode() in body for body in told)


def test_past_of_the_engine_is_read_by_the_client(settings: Settings, engine: EngineDirectory) -> None:
    with connect(settings=settings) as client:
        found = client.engine()
        wait_until(lambda: found.equity().total > 0)
        sample = found.equity("2020-01-01", limit=3).items[0]
        page = found.log(limit=5)
    assert sample.equity is not None
    assert sample.day_pnl is not None
    assert len(page.items) == 5
    assert page.cursor.startswith("log_")


def test_log_needs_no_server_and_is_narrowed(cli: Cli, engine: EngineDirectory) -> None:
    shown = cli("log", "--last", "3")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 3)
    lines = [json.loads(line) for line in cli("log", "--json", "--last", "500").stdout.splitlines()]
    assert {line["level"] for line in lines} >= {"INFO"}
    assert all(
        json.loads(line)["level"] == "ERROR"
        for line in cli("log", "--json", "--level", "error").stdout.splitlines()
    )


def test_strategy_is_stopped_and_started_and_the_feed_drilled(cli: Cli, engine: EngineDirectory) -> None:
    stopped = cli("strategy", "stop", "QuoteTrader-001")
    assert (stopped.returncode, stopped.stdout) == (0, "QuoteTrader-001 is STOPPED\n"), stopped.stderr
    started = json.loads(cli("strategy", "start", "QuoteTrader-001", "--json").stdout)
    assert started == {"strategy_id": "QuoteTrader-001", "state": "RUNNING"}
    assert cli("strategy", "remove", "Nobody-001").returncode == 2
    assert "no JSON object" in cli("strategy", "add", "a:B", "a:C", "--config", "[]").stderr
    assert cli("drill", "stall", "--secs", "30").returncode == 0
    assert json.loads(cli("drill", "off", "--json").stdout)["mode"] == "off"


def test_trading_state_is_lowered_at_once_and_raised_by_a_word(cli: Cli, engine: EngineDirectory) -> None:
    assert cli("trading-state", "HALTED", "--reason", "lunch").stdout.strip() == "HALTED"
    wait_until(lambda: read_state(engine) == "HALTED")

    refused = cli("trading-state", "ACTIVE")
    wrong = cli("trading-state", "ACTIVE", "--yes", "LIVE")
    refused_json = cli("trading-state", "ACTIVE", "--json")
    done = cli("trading-state", "active", "--yes", "y")

    assert (refused.returncode, wrong.returncode, done.returncode) == (2, 2, 0), done.stderr
    assert "--yes y" in refused.stderr
    assert "HALTED to ACTIVE" in refused.stderr
    problem = json.loads(refused_json.stderr)["error"]
    assert (problem["code"], problem["message"][:13]) == ("confirmation_required", "trading-state")
    assert done.stdout.strip() == "ACTIVE"


def test_raised_limit_is_confirmed_and_versions_compared(
    settings: Settings, cli: Cli, engine: EngineDirectory
) -> None:
    plain = json.loads(cli("config", "show").stdout)
    file = settings.workspace / "config.json"
    file.write_text(json.dumps({**plain, "risk": {"max_exposure": "5000000"}}))
    assert cli("config", "set", file, "--comment", "a limit").returncode == 0
    file.write_text(json.dumps({**plain, "risk": {"max_exposure": "6000000"}}))
    assert cli("config", "set", file).returncode == 2
    assert cli("config", "set", file, "--yes", "y").returncode == 0
    file.write_text(json.dumps({**plain, "colour": "red"}))
    wrong = cli("config", "set", file)
    assert (wrong.returncode, "colour" in wrong.stderr) == (2, True)

    checked = cli("config", "check", "--json")
    assert checked.returncode == 0, checked.stdout
    assert {one["outcome"] for one in json.loads(checked.stdout)} == {"OK"}
    node = plain["node"]
    node["data_clients"]["REPLAY"]["config"]["speed"] = -1
    file.write_text(json.dumps({**plain, "node": node}))
    checked = cli("config", "check", file)
    assert checked.returncode == 1
    assert "node.data_clients.REPLAY.config.speed" in checked.stdout

    assert len(cli("config", "versions").stdout.splitlines()) == 4
    diff = cli("config", "diff", "2", "3").stdout
    assert "risk.max_exposure" in diff
    assert "raises a limit" in diff
    assert cli("config", "diff", "--json").returncode == 0


def test_emergency_stop_needs_no_server_and_is_cleared_by_a_trader(
    settings: Settings, cli: Cli, engine: EngineDirectory
) -> None:
    kill_server(settings)
    stopped = cli("emergency-stop", "--all", "--reason", "fire")

    assert stopped.returncode == 0, stopped.stderr
    assert "the gate is shut" in stopped.stdout
    assert "nothing is open" in stopped.stdout  # It has waited for that
    assert not is_served(settings)
    # The strategy goes on to order, in vain.
    wait_until(lambda: engine.is_settled and (o := engine.load_outcome()) is not None and not o.still_open)
    assert cli("status", "--check").returncode == 1
    again = json.loads(cli("emergency-stop", "--json").stdout)
    assert again["errors"] == {}
    assert again["outcomes"]["default"]["latch"]["reason"] == "fire"

    assert cli("clear", "--reason", "well").returncode == 2
    cleared = cli("clear", "--reason", "well", "--yes", "y")
    assert cleared.returncode == 0, cleared.stderr
    assert not engine.is_latched
    wait_until(lambda: read_state(engine) == "HALTED")


def test_engine_is_stopped(cli: Cli, engine: EngineDirectory) -> None:
    stopped = cli("stop", "--flatten", "--json")

    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout)["state"] == "STOPPED"
    assert not engine.is_held("host")
    assert cli("trading-state", "HALTED").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "--engine", "nobody"), "--engine nobody --preset sandbox-replay"),
        (("log", "--engine", "nobody"), "no engine 'nobody'"),
        (("status", "--engine", "nobody"), "no engine 'nobody'"),
        (("events", "--engine", "nobody"), "no engine 'nobody'"),
        (("emergency-stop", "--engine", "nobody"), "no engine"),
        (("emergency-stop", "--engine", "No Name"), "name of an engine"),
        (("config", "set"), "a file or a preset"),
        (("config", "set", "--preset", "sandbox-replay"), "catalog_path is missing"),
        (("config", "set", "--preset", "nothing"), "no preset"),
        (("config", "presets", "binance-live", "--set", "colour=red"), "no parameter"),
        (("trading-state", "CLOSED"), "CLOSED"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_input_exits_2_and_says_why(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli(*arguments)

    assert (result.returncode, words in result.stderr) == (2, True), result.stderr
    assert "Traceback" not in result.stderr


def test_presets_say_how_far_they_were_tried(cli: Cli) -> None:
    listed = cli("config", "presets").stdout
    made = json.loads(cli("config", "presets", "binance-testnet", "--set", "currency=USDC").stdout)

    assert "untested" in next(line for line in listed.splitlines() if "binance-live" in line)
    assert "untested" in next(line for line in listed.splitlines() if "interactive" in line)
    assert made["environment"] == "LIVE"
    assert made["node"]["exec_clients"]["BINANCE"]["config"]["api_secret"] == "env:BINANCE_TESTNET_API_SECRET"
    assert "4002" in cli("config", "presets", "interactive-brokers").stdout


def read_state(engine: EngineDirectory) -> str:
    heartbeat = engine.load_heartbeat()
    return "" if heartbeat is None else heartbeat.trading_state


def is_served(settings: Settings) -> bool:
    from workbench.client.local_server import LocalServer

    return LocalServer(settings).is_running()


def kill_server(settings: Settings) -> None:
    if is_served(settings):
        with connect(settings=settings) as client:
            os.kill(client.health()["pid"], signal.SIGKILL)
        wait_until(lambda: not is_served(settings))
