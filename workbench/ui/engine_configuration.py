"""The form for the configuration of a live engine: presets, fields, a check before use, versions."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import ConfirmationRequiredError, InputError, WorkbenchError
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_configuration_card import EngineCard
from workbench.ui.engine_configuration_enquiry import EngineConfigurationEnquiry
from workbench.ui.engine_configuration_fields import NAME_PATTERN
from workbench.ui.engine_configuration_parts import CLIENTS, add_client, remove_part, set_database
from workbench.ui.engine_configuration_sections import OTHER
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_sight import Sight
from workbench.ui.formats import format_time
from workbench.ui.places import find_value, set_value
from workbench.ui.run_form import parse_config
from workbench.ui.tables import FactsTable

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.client.client import Client
    from workbench.engine_records import ConfigVersion
    from workbench.ui.live_html import Action

__all__ = ["EngineConfiguration"]

_NUMBERS = itertools.count(1)
_IMPORT_PATH = re.compile(r"[\w.]+:\w+")


class EngineConfiguration(EnginePiece):
    """
    A form for the configuration of an engine, also of one that does not exist yet.

    Every save is a new version, made from the one that the edits began with: what somebody else has saved meanwhile is
    told, and nothing is lost. What raises risk, and any change of LIVE, is confirmed with what will change. Secrets
    are references; one that is typed or pasted in the clear is neither kept nor shown.

    Parameters
    ----------
    client : Client
        The server; `workbench.connect` makes one.
    name : str, default "default"
        The engine.

    Examples
    --------
    >>> EngineConfiguration(workbench.connect(), "momentum")  # doctest: +SKIP

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(client, name)
        self._state = EngineConfigurationState(name)
        self._prefix = f"wb-ecfg{next(_NUMBERS)}"
        self._enquiry = EngineConfigurationEnquiry(client, self._state, self._loop, self._refresh)
        self._saved: ConfigVersion | InputError | None = None

    @property
    def config(self) -> dict[str, Any] | None:
        """The configuration as it stands in the form; ``None`` before there is one."""
        return self._state.config

    @property
    def is_edited(self) -> bool:
        """Whether there is something to save."""
        return self._state.is_edited

    def load_config(self, config: Mapping[str, Any] | str) -> None:
        """
        Show a configuration as edits; nothing is saved.

        Raises
        ------
        ConfigError
            If it is no JSON, or no object.

        """
        found = parse_config(config) if isinstance(config, str) else dict(config)
        self._state.load(found)
        self._enquiry.need()

    def build_html(self) -> str:
        """Return the last version as a table, without anything to press: the server is asked."""
        try:
            versions = self._enquiry.list_versions()
        except WorkbenchError as error:
            return FactsTable({"Problem": str(error)}, title=f"Configuration of {self._name}").build_html()
        if not versions:
            facts = {"Version": "none yet"}
        else:
            last = versions[0]
            facts = {
                "Version": f"{last.version}, by {last.by}, {format_time(last.at)} UTC {last.comment}".strip()
            }
            facts |= _describe(last.config)
        return FactsTable(facts, title=f"Configuration of {self._name}").build_html()

    def build_widget(self) -> DOMWidget:
        """Return the form."""
        widget = super().build_widget()
        self._enquiry.begin()
        return widget

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        status = None if book.report is None else book.report.status
        running = status.host.config_version if status is not None and status.is_alive and status.host else 0
        return EngineCard(
            self._state,
            self._commands,
            prefix=self._prefix,
            is_checking=self._enquiry.is_checking,
            running=running,
            can_trade=book.can_trade is not False,
        ).build_html()

    # ---- what the reader does

    def _act(self, action: Action) -> None:
        handler = getattr(self, f"_do_{action.name.replace('-', '_')}", None)
        if handler is not None:
            self._state.problem = ""
            handler(action.key, action.value)

    def _do_set(self, key: str, value: Any) -> None:
        if isinstance(value, str | bool):
            self._state.set_text(key, value)

    def _do_comment(self, key: str, value: Any) -> None:
        self._state.comment = str(value or "")[:1_000]

    def _do_fold(self, key: str, value: Any) -> None:
        self._state.opened ^= {key}

    def _do_undo(self, key: str, value: Any) -> None:
        self._state.undo()
        self._enquiry.need()

    def _do_redis(self, key: str, value: Any) -> None:
        self._state.change(lambda config: set_database(config, is_kept=value is True))

    def _do_remove(self, key: str, value: Any) -> None:
        self._state.change(lambda config: remove_part(config, key))

    def _do_add(self, key: str, value: Any) -> None:
        state, chosen = self._state, str(value or "")
        if chosen == OTHER:
            state.adding[key] = ""
        elif key == "strategies" and chosen:
            self._enquiry.add_strategy(chosen, self._refresh)
        else:
            adapter = next((a for a in state.adapters if a["path"] == chosen), None)
            if adapter is not None:
                self._add_client(key, adapter["name"], adapter["path"], adapter["factory"])

    def _do_add_text(self, key: str, value: Any) -> None:
        set_value(self._state.answers, key, str(value or "").strip())

    def _do_add_path(self, key: str, value: Any) -> None:
        state = self._state
        given = find_value(state.answers, f"add.{key}")
        values = given if isinstance(given, dict) else {}
        path = str(values.get("path") or "")
        if key == "strategies":
            self._enquiry.add_strategy(path, self._refresh)
            return
        name, factory = str(values.get("name") or ""), str(values.get("factory") or "")
        if re.fullmatch(NAME_PATTERN, name) is None:
            state.problem = "The client needs a name of letters, digits, _ and -, such as BYBIT"
        elif _IMPORT_PATH.fullmatch(path) is None or _IMPORT_PATH.fullmatch(factory) is None:
            state.problem = "Configuration and factory are import paths: package.module:Class"
        else:
            self._add_client(key, name, path, factory)

    def _add_client(self, kind: str, name: str, path: str, factory: str) -> None:
        if kind in CLIENTS:
            self._state.change(lambda config: add_client(config, kind, name, path, factory))
            self._state.adding.pop(kind, None)
            self._enquiry.need()

    # ---- presets, JSON

    def _do_presets(self, key: str, value: Any) -> None:
        self._state.is_choosing = not self._state.is_choosing
        self._state.draft = None

    def _do_preset(self, key: str, value: Any) -> None:
        state = self._state
        state.preset, state.refusals = key, ()
        state.answers = {one.name: one.write(one.default) for one in state.build_answers()}
        state.answers |= _guess(key, state.datasets)

    def _do_begin(self, key: str, value: Any) -> None:
        self._enquiry.build_preset()

    def _do_json(self, key: str, value: Any) -> None:
        state = self._state
        state.draft = state.write_json() if state.draft is None else None
        state.draft_error = ""

    def _do_json_edit(self, key: str, value: Any) -> None:
        self._state.draft = str(value or "")

    def _do_json_apply(self, key: str, value: Any) -> None:
        self._load_text(self._state.draft or "")

    def _do_json_close(self, key: str, value: Any) -> None:
        self._state.draft, self._state.draft_error = None, ""

    def _do_load(self, key: str, value: Any) -> None:
        self._load_text(str(value or ""))

    def _load_text(self, text: str) -> None:
        state = self._state
        try:
            self.load_config(text)
        except InputError as error:
            # Nothing is lost: the text stands there, with what is wrong with it.
            state.draft, state.draft_error = text, str(error).replace("BacktestRunConfig", "EngineConfig")

    def _do_export(self, key: str, value: Any) -> None:
        if self._fragment is not None:
            name = f"{self._name}-{self._state.base_version}.json"
            self._fragment.widget.download(name, self._state.write_json().encode(), "application/json")

    # ---- versions

    def _do_compare(self, key: str, value: Any) -> None:
        before, _, after = key.partition("-")
        if before.isdecimal() and after.isdecimal():
            self._enquiry.compare(int(before), int(after))

    def _do_diff_before(self, key: str, value: Any) -> None:
        if self._state.diff is not None and str(value).isdecimal():
            self._enquiry.compare(int(value), self._state.diff[1])

    def _do_diff_after(self, key: str, value: Any) -> None:
        if self._state.diff is not None and str(value).isdecimal():
            self._enquiry.compare(self._state.diff[0], int(value))

    def _do_compare_close(self, key: str, value: Any) -> None:
        self._state.diff = None

    def _do_restore(self, key: str, value: Any) -> None:
        old = next((v for v in self._state.versions if str(v.version) == key), None)
        if old is not None:
            self._state.load(old.config, comment=f"version {old.version} again")
            self._enquiry.need()

    def _do_discard(self, key: str, value: Any) -> None:
        self._state.remember()
        self._state.config = parse_config(_write(self._state.saved))
        self._state.refusals = ()
        self._state.pasted.clear()

    def _do_merge(self, key: str, value: Any) -> None:
        state = self._state
        if state.conflict is not None:
            number = state.conflict.version
            clashes = state.take_theirs(state.conflict)
            state.notice = f"Your edits stand on version {number} now."
            if clashes:
                state.notice += f" Both have changed {', '.join(clashes[:6])}: yours stand here."
            self._enquiry.need()

    def _do_take_theirs(self, key: str, value: Any) -> None:
        if self._state.conflict is not None:
            self._state.begin(self._state.conflict)
            self._enquiry.need()

    def _do_retry(self, key: str, value: Any) -> None:
        self._enquiry.begin()

    # ---- check, save, restart

    def _do_check(self, key: str, value: Any) -> None:
        self._enquiry.check()

    def _do_save(self, key: str, value: Any) -> None:
        state = self._state
        if state.config is None or not state.is_edited or "save" in self._commands.busy:
            return
        state.is_strict, state.notice = True, ""
        if state.find_errors():
            self._show_error()
            return
        engine, config = self.engine, parse_config(_write(state.config))
        comment, base = state.comment, state.base_version
        self._saved = None

        def call(token: str) -> None:
            try:
                self._saved = engine.set_config(config, comment=comment, base_version=base, confirm=token)
            except ConfirmationRequiredError:
                raise
            except InputError as error:
                # Shown at its field, and not as something that failed.
                self._saved = error

        number = (state.versions[0].version if state.versions else 0) + 1
        self._commands.run(
            "save",
            "Checking and saving…",
            call,
            title=f"Save version {number} of {self._name}?",
            label="Save it",
            on_success=self._take_saved,
        )

    def _take_saved(self) -> None:
        state, saved = self._state, self._saved
        if isinstance(saved, InputError):
            if saved.field == "base_version":
                self._enquiry.begin()
                return
            state.take_refusal(saved)
            self._show_error()
        elif saved is not None:
            state.take_saved(saved)
            state.notice = f"Saved as version {saved.version}; the next start uses it."

    def _show_error(self) -> None:
        """Show what is wrong, and bring the reader to the first of it."""
        if self._fragment is not None:
            self._fragment.widget.html = self._render(is_live=True)
            self._fragment.widget.focus("[aria-invalid=true]")

    def _do_restart(self, key: str, value: Any) -> None:
        engine = self.engine
        self._commands.run(
            "restart",
            "Restarting…",
            lambda token: engine.restart(confirm=token),
            title=f"Restart {self._name}?",
            label="Restart",
            on_success=self._note_restart,
        )

    def _note_restart(self) -> None:
        self._state.notice = "Restarted."

    def _do_word(self, key: str, value: Any) -> None:
        self._commands.typed = str(value or "")[:200]

    def _do_answer(self, key: str, value: Any) -> None:
        with contextlib.suppress(InputError):
            self._commands.answer(key)

    def _do_dismiss(self, key: str, value: Any) -> None:
        self._commands.dismiss()

    def _do_forget(self, key: str, value: Any) -> None:
        self._commands.forget(key)


def _write(config: Mapping[str, Any]) -> str:
    import json

    return json.dumps(config)


def _guess(preset: str, datasets: list[dict[str, Any]]) -> dict[str, str]:
    """Return what a replay most likely plays: the first catalog, its first venue, and its bars or quotes."""
    if preset != "sandbox-replay" or not datasets:
        return {}
    first = datasets[0]
    same = [d for d in datasets if d["catalog"] == first["catalog"] and d["venue"] == first["venue"]]
    bars = [str(d["identifier"]) for d in same if d["data_type"] == "bars"]
    quotes = [str(d["instrument_id"]) for d in same if d["data_type"] == "quotes"]
    found = {"catalog_path": str(first["catalog_path"]), "venue": str(first["venue"])}
    if quotes:
        return {**found, "quotes": ", ".join(dict.fromkeys(quotes))}
    return {**found, "bar_types": ", ".join(bars)} if bars else found


def _describe(config: Mapping[str, Any]) -> dict[str, str]:
    facts = {"Environment": str(config.get("environment", "")), "Currency": str(config.get("currency", ""))}
    for kind, label in (("data_clients", "Market data"), ("exec_clients", "Venues and accounts")):
        found = find_value(config, f"node.{kind}")
        facts[label] = ", ".join(found) if isinstance(found, dict) and found else "none"
    strategies = find_value(config, "node.strategies")
    names = (
        [str(s.get("strategy_path", "")).rpartition(":")[2] for s in strategies or [] if isinstance(s, dict)]
        if (isinstance(strategies, list))
        else []
    )
    facts["Strategies"] = ", ".join(names) or "none"
    risk = config.get("risk")
    facts["Risk limits"] = (
        ", ".join(f"{k} {v}" for k, v in risk.items()) if isinstance(risk, dict) and risk else "none"
    )
    return facts
