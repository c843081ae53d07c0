"""The form for a run against a real server with a real, small catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.tiny import ASK, BID, MARKER, build_catalog
from tests.client.conftest import end_server, make_settings
from workbench import build_risk_gate
from workbench.backtest.configuration import parse_run_config
from workbench.backtest.run import load_run
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.client.job import Job
from workbench.config import Settings
from workbench.errors import ConfigError, ServerError
from workbench.states import JobState
from workbench.ui.configuration import BacktestConfiguration

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"
PARAMETERS = "engine.strategies.0.config"
VOID = ("input", "br", "meta")
SIZED = (Path(__file__).parent.parent / "sizing" / "sized_strategies.py").read_text()


class Page(HTMLParser):
    """The elements of some HTML: (tag, attributes, text), with what does not nest as it should."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)
        assert [tag for tag, _ in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.elements.append((tag, {k: v or "" for k, v in attrs}, texts))
        if tag not in VOID and tag != "rect":
            self._open.append((tag, texts))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        if tag == "rect":
            return
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts.append(data)

    def find(self, **wanted: str) -> list[dict[str, str]]:
        """Return the attributes of elements with these, underscores for hyphens; ``text`` is what is inside."""
        wanted = {k.strip("_").replace("_", "-"): v for k, v in wanted.items()}
        return [
            {**attrs, "text": "".join(texts), "tag": tag}
            for tag, attrs, texts in self.elements
            if all(attrs.get(k) == v for k, v in wanted.items())
        ]

    def find_errors(self) -> dict[str, str]:
        """Return each wrong field with the words that it is described by."""
        errors = {}
        for attrs in self.find(aria_invalid="true"):
            [described] = self.find(id=attrs["aria-describedby"].split()[0])
            errors[attrs["data-key"]] = described["text"]
        return errors


class Form:
    """A form and somebody who uses it."""

    def __init__(self, client: Client, *args: Any, **options: Any) -> None:
        self.jobs: list[Job] = []
        self.component = BacktestConfiguration(client, *args, on_submitted=self.jobs.append, **options)
        self.widget: Any = self.component.widget
        self.sent: list[Any] = []
        self.widget.send = lambda content, buffers=None: self.sent.append((content, buffers))

    @property
    def page(self) -> Page:
        return Page(self.widget.html)

    @property
    def text(self) -> str:
        return " ".join(self.widget.html.split())

    def act(self, name: str, key: str = "", value: Any = None) -> None:
        self.widget._hear(None, {"type": "action", "name": name, "key": key, "value": value}, [])
        assert self.widget.problem == ""

    def set(self, key: str, value: Any) -> None:
        self.act("set", key, value)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = make_settings(tmp_path_factory.mktemp("form"))
    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    (settings.workspace / "strategies").mkdir()
    (settings.workspace / "strategies" / "mine.py").write_text(MARKER)
    (settings.workspace / "strategies" / "sized.py").write_text(SIZED)
    yield settings
    end_server(settings)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    with connect(settings=settings) as client:
        yield client


@pytest.fixture
def form(client: Client) -> Form:
    form = Form(client, EMA)
    form.set(f"{PARAMETERS}.trade_size", "100,000")
    return form


def test_first_view_is_filled_in_but_for_what_nobody_can_know(client: Client) -> None:
    form = Form(client, EMA)
    page = form.page
    config = form.component.config

    assert page.find_errors() == {}
    assert "still needed: Trade size" in form.text
    assert config["engine"]["strategies"][0]["config"] == {"instrument_id": "GBP/USD.SIM", "bar_type": BID}
    assert config["data"][0]["bar_types"] == [BID, ASK]
    assert [venue["name"] for venue in config["venues"]] == ["SIM"]
    assert "240 rows, 2012-02-01 to 2012-02-01" in form.text
    for tag in ("input", "select", "textarea"):
        for attrs in [
            a for t, a, _ in page.elements if t == tag and a.get("type") not in ("checkbox", "file")
        ]:
            assert page.find(for_=attrs["id"]) or attrs.get("aria-label"), attrs
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_valid_form_shows_what_the_run_takes(form: Form) -> None:
    assert form.page.find_errors() == {}
    assert "480 rows, trial 1 of this strategy on these data" in form.text
    assert " MB" in form.page.find(role="status")[0]["text"]
    assert form.component.config["engine"]["strategies"][0]["config"]["trade_size"] == "100000"


def test_three_wrong_fields_show_three_errors_and_stay_as_typed(form: Form) -> None:
    form.set(f"{PARAMETERS}.fast_ema_period", "abc")
    form.set(f"{PARAMETERS}.slow_ema_period", "0")
    form.set(f"{PARAMETERS}.trade_size", "1,5")
    errors = form.page.find_errors()
    assert set(errors) == {f"{PARAMETERS}.{n}" for n in ("fast_ema_period", "slow_ema_period", "trade_size")}
    assert "whole number" in errors[f"{PARAMETERS}.fast_ema_period"]
    assert "above 0" in errors[f"{PARAMETERS}.slow_ema_period"]
    [typed] = form.page.find(data_key=f"{PARAMETERS}.fast_ema_period")
    assert typed["value"] == "abc"
    assert "3 places need attention" in form.text

    form.act("run")
    assert form.jobs == []
    assert {"type": "focus", "selector": "[aria-invalid=true]"} in [content for content, _ in form.sent]

    for name, value in (("fast_ema_period", "10"), ("slow_ema_period", "20"), ("trade_size", "1000")):
        form.set(f"{PARAMETERS}.{name}", value)
    assert form.page.find_errors() == {}
    assert "trial 1 of" in form.text


def test_what_only_the_server_knows_is_shown_at_its_field(form: Form) -> None:
    form.set(f"{PARAMETERS}.bar_type", "nonsense")
    form.set("end", "2011-01-01")
    assert form.page.find(data_action="fold", aria_expanded="true") == []
    form.set(f"{PARAMETERS}.market_exit_interval_ms", "0")
    errors = form.page.find_errors()
    assert "bar type" in errors[f"{PARAMETERS}.bar_type"]
    assert "end" in errors
    assert [one["data-key"] for one in form.page.find(aria_expanded="true")] == ["more"]


def test_rule_between_fields_comes_from_the_strategy_itself(form: Form) -> None:
    form.set(f"{PARAMETERS}.fast_ema_period", "30")
    alerts = [one["text"] for one in form.page.find(role="alert")]
    assert any("fast_ema_period" in text and "must be less than" in text for text in alerts), alerts
    assert "1 place needs attention" in form.text
    form.set(f"{PARAMETERS}.slow_ema_period", "40")
    assert form.page.find(role="alert") == []


def test_empty_needed_field_is_an_error_once_somebody_wants_to_run(client: Client) -> None:
    form = Form(client, EMA)
    form.act("run")
    assert set(form.page.find_errors()) == {f"{PARAMETERS}.trade_size"}


def test_account_and_models_are_changed_and_nautilus_takes_them(form: Form) -> None:
    form.set("venues.0.starting_balances", "50,000 EUR")
    form.set("venues.0.default_leverage", "30")
    form.set("venues.0.oms_type", "HEDGING")
    form.set("venues.0.fill_model.config.prob_slippage", "0.5")
    form.set("venues.0.fill_model.config.random_seed", "")
    form.act("fold", "venues.0-models")
    form.set("venues.0.fee_model", "fixed")
    assert set(form.page.find_errors()) == set()
    assert "still needed: Fee" in form.text
    form.set("venues.0.fee_model.config.commission", "2.50 USD")
    form.set("venues.0.latency_model", "fixed")
    form.set("venues.0.latency_model.config.base_latency_nanos", "12.5")
    form.set("venues.0.liquidity_consumption", False)
    assert form.page.find_errors() == {}
    [venue] = parse_run_config(json.dumps(form.component.config)).venues
    assert (venue.base_currency, venue.oms_type, venue.default_leverage) == ("EUR", "HEDGING", 30.0)
    assert venue.fill_model.config["random_seed"] is None
    assert venue.fee_model.config == {"commission": "2.50 USD"}
    assert venue.latency_model.config["base_latency_nanos"] == 12_500_000
    assert venue.liquidity_consumption is False
    form.set("venues.0.fill_model", "nautilus")
    assert "every limit order that is touched" in form.text.lower()
    assert form.component.config["venues"][0]["fill_model"] is None


GATE = "engine.actors.0.config"


def test_risk_limits_are_set_shown_and_removed_again(form: Form) -> None:
    before = form.component.config
    assert "Risk limits: none" in form.text
    assert "The risk gate enforces the limits" in form.text
    form.act("fold", "limits")
    assert form.page.find(data_key=f"{GATE}.max_daily_loss")[0]["placeholder"] == "no limit"
    assert form.page.find(data_key=f"{GATE}.day_start") == []
    for name, text in (("max_daily_loss", "5,000"), ("max_drawdown", "5"), ("max_position.*", "100000")):
        form.set(f"{GATE}.{name}", text)
    form.set(f"{GATE}.day_start", "17:00")
    form.set(f"{GATE}.on_breach", "DENY")
    assert form.page.find_errors() == {}
    assert "rows, trial 1 of" in form.text  # The server takes them
    built = build_risk_gate(
        max_daily_loss="5000",
        max_drawdown="0.05",
        max_position={"*": "100000"},
        day_start="17:00",
        on_breach="DENY",
    )
    assert form.component.config["engine"]["actors"] == [json.loads(built.json())]
    assert "daily loss 5,000 USD" in form.component.build_html()
    assert form.page.find(data_key=f"{GATE}.max_drawdown")[0]["value"] == "5"
    labels = {one["for"]: one["text"] for one in form.page.find() if one["tag"] == "label" and "for" in one}
    [loss] = form.page.find(data_key=f"{GATE}.max_daily_loss")
    assert labels[loss["id"]] == "Daily loss, USD"
    [position] = form.page.find(data_key=f"{GATE}.max_position.*")
    assert labels[position["id"]] == "Position, GBP"
    for action in ("DENY", "CANCEL", "FLATTEN"):
        assert f"<b>{action}</b> no new risk" in form.text

    for name in ("max_daily_loss", "max_drawdown", "max_position.*"):
        form.set(f"{GATE}.{name}", "")
    assert form.component.config == before
    form.act("undo")
    assert form.component.config["engine"]["actors"][0]["config"]["max_position"] == {"*": "100000"}


def test_wrong_risk_limits_are_told_here_and_what_only_the_server_says_is_at_its_field(form: Form) -> None:
    config = form.component.config
    wrong = {
        "max_daily_loss": 5,
        "max_drawdown": "5",
        "day_zone": "Mars",
        "max_position": {"GBP/USD.SIM": "x"},
    }
    config["engine"]["actors"] = [
        {
            "actor_path": "workbench.gate.actor:RiskGate",
            "config_path": "workbench.gate.actor:RiskGateConfig",
            "config": wrong,
        }
    ]
    form.component.load_config(config)
    errors = form.page.find_errors()
    names = ("max_daily_loss", "max_drawdown", "day_zone", "max_position.GBP/USD.SIM")
    assert set(errors) == {f"{GATE}.{name}" for name in names}
    assert "expected text" in errors[f"{GATE}.max_daily_loss"]
    ids = [attrs["id"] for _, attrs, _ in form.page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [one["data-key"] for one in form.page.find(aria_expanded="true")] == ["limits"]
    for name, text in zip(names, ("5", "5", "UTC", "100"), strict=True):
        form.set(f"{GATE}.{name}", text)
    assert form.page.find_errors() == {}
    assert "trial 1 of" in form.text

    # What looks like a number here is none for the gate
    config["engine"]["actors"][0]["config"] = {"max_exposure": "1,000", "max_orders_per_sec": 5}
    form.component.load_config(config)
    errors = form.page.find_errors()
    assert set(errors) == {f"{GATE}.max_exposure"}
    assert "a decimal number in text" in errors[f"{GATE}.max_exposure"]
    config["engine"]["actors"][0]["config"] = {"max_position": {"GBP/USD.SIM": "1,000"}}
    form.component.load_config(config)
    assert set(form.page.find_errors()) == {f"{GATE}.max_position.GBP/USD.SIM"}

    config["engine"]["actors"][0]["config"] = {"max_position": "3"}
    form.component.load_config(config)
    [alert] = form.page.find(role="alert")
    assert (alert["class"], "max_position" in alert["text"]) == ("wb-error wide", True)  # Among the limits
    assert [one["data-key"] for one in form.page.find(aria_expanded="true")] == ["limits"]


def test_size_is_computed_once_into_the_parameter_of_the_strategy(form: Form) -> None:
    before = form.component.config
    [method] = form.page.find(data_key="sizing.method")
    assert method["tag"] == "select"

    form.set("sizing.method", "Percent of equity")
    assert "still needed: Of equity, %" in form.text
    assert form.component.config == before
    form.set("sizing.amount", "5")

    size = form.component.config["engine"]["strategies"][0]["config"]["trade_size"]
    price = Decimal(form.text.partition("50,000 USD at ")[2].partition(":")[0])
    assert size == str(50_000 // price)
    assert (
        f"5 % of 1,000,000 USD = 50,000 USD at {price}: <b>{int(size):,} GBP</b>, rounded down" in form.text
    )
    assert "Computed once, before the run: the strategy opens this quantity throughout." in form.text
    assert "Price: GBP/USD.SIM, the middle of bid and ask, the first of the run" in form.text
    assert json.dumps(form.component.config).count("PERCENT") == 0
    [shown] = form.page.find(data_key=f"{PARAMETERS}.trade_size")
    assert shown["value"] == f"{int(size):,}"

    form.set("venues.0.starting_balances", "2,000,000 USD")
    assert form.component.config["engine"]["strategies"][0]["config"]["trade_size"] == str(100_000 // price)

    form.set(f"{PARAMETERS}.trade_size", "70,000")
    assert form.page.find(data_key="sizing.amount") == []
    assert form.component.config["engine"]["strategies"][0]["config"]["trade_size"] == "70000"


def test_volatility_target_needs_bars_before_the_run_and_says_when_there_are_enough(form: Form) -> None:
    form.set("sizing.method", "Volatility target")
    form.set("sizing.amount", "10 %")
    form.set("sizing.periods_per_year", "362,880")

    errors = form.page.find_errors()
    assert list(errors) == ["sizing.method"]
    assert "volatility needs 21 bars before the run starts, and there are 0" in errors["sizing.method"]
    assert "252 days of 1,440" in form.text
    form.act("run")
    assert form.jobs == []

    form.set("start", "2012-02-01 00:22:00")
    assert form.page.find_errors() == {}
    assert "÷" in form.text
    assert f"21 bars of {BID} before the run" in form.text
    form.set("sizing.lookback", "1")
    assert "2 to 100000" in form.page.find_errors()["sizing.lookback"]


def test_undone_or_loaded_configuration_is_sized_by_hand_again(form: Form) -> None:
    before = form.component.config
    form.set("sizing.method", "Fixed notional")
    form.set("sizing.amount", "10,000")
    assert form.component.config != before

    form.act("undo")

    assert form.component.config == before
    assert form.page.find(data_key="sizing.amount") == []


def test_strategy_with_a_sizing_of_its_own_is_filled_in_and_runs(form: Form, settings: Settings) -> None:
    form.act("strategy", value="sized.py:Swing")
    place = f"{PARAMETERS}.sizing"
    assert form.page.find(data_key="sizing.method") == []
    assert "still needed: Method" in form.text

    form.set(f"{place}.method", "Fixed notional")
    form.set(f"{place}.amount", "150,000")
    assert "at the price then" in form.text
    form.set(f"{place}.method", "Percent of equity")
    assert "still needed: Of equity, %" in form.text  # It would be 150,000 % otherwise
    form.set(f"{place}.amount", "0")
    assert "above 0" in form.page.find_errors()[f"{place}.amount"]
    form.set(f"{place}.amount", "25")
    assert form.component.config["engine"]["strategies"][0]["config"]["sizing"] == {
        "method": "PERCENT_OF_EQUITY",
        "amount": "25",
    }
    assert form.page.find_errors() == {}
    form.act("run")

    [job] = form.jobs
    assert job.wait(timeout_secs=60).state == JobState.COMPLETED
    orders = load_run(settings.runs / job.id).load_table("orders")
    quantities = [Decimal(str(quantity)) for quantity in orders["quantity"]]
    assert len(set(quantities)) > 3
    assert all(160_000 < quantity < 170_000 for quantity in quantities)


def test_sizing_that_may_be_nothing_is_taken_out_again(form: Form) -> None:
    form.act("strategy", value="sized.py:Stack")
    place = f"{PARAMETERS}.sizing"

    form.set(f"{place}.method", "Fixed quantity")
    form.set(f"{place}.amount", "7")
    assert form.component.config["engine"]["strategies"][0]["config"]["sizing"]["amount"] == "7"
    form.set(f"{place}.method", "")

    assert form.component.config["engine"]["strategies"][0]["config"]["sizing"] is None
    assert "No rule" in form.text


def test_strategy_without_a_size_says_so(form: Form) -> None:
    form.act("strategy", value="mine.py:Marker")

    assert "This strategy has no size parameter." in form.text


def test_start_button_says_its_shortcut(form: Form) -> None:
    [button] = form.page.find(data_shortcut="ctrl+enter")

    assert button["data-action"] == "run"
    assert "Ctrl+Enter" in button["title"]


def test_range_is_chosen_by_fields_buttons_and_handles(form: Form) -> None:
    form.set("start", "2012-02-01 02:00")
    assert form.component.config["start"] == "2012-02-01T02:00:00Z"
    assert "242 rows" in form.text
    form.act("slide", "end", "120")
    end = form.component.config["end"]
    assert end in ("2012-02-01T02:00:00Z", "2012-02-01T02:01:00Z")
    form.act("preset", "all")
    assert (form.component.config["start"], form.component.config["end"]) == (None, None)
    form.act("undo")
    assert form.component.config["end"] == end


def test_data_are_left_out_and_added_again(form: Form) -> None:
    form.act("unpick", "1")
    assert form.component.config["data"][0]["bar_types"] == [BID]
    assert "No ASK prices" in form.text
    [button] = [b for b in form.page.find(data_action="add") if b["tag"] == "button"]
    form.act("add", button["data-key"])
    assert form.component.config["data"][0]["bar_types"] == [BID, ASK]
    ask = next(d["id"] for d in form.component._state.datasets or [] if d["identifier"] == ASK)
    form.act("pick", "data", ask)
    config = form.component.config
    assert config["data"][0]["bar_types"] == [ASK, BID]
    assert config["engine"]["strategies"][0]["config"]["bar_type"] == ASK


def test_strategies_of_workspace_and_nautilus_are_listed_and_chosen(form: Form) -> None:
    values = {attrs["value"] for attrs in form.page.find() if attrs["tag"] == "option"}
    assert {EMA, "mine.py:Marker"} <= values
    form.act("strategy", "strategy", "mine.py:Marker")
    assert form.component.config["engine"]["strategies"][0]["strategy_path"].endswith(":Marker")
    assert [f["value"] for f in form.page.find(data_key=f"{PARAMETERS}.every")] == ["50"]
    assert form.page.find_errors() == {}
    form.act("undo")
    assert form.component.config["engine"]["strategies"][0]["config"]["trade_size"] == "100000"


def test_import_path_that_leads_nowhere_is_an_error_at_its_field(form: Form) -> None:
    form.act("strategy", "strategy", "…")
    form.set("strategy-path", "nowhere:Strategy")
    assert "strategy-path" in form.page.find_errors()
    [typed] = form.page.find(data_key="strategy-path")
    assert typed["value"] == "nowhere:Strategy"
    form.set("strategy-path", "nautilus_trader.examples.strategies.ema_cross_bracket:EMACrossBracket")
    assert form.page.find_errors() == {}
    assert form.page.find(data_key=f"{PARAMETERS}.bracket_distance_atr")


def test_class_of_this_process_runs(client: Client, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(MARKER)
    form = Form(client, f"{path}:Marker", name="own")
    form.set(f"{PARAMETERS}.mark", "x")
    assert form.page.find_errors() == {}
    form.act("run")
    [job] = form.jobs
    assert job.wait(120).state == JobState.COMPLETED, job.record.failure
    run = load_run(settings.runs / job.id)
    assert run.record.name == "own"
    assert "Queued as own" in form.text
    prices = job.load_prices("GBP/USD.SIM", points=1)
    assert prices["volume"].to_list() == [Decimal(240_000_000)]
    assert prices.attrs["volume_is_traded"] is False

    clone = BacktestConfiguration.from_job(client.job(job.id), client=client)
    assert clone.config["engine"]["strategies"][0]["config"]["mark"] == "x"
    assert "Marker" in clone.build_html()
    assert "trial 2 of" in form.text


def test_json_is_edited_applied_and_undone_and_nothing_is_lost(form: Form) -> None:
    before = form.component.config
    form.act("json")
    [area] = [one for one in form.page.find() if one["tag"] == "textarea"]
    assert json.loads(area["text"]) == before

    form.act("json-edit", "", '{"venues": [}')
    form.act("json-apply")
    [area] = form.page.find(aria_invalid="true")
    assert area["text"].strip() == '{"venues": [}'
    assert "line 1, column 13" in form.text

    changed = json.loads(json.dumps(before))
    changed["engine"]["strategies"][0]["config"]["fast_ema_period"] = "ten"
    changed["engine"]["logging"] = {"log_level": "ERROR"}
    changed["chunk_size"] = "many"
    form.act("json-edit", "", json.dumps(changed))
    form.act("json-apply")
    assert form.component.config == changed
    assert set(form.page.find_errors()) == {f"{PARAMETERS}.fast_ema_period"}
    assert "chunk_size" in form.page.find(role="alert")[0]["text"]
    form.set(f"{PARAMETERS}.fast_ema_period", "5")
    assert form.component.config["engine"]["logging"] == {"log_level": "ERROR"}
    form.act("undo")
    form.act("undo")
    assert form.component.config == before
    assert form.page.find_errors() == {}


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "", "{"])
def test_file_that_is_no_configuration_changes_nothing(form: Form, text: str) -> None:
    before = form.component.config
    form.act("load", "a.json", text)
    assert form.component.config == before
    assert form.page.find(aria_invalid="true")
    with pytest.raises(ConfigError):
        form.component.load_config(text)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"venues": "x", "data": 3, "engine": []},
        {"venues": [1], "data": [{"bar_types": [BID]}], "engine": {"strategies": [None]}},
        {"engine": {"strategies": [{"strategy_path": 3}]}},
        {"engine": {"strategies": [{"strategy_path": "a:B", "config": []}]}, "data": [{}], "venues": [{}]},
    ],
)
def test_configuration_of_any_shape_is_shown_and_can_be_mended(form: Form, config: dict[str, Any]) -> None:
    form.component.load_config(config)
    assert form.component.config == config
    assert isinstance(form.page, Page)
    form.act("strategy", "strategy", EMA)
    form.act("pick", "data", (form.component._state.datasets or [])[0]["id"])
    form.set(f"{PARAMETERS}.trade_size", "1000")
    assert form.component.config["engine"]["strategies"][0]["strategy_path"] == EMA


def test_configuration_is_saved_and_loaded_again(form: Form) -> None:
    form.act("name", "name", "my first run")
    form.act("save")
    [(content, buffers)] = form.sent
    assert content["name"] == "my-first-run.json"
    form.set(f"{PARAMETERS}.trade_size", "7")
    form.act("load", "my-first-run.json", buffers[0].decode())
    assert form.component.config["engine"]["strategies"][0]["config"]["trade_size"] == "100000"


def test_sealed_range_is_said_and_used_only_on_purpose(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)  # The seal would stand in the way of other tests
    settings.catalog.parent.mkdir()
    build_catalog(settings.catalog)
    try:
        with connect(settings=settings) as client:
            form = Form(client, EMA)
            form.set(f"{PARAMETERS}.trade_size", "100,000")
            preview = client.preview(form.component.config)
            client.seal_holdout(preview["dataset"], "2012-02-01T03:00:00Z", "2012-02-01T04:00:00Z")
            form.set(f"{PARAMETERS}.fast_ema_period", "9")
            assert "never used yet" in form.text
            [button] = form.page.find(data_action="run")
            assert button["data-key"] == "sealed"
            assert button["data-confirm"]
            form.act("before-holdout")
            assert form.page.find(data_action="run")[0]["data-key"] == ""
            assert form.component.config["end"] == "2012-02-01T02:59:59.999999999Z"
            form.act("undo")
            form.act("run", "sealed")
            [job] = form.jobs
            assert job.wait(120).state == JobState.COMPLETED, job.record.failure
            assert [h.uses for h in client.holdouts()] == [1]
    finally:
        end_server(settings)


def test_sweep_is_offered_only_where_somebody_takes_it(client: Client) -> None:
    assert Form(client, EMA).page.find(data_action="sweep") == []
    taken: list[Any] = []
    form = Form(client, EMA, on_sweep=taken.append)
    form.act("sweep")
    assert taken == [form.component.config]


def test_static_form_is_a_table_without_controls(form: Form) -> None:
    form.set("start", "2012-02-01 02:00")
    html = form.component.build_html()
    assert Page(html).find(data_action="run") == []
    for text in ("EMACross", "trade_size 100000", "MARGIN, NETTING", "From, UTC", "2012-02-01 02:00"):
        assert text in html


def test_words_of_others_are_escaped(client: Client, form: Form) -> None:
    evil = "<img src=x onerror=alert(1)>'\""
    config = form.component.config
    config["venues"][0]["name"] = evil
    config["engine"]["strategies"][0]["config"]["fast_ema_period"] = evil
    config["data"][0]["bar_types"].append(evil)
    form.component.load_config(config)
    form.act("name", "name", evil)
    assert "<img" not in form.widget.html
    assert "<img" not in form.component.build_html()
    assert isinstance(form.page, Page)


def test_workspace_without_data_says_how_to_import(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    try:
        with connect(settings=settings) as client:
            form = Form(client)
            assert "workbench data import" in form.text
            settings.catalog.parent.mkdir(exist_ok=True)
            build_catalog(settings.catalog)
            form.act("retry")
            assert "GBP/USD.SIM 1-MINUTE-BID" in form.text
            assert "still needed: a strategy" in form.text
    finally:
        end_server(settings)


def test_lost_server_is_said_and_asked_again(
    client: Client, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ServerError("the server cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(client, "preview", fail)
        form.set(f"{PARAMETERS}.fast_ema_period", "7")
        assert "The server does not answer" in form.text
        assert form.page.find(data_action="retry")
        patch.setattr(client, "strategies", fail)
        form.act("retry")
        assert "The server does not answer" in form.text
    form.act("retry")
    assert "does not answer" not in form.text
    assert form.component.config["engine"]["strategies"][0]["config"]["fast_ema_period"] == 7
    assert "rows, trial" in form.text
