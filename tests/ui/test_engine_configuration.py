"""The form for an engine's configuration against a real server, with a real, small catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.jobs.walks import wait_until
from tests.live.engines import INSTRUMENT, build_catalog
from tests.ui.engine_desks import running_host
from tests.ui.walking import Page, Walks
from workbench.client.client import Client
from workbench.engine_records import ConfigVersion
from workbench.ui import EngineConfiguration
from workbench.ui.engine_feed import EngineFeed
from workbench.ui.live_html import Action

EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"
REPLAY = "node.data_clients.REPLAY.config"


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    folder = tmp_path_factory.mktemp("configuration")
    walks = Walks(folder)
    build_catalog(walks.serving.settings.catalog, count=100)
    yield walks
    walks.stop()


class Form:
    """A form and somebody who uses it."""

    def __init__(self, client: Client, name: str) -> None:
        self.engine = client.engine(name)
        self.piece = EngineConfiguration(client, name)
        self.widget: Any = self.piece.widget
        self.sent: list[Any] = []
        self.widget.send = lambda content, buffers=None: self.sent.append(content)

    @property
    def html(self) -> str:
        return str(self.widget.html)

    @property
    def page(self) -> Page:
        return Page(self.html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(e.text for e in self.page.elements if not e.parents).split())

    def act(self, name: str, key: str = "", value: Any = None) -> None:
        self.piece._on_action(Action(name, key, value))

    def set(self, key: str, value: Any) -> None:
        self.act("set", key, value)

    def begin(self, preset: str, **answers: str) -> None:
        self.act("preset", preset)
        for name, value in answers.items():
            self.set(f"preset.{name}", value)
        self.act("begin")

    def find_errors(self) -> dict[str, str]:
        """Return each wrong field with the words that it is described by."""
        page = self.page
        return {
            str(e.attributes["data-key"]): page.find(id=str(e.attributes["aria-describedby"]).split()[0])[
                0
            ].text
            for e in page.find(aria_invalid="true")
        }

    def versions(self) -> list[ConfigVersion]:
        return self.piece._enquiry.list_versions()


def begin(form: Form) -> None:
    """Save a first version, made of the preset for a replay."""
    form.begin("sandbox-replay")
    form.act("save")
    assert len(form.versions()) == 1, form.text


@pytest.fixture
def client(walks: Walks) -> Iterator[Client]:
    with walks.connect("trader") as client:
        yield client


@pytest.fixture
def form(client: Client, request: pytest.FixtureRequest) -> Iterator[Form]:
    form = Form(client, request.node.name.removeprefix("test_")[:40])
    yield form
    form.piece.close()
    EngineFeed.of(client, form.engine.name).close()


def test_engine_that_does_not_exist_begins_with_a_preset(form: Form) -> None:
    cards = {e.attributes["aria-label"]: e.text for e in form.page.has_class("wb-preset")}
    assert len(cards) == 5
    assert "TESTED" in cards["Sandbox, fed by a replay of the catalog"]
    assert "UNTESTED" in cards["Binance Spot"]
    assert "Never run against the venue" in cards["Binance Spot"]

    form.act("preset", "sandbox-replay")
    answers = {e.attributes.get("data-key"): e.attributes.get("value") for e in form.page.find("input")}
    assert answers["preset.venue"] == "SIM"
    assert answers["preset.quotes"] == INSTRUMENT
    form.set("preset.venue", "")
    form.set("preset.speed", "fast")
    form.act("begin")
    assert set(form.find_errors()) == {"preset.venue"}
    form.set("preset.venue", "SIM")
    form.set("preset.speed", "5")
    form.act("begin")
    assert form.versions() == []
    assert "unsaved" in form.text
    assert form.page.find(data_key=f"{REPLAY}.speed")[0].attributes["value"] == "5"

    form.act("check")
    assert "Everything that can be known before a start" in form.text
    form.act("save")
    assert "Saved as version 1" in form.text
    (version,) = form.versions()
    assert (version.by, version.comment) == ("trader", "from the preset sandbox-replay")
    assert "nothing to save" in form.text


def test_every_input_has_a_label_and_an_id_of_its_own(form: Form) -> None:
    begin(form)
    form.act("redis", "redis", True)
    for key in ("stop", "restart", "health", "node", "node.data_clients.REPLAY.more"):
        form.act("fold", key)

    page = form.page
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for tag in ("input", "select", "textarea"):
        for element in page.find(tag):
            own = element.attributes
            is_inside = any(parent.tag == "label" for parent in element.parents)
            assert is_inside or own.get("aria-label") or page.find("label", for_=str(own["id"])), own


def test_wrong_fields_are_all_shown_and_nothing_is_saved(form: Form) -> None:
    begin(form)
    form.set("currency", "us dollars")
    form.set("health.max_errors", "many")
    form.set(f"{REPLAY}.speed", "-1")
    form.set("risk.max_exposure", "much")

    assert set(form.find_errors()) == {
        "currency", "health.max_errors", f"{REPLAY}.speed", "risk.max_exposure",
    }  # fmt: skip
    assert "4 places need attention" in form.text
    form.act("save")
    assert len(form.versions()) == 1
    assert {"type": "focus", "selector": "[aria-invalid=true]"} in form.sent
    for _ in range(4):
        form.act("undo")
    assert form.find_errors() == {}


def test_what_only_the_server_knows_is_shown_at_its_field(form: Form) -> None:
    begin(form)
    form.set("node.trader_id", "no hyphen")
    form.set(f"{REPLAY}.start", "yesterday-ish")
    form.act("add", "strategies", EMA)
    strategy = "node.strategies.0.config"
    form.set(f"{strategy}.instrument_id", "nonsense")
    form.set(f"{strategy}.bar_type", "nonsense")
    form.set(f"{strategy}.trade_size", "1")
    form.act("save")

    assert {f"{strategy}.instrument_id", f"{strategy}.bar_type"} <= set(form.find_errors())
    assert len(form.versions()) == 1
    form.set(f"{strategy}.instrument_id", INSTRUMENT)
    form.set(f"{strategy}.bar_type", f"{INSTRUMENT}-1-MINUTE-BID-INTERNAL")
    form.act("save")
    assert set(form.find_errors()) == {"node.trader_id"}
    form.set("node.trader_id", "TRADER-001")
    form.act("save")
    assert len(form.versions()) == 2
    assert form.versions()[0].config["node"]["strategies"][0]["config"]["order_id_tag"] == "001"


def test_check_tells_of_credentials_and_never_of_a_secret(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    form.begin("binance-live")
    form.act("check")
    assert "the environment has no BINANCE_API_KEY" in form.text
    assert "CONFIG ONLY" in form.text

    place = "node.exec_clients.BINANCE.config.api_secret"
    before = form.page.find(data_key=place)[0].attributes["id"]
    form.set(place, "hush-hush-hush")
    assert "hush" not in form.html
    assert form.page.find(data_key=place)[0].attributes["id"] != before
    assert "not kept" in form.find_errors()[place]
    form.act("load", "", json.dumps({"node": {"exec_clients": {"B": {"config": {"api_key": "hush"}}}}}))
    assert "hush" not in form.html
    form.act("save")
    assert form.versions() == []


def test_live_save_shows_what_will_change_and_takes_the_typed_word(form: Form) -> None:
    begin(form)
    form.set("environment", "LIVE")
    form.set("risk.max_drawdown", "5")
    form.act("save")

    assert "the engine becomes LIVE" in form.text
    assert "environment: SANDBOX becomes LIVE" in form.text
    assert "disabled" in form.page.find(id="wb-ask-yes")[0].attributes
    form.act("answer", "yes")
    assert len(form.versions()) == 1
    form.act("word", "", form.engine.name)
    form.act("answer", "yes")
    assert len(form.versions()) == 2
    assert form.versions()[0].config["environment"] == "LIVE"
    assert form.page.find(id="wb-ask-yes") == []


def test_two_people_edit_and_nothing_is_lost(form: Form) -> None:
    begin(form)
    form.set("risk.max_exposure", "1,000")
    theirs = {**form.versions()[0].config, "currency": "EUR", "risk": {"max_drawdown": "0.05"}}
    form.engine.set_config(theirs, comment="theirs")

    form.act("save")
    assert "trader has saved version 2 meanwhile" in form.text
    assert form.versions()[0].comment == "theirs"
    form.act("merge")
    form.act("save")
    last = form.versions()[0]
    assert last.version == 3
    assert last.config["currency"] == "EUR"
    assert last.config["risk"] == {"max_drawdown": "0.05", "max_exposure": "1000"}


def test_old_version_is_compared_and_comes_back_as_a_new_one(form: Form) -> None:
    begin(form)
    form.set("currency", "EUR")
    form.act("save")
    form.act("compare", "1-2")
    (diff,) = form.page.has_class("wb-diff")
    assert "currencyUSD EUR" in diff.text
    form.act("restore", "1")
    assert [e.field for e in form.piece._state.edits] == ["currency"]
    form.act("save")
    assert [v.comment for v in form.versions()] == ["version 1 again", "", "from the preset sandbox-replay"]
    assert form.versions()[0].config == form.versions()[2].config


def test_json_goes_out_and_comes_in(form: Form) -> None:
    begin(form)
    form.act("json")
    (area,) = form.page.find("textarea")
    assert json.loads(area.text) == form.versions()[0].config
    form.act("json-edit", "", "{ no")
    form.act("json-apply")
    assert "this is not JSON" in form.text
    assert form.page.find("textarea")[0].text.strip() == "{ no"
    form.act("json-edit", "", area.text.replace("USD", "EUR"))
    form.act("json-apply")
    assert form.page.find("textarea") == []
    assert "unsaved edit" in form.text
    form.act("discard")
    assert "nothing to save" in form.text
    form.act("export")
    assert [m["name"] for m in form.sent if m.get("type") == "download"] == [f"{form.engine.name}-1.json"]


def test_clients_are_added_by_name_and_by_import_path(form: Form) -> None:
    begin(form)
    form.act("add", "data_clients", "nautilus_trader.adapters.bybit.config:BybitDataClientConfig")
    assert "UNTESTED" in form.text
    form.act("add", "exec_clients", "…")
    form.act("add-path", "exec_clients")
    assert "needs a name" in form.text
    given = {
        "name": "ONE",
        "path": "nautilus_trader.adapters.sandbox.config:SandboxExecutionClientConfig",
        "factory": "nautilus_trader.adapters.sandbox.factory:SandboxLiveExecClientFactory",
    }
    for key, value in given.items():
        form.act("add-text", f"add.exec_clients.{key}", value)
    form.act("add-path", "exec_clients")
    assert form.page.find(data_key="node.exec_clients.ONE.config.starting_balances")
    form.act("remove", "node.exec_clients.ONE")
    form.act("remove", "node.data_clients.BYBIT")
    assert "nothing to save" in form.text


def test_running_engine_is_offered_a_restart(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect("trader") as client:
        form = Form(client, "default")
        try:
            wait_until(lambda: "RUNS" in form.html)
            form.set("currency", "EUR")
            form.act("save")
            assert "The engine runs version 1 until it is started again" in form.text
            form.act("restart")
            wait_until(lambda: "Restarted" in form.html)
            desired = host.directory.load_desired()
            assert desired is not None
            assert desired.config_version == 2
        finally:
            form.piece.close()
            EngineFeed.of(client).close()


def test_viewer_may_look_and_not_save(walks: Walks, form: Form) -> None:
    begin(form)
    with walks.connect("viewer") as client:
        other = Form(client, form.engine.name)
        try:
            wait_until(lambda: "may look" in other.html)
            (save,) = other.page.find("button", data_action="save")
            assert "disabled" in save.attributes
            other.set("currency", "EUR")
            other.act("save")
            assert len(form.versions()) == 1
        finally:
            other.piece.close()
            EngineFeed.of(client, form.engine.name).close()


def test_lost_server_loses_no_edit(walks: Walks, form: Form) -> None:
    begin(form)
    form.set("currency", "EUR")
    walks.stop()
    try:
        form.act("retry")
        assert "The server does not answer" in form.text
        assert "1 unsaved edit" in form.text
    finally:
        walks.start()
    form.act("retry")
    form.act("save")
    assert [v.config["currency"] for v in form.versions()] == ["EUR", "USD"]


def test_static_form_tells_the_last_version(form: Form) -> None:
    assert "none yet" in form.piece.build_html()
    begin(form)
    html = form.piece.build_html()
    assert "REPLAY" in html
    assert "SANDBOX" in html
    assert "data-action" not in html
