from __future__ import annotations

from workbench.ui.report import RunView
from workbench.ui.run_facts import describe_assumptions, describe_run, describe_title


def test_describe_title_names_strategy_and_instrument(run: RunView) -> None:
    assert describe_title(run.config) == "EMACross GBP/USD.SIM"
    assert describe_title({}) == "Backtest"


def test_describe_assumptions_names_models_and_what_is_default(run: RunView) -> None:
    facts = describe_assumptions(run.config)
    assert facts["SIM fills"] == "FillModel prob_slippage 0.5"
    assert facts["SIM fees"].startswith("nautilus's default")
    assert facts["SIM account"] == "MARGIN, HEDGING, starts with 1000000 USD"
    assert facts["Data"] == "Bar GBP/USD.SIM 1-MINUTE-BID"


def test_describe_assumptions_two_of_a_kind_are_both_kept(run: RunView) -> None:
    config = {**run.config, "data": run.config["data"] * 2}
    assert {"Data", "Data (2)"} <= set(describe_assumptions(config))


def test_describe_run_has_versions_counts_and_hashes(run: RunView) -> None:
    facts = describe_run(run.manifest)
    assert facts["nautilus_trader"] == "1.231.0"
    assert facts["Simulated, UTC"] == "2012-02-01 00:00 to 2012-03-01 00:00"
    assert facts["Hash of run"].startswith("a91f3c")
    assert describe_run({}) == {}
