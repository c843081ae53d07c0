"""The client against a real server: what is asked, and what comes back."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from tests.client.conftest import build_config, make_settings
from workbench.backtest.run import load_run
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.config import Settings
from workbench.errors import (
    ConfigError,
    ConflictError,
    ExistsError,
    ForbiddenError,
    InputError,
    NotFoundError,
)
from workbench.jobs.worker import Limits
from workbench.records import EquityTrace
from workbench.roles import Role
from workbench.sizing import Sizing, SizingMethod
from workbench.states import JobState

OWN = """
from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class SlowConfig(StrategyConfig, frozen=True):
    size: int = 1


class Slow(Strategy):
    pass
"""


def test_backtest_comes_back_as_it_lies_in_its_directory(client: Client, stocked: Settings) -> None:
    job = client.submit_backtest(
        build_config(stocked, pause_secs=0.0), name="first", limits=Limits(stall_secs=60)
    )
    assert job.client is client
    assert job.wait(120) is job
    assert job.state == JobState.COMPLETED, job.record.failure
    job.raise_for_failure()

    run = load_run(stocked.runs / job.id)
    assert run.record.name == job.record.name == "first"
    assert job.load_manifest() == run.record
    assert job.metrics == run.metrics
    for name in ("equity", "orders", "fills", "accounts"):
        pd.testing.assert_frame_equal(job.load_table(name), run.load_table(name))
    assert job.record.identity == run.record.identity.run  # type: ignore[union-attr]
    assert [one.id for one in client.jobs(text="first", state=[JobState.COMPLETED])] == [job.id]
    assert client.job(job.id).record.state == JobState.COMPLETED
    with pytest.raises(InputError):
        job.load_table("nonsense/../metrics")


@pytest.mark.parametrize("form", ["text", "dict"])
def test_config_in_other_forms_is_the_same(client: Client, stocked: Settings, form: str) -> None:
    text = build_config(stocked, pause_secs=0.0).json()

    preview = client.preview(text if form == "text" else json.loads(text))

    assert preview == client.preview(build_config(stocked, pause_secs=0.0))
    assert preview["rows"] == 480


def test_size_is_computed_for_a_sizing_in_any_form(client: Client, stocked: Settings) -> None:
    config = build_config(stocked)
    sizing = Sizing(method=SizingMethod.PERCENT_OF_EQUITY, amount=Decimal("2.5"))
    before = client.list_jobs().total

    answer = client.size_backtest(config, sizing)

    assert answer["quantity"] == str(25_000 // Decimal(answer["price"]))
    assert client.size_backtest(config.json(), {"method": "PERCENT_OF_EQUITY", "amount": "2.5"}) == answer
    assert client.list_jobs().total == before
    with pytest.raises(InputError) as caught:
        client.size_backtest(config, {"method": "PERCENT_OF_EQUITY", "amount": "half"})
    assert caught.value.field == "sizing.amount"


def test_wrong_config_comes_back_as_the_error_with_its_field(client: Client, stocked: Settings) -> None:
    before = client.list_jobs().total

    with pytest.raises(InputError) as caught:
        client.submit_backtest(
            build_config(stocked), overrides={"engine.strategies.0.config.pause_secs": "long"}
        )

    assert "pause_secs" in str(caught.value) + caught.value.field
    assert client.list_jobs().total == before


def test_relative_catalog_is_the_one_that_the_caller_sees(
    client: Client, stocked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = json.loads(build_config(stocked).json())
    plain["data"][0]["catalog_path"] = "default"
    monkeypatch.chdir(stocked.catalog.parent)

    assert client.preview(plain)["rows"] == 480


def test_strategy_of_a_module_beside_the_caller_is_found(
    client: Client, stocked: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_module_of_mine.py").write_text(OWN)
    plain = json.loads(build_config(stocked).json())
    plain["engine"]["strategies"] = [
        {
            "strategy_path": "own_module_of_mine:Slow",
            "config_path": "own_module_of_mine:SlowConfig",
            "config": {"size": 2},
        }
    ]
    with pytest.raises(NotFoundError):
        client.preview(plain)
    monkeypatch.chdir(tmp_path)

    assert client.preview(plain)["rows"] == 480


def test_run_is_paused_looked_into_resumed_and_cancelled(client: Client, stocked: Settings) -> None:
    job = client.submit_backtest(build_config(stocked))
    with pytest.raises(TimeoutError):
        job.wait(0.01)
    stages = []
    for message in client.events(timeout_secs=60):
        if message["type"] == "progress" and message["job_id"] == job.id:
            stages.append(message["progress"]["stage"])
            if message["progress"].get("events"):
                break
    assert stages

    job.pause()
    states = (
        m["job"]["state"]
        for m in client.events(after=0, timeout_secs=60)
        if m["type"] == "job" and m["job"]["id"] == job.id
    )
    assert "PAUSED" in states
    held = job.inspect()
    assert held.simulated_ts_ns > 0
    assert held.accounts
    job.resume()
    job.cancel()
    job.wait(60)

    assert job.state == JobState.CANCELLED
    assert 0 < load_run(stocked.runs / job.id).record.events < 480
    with pytest.raises(ConflictError):
        job.pause()
    with pytest.raises(ConflictError):
        job.inspect()

    again = job.requeue()
    assert again.id != job.id
    assert again.record.requeued_from == job.id
    again.cancel()
    assert again.wait(60).record.state == JobState.CANCELLED


def test_failed_run_raises_with_its_traceback(client: Client, stocked: Settings) -> None:
    source = OWN.replace("    pass", "    def on_start(self):\n        raise ValueError('no luck')")
    job = client.submit_backtest(build_config(stocked, source)).wait(120)

    assert job.record.state == JobState.FAILED
    with pytest.raises(Exception, match="no luck") as caught:
        job.raise_for_failure()
    assert "in on_start" in str(caught.value)
    assert f"workbench jobs requeue {job.id}" in str(caught.value)


def test_progress_is_told_while_waiting(client: Client, stocked: Settings) -> None:
    seen = []
    job = client.submit_backtest(build_config(stocked, pause_secs=0.01))

    job.wait(120, on_progress=seen.append)

    fractions = [p.fraction for p in seen if p.stage == "run"]
    assert len(fractions) > 1
    assert fractions == sorted(fractions)
    assert {p.currency for p in seen if p.equity is not None} == {"USD"}


def test_trace_of_a_run_is_there_while_it_works(client: Client, stocked: Settings) -> None:
    job = client.submit_backtest(build_config(stocked))
    deadline = time.monotonic() + 60
    while not job.load_trace().points:
        assert not job.state.is_finished, job.record.failure
        assert time.monotonic() < deadline
    trace = job.load_trace()
    assert trace.currency
    assert all(Decimal(equity) > 0 and ts_ns > 0 for ts_ns, equity in trace.points)
    job.cancel()
    job.wait(60)

    assert job.load_trace() == EquityTrace()


def test_unknown_job_is_not_found(client: Client) -> None:
    for name in ("20120101-000000-abcdef", "..", "a/b", "%2e%2e"):
        with pytest.raises(NotFoundError):
            client.job(name)


def test_unknown_column_to_sort_by_names_the_known_ones(client: Client) -> None:
    with pytest.raises(InputError, match="sharpe"):
        client.jobs(sort="-colour")


def test_schema_of_a_strategy_describes_its_config(client: Client) -> None:
    path = "nautilus_trader.examples.strategies.ema_cross:EMACross"

    found = client.strategy_schema(path)

    assert found["config_path"].endswith(":EMACrossConfig")
    assert "fast_ema_period" in json.dumps(found["schema"])


def test_users_are_added_changed_and_given_tokens(client: Client, tmp_path: Path) -> None:
    made = client.add_user("ada", Role.VIEWER)
    assert made.role == Role.VIEWER
    with pytest.raises(ExistsError):
        client.add_user("ada", Role.ADMIN)
    token = tmp_path / "token"
    token.write_text(client.add_token("ada", label="laptop", expires_days=7))
    (record,) = client.tokens("ada")
    assert record.label == "laptop"

    with connect(settings=make_settings(tmp_path, server=client.url, token_file=token)) as ada:
        assert ada.whoami()["name"] == "ada"
        assert ada.resources() is not None
        with pytest.raises(ForbiddenError):
            ada.submit_backtest({"data": [], "venues": []})
        with pytest.raises(ForbiddenError):
            next(iter(ada.users()))
        assert client.update_user("ada", is_active=False).is_active is False
        with pytest.raises(InputError):
            ada.jobs()
        client.update_user("ada", is_active=True)
        ada.jobs()
        client.revoke_token("ada", record.id)
        with pytest.raises(InputError):
            ada.jobs()
    assert "ada" in [user.name for user in client.users()]


def test_reindex_finds_what_is_there(client: Client) -> None:
    counts = client.reindex()

    assert counts
    assert msgspec.json.encode(counts)


def test_sweep_runs_its_trials_and_tells_what_the_best_is_worth(client: Client, stocked: Settings) -> None:
    pause = "engine.strategies.0.config.pause_secs"
    search = {"space": {"kind": "grid", "grid": {pause: [0.0, 0.001]}}, "objective": "total_return"}

    job = client.submit_sweep(build_config(stocked), search, name="two").wait(timeout_secs=60)

    found = client.sweep(job.id)
    assert job.state == "COMPLETED"
    assert sorted(t["point"][pause] for t in found["trials"]) == [0.0, 0.001]
    assert {j.id for j in client.jobs(parent_id=job.id)} == {t["job_id"] for t in found["trials"]}
    assert found["trials_of_lineage"] >= 2
    assert found["statistics"]["deflated_sharpe"]["reason"], "these trials do not trade"


def test_sealed_holdout_refuses_a_run_until_it_says_so(client: Client, stocked: Settings) -> None:
    config = build_config(stocked, pause_secs=0.0)
    preview = client.preview(config)
    sealed = client.seal_holdout(preview["dataset"], preview["end"], preview["end"])
    try:
        with pytest.raises(ConfigError) as caught:
            client.submit_backtest(config)
        used = client.submit_backtest(config, use_holdout=True).wait(timeout_secs=60)

        assert caught.value.field == "config.end"
        assert used.state == "COMPLETED"
        assert [(h.dataset, h.start, h.uses) for h in client.holdouts()] == [
            (sealed.dataset, sealed.start, 1)
        ]
    finally:
        client.transport.fetch("DELETE", "holdouts", params={"dataset": sealed.dataset})
