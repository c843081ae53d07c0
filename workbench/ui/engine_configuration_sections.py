"""The parts of the form for an engine's configuration: environment, clients, strategies, limits, policies, node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from workbench.errors import WorkbenchError
from workbench.ui.engine_configuration_fields import build_general_fields, build_node_fields, is_secret_field
from workbench.ui.engine_configuration_parts import CLIENTS, list_clients, list_strategies
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.fields import Field
from workbench.ui.forms import is_housekeeping
from workbench.ui.inputs import build_check, build_field, build_select
from workbench.ui.places import MISSING, find_value
from workbench.ui.risk_limits import BREACH_ACTIONS

__all__ = ["OTHER", "EngineSections", "build_trial"]

OTHER = "…"
_TITLES = {
    "data_clients": ("Market data", "data client"),
    "exec_clients": ("Venues and accounts", "execution client"),
}
_POLICY_TITLES = {
    "emergency": "Emergency stop",
    "stop": "Stop",
    "restart": "Restart after a crash",
    "health": "Health thresholds",
}
_TRIALS = {
    "tested": ("ok", "TESTED"),
    "configuration only": ("warn", "CONFIG ONLY"),
    "untested": ("bad", "UNTESTED"),
}


class EngineSections:
    """
    The parts of one rendering of the form.

    Parameters
    ----------
    state : EngineConfigurationState
        What it shows.
    errors : Mapping of str to str
        What is wrong, by place.
    prefix : str
        Of the ids: it tells the forms of a page apart.

    """

    def __init__(self, state: EngineConfigurationState, errors: Mapping[str, str], *, prefix: str) -> None:
        self._state = state
        self._errors = errors
        self._prefix = prefix
        self._edited = {edit.field for edit in state.edits} if state.base is not None else set()

    def build_html(self) -> str:
        """Return all of them."""
        parts = [
            self._build_card("Environment", self._build_general()),
            *(self._build_clients(kind) for kind in CLIENTS),
            self._build_strategies(),
            self._build_card("Risk limits of the gate", self._build_risk()),
            self._build_card(
                "Emergency stop, stop and restart", self._build_policies("emergency", "stop", "restart")
            ),
            self._build_card("Health", self._build_fold("health", "health")),
            self._build_card("Redis, state and times", self._build_node()),
        ]
        return "".join(parts)

    def _build_card(self, title: str, body: str, *, right: str = "") -> str:
        aside = f"<span class='r'>{right}</span>" if right else ""
        return (
            f"<section class='wb-card' aria-label='{escape(title, quote=True)}'><div class='wb-head' role='heading' "
            f"aria-level='3'>{escape(title)}{aside}</div>{body}</section>"
        )

    # ---- fields

    def build_one(self, one: Field) -> str:
        """Return a field, marked where it is not as it was saved."""
        value = find_value(self._state.config or {}, one.path)
        pasted = self._state.pasted.get(one.path)
        if pasted:
            one, value = replace(one, slot=f"{one.slot or one.path}-{pasted}"), MISSING
        error = self._errors.get(one.path, "")
        if (
            one.kind == "bool"
            and not isinstance(value, bool)
            and one.default is not MISSING
            and not one.is_nullable
        ):
            value = one.default if value is MISSING else value
        is_wide = one.kind == "json"
        html = build_field(one, value, prefix=self._prefix, error=error, is_wide=is_wide)
        if isinstance(value, int) and one.name.endswith(("port", "client_id")):
            html = html.replace(f"value='{one.write(value)}'", f"value='{value}'")  # A name, not an amount
        if is_secret_field(one):
            # Taken when it is complete: half a reference looks like a secret.
            html = html.replace(" data-live", "").replace("placeholder='none'", "placeholder='env:NAME'")
        elif one.path.startswith("risk."):
            html = html.replace("placeholder='none'", "placeholder='no limit'")
        if self._is_edited(one.path):
            html = html.replace("<div class='wb-field", "<div class='wb-edited wb-field", 1)
        return html

    def _is_edited(self, path: str) -> bool:
        return any(e == path or e.startswith(f"{path}.") for e in self._edited)

    def _build_fields(self, fields: Sequence[Field]) -> str:
        return f"<div class='wb-trio'>{''.join(map(self.build_one, fields))}</div>"

    def _build_details(self, key: str, summary: str, fields: Sequence[Field], body: Callable[[], str]) -> str:
        """Return a part that is folded away; a wrong field inside opens it, and mending it does not close it."""
        wrong = sum(one.path in self._errors for one in fields)
        if wrong:
            self._state.opened.add(key)
        is_open = key in self._state.opened
        own = f"{self._prefix}-fold-{escape(key.replace('.', '-'), quote=True)}"
        count = f" <span class='bad'>{wrong} wrong</span>" if wrong else ""
        edited = sum(self._is_edited(one.path) for one in fields)
        count += f" <span class='wb-edits'>{edited} edited</span>" if edited else ""
        button = (
            f"<button class='wb-link wb-summary' type='button' id='{own}' data-action='fold' "
            f"data-key='{escape(key, quote=True)}' aria-expanded='{str(is_open).lower()}'>{escape(summary)}{count}"
            "</button>"
        )
        inside = f"<div role='group' aria-labelledby='{own}'>{body()}</div>" if is_open else ""
        return f"<div class='wb-fold'>{button}{inside}</div>"

    def _build_parameters(self, place: str, fields: Sequence[Field]) -> str:
        """Return what is set, needed or secret first, and the rest folded away."""
        first = [one for one in fields if self._is_first(one)]
        rest = [one for one in fields if one not in first]
        html = self._build_fields(first)
        if rest:
            words = f"{len(rest)} more fields, as nautilus has them"
            html += self._build_details(f"{place}.more", words, rest, lambda: self._build_fields(rest))
        return html

    def _is_first(self, one: Field) -> bool:
        if (
            one.is_required
            or is_secret_field(one)
            or one.name == "order_id_tag"
            or one.path in self._state.touched
        ):
            return True
        if is_housekeeping(one.name):
            return False
        if one.path.startswith("node.strategies.") and not one.is_nullable:
            return one.kind in ("int", "float", "decimal", "choice", "text")
        return find_value(self._state.config or {}, one.path) not in (MISSING, one.default)

    def _build_error(self, place: str) -> str:
        error = self._errors.get(place, "")
        return f"<div class='wb-error' role='alert'>{escape(error)}</div>" if error else ""

    # ---- the parts

    def _build_general(self) -> str:
        return self._build_fields(build_general_fields())

    def _build_clients(self, kind: str) -> str:
        state = self._state
        title, noun = _TITLES[kind]
        body = ""
        for place, name, client in list_clients(state.config or {}, kind):
            path = str(client.get("path") or "")
            adapter = next((a for a in state.adapters if a["path"] == path), None)
            body += self._build_part(
                place, name, path, build_trial(adapter), state.build_client_fields(place, client), path
            )
        if not body:
            body = f"<div class='wb-empty'>No {noun} yet.</div>"
        return self._build_card(title, f"{body}{self._build_adder(kind, noun)}")

    def _build_part(
        self, place: str, name: str, path: str, badge: str, fields: Sequence[Field], schema: str
    ) -> str:
        shown = escape(name)
        known = self._state.parts.get(schema)
        if isinstance(known, WorkbenchError):
            body = f"<div class='wb-note warn' role='status'>{escape(str(known))}. Its fields are in the JSON.</div>"
        elif known is None:
            body = "<div class='wb-note' role='status'>Reading what it takes…</div>"
        else:
            body = self._build_parameters(place, fields)
        new = "wb-edited " if self._is_edited(place) else ""
        return (
            f"<div class='{new}wb-part' id='{self._prefix}-part-{escape(place.replace('.', '-'), quote=True)}'>"
            f"<div class='wb-part-head'><b>{shown}</b>{badge}<small class='wb-path' title='{escape(path, quote=True)}'>"
            f"{escape(path)}</small><button class='wb-link' type='button' data-action='remove' "
            f"data-key='{escape(place, quote=True)}' data-confirm='Take it out' aria-label='Take {shown} out'>"
            f"Take out</button></div>{self._build_error(place)}{body}</div>"
        )

    def _build_adder(self, kind: str, noun: str) -> str:
        state = self._state
        wanted = CLIENTS[kind]
        options = "".join(
            f"<option value='{escape(a['path'], quote=True)}'>{escape(a['title'])} · {escape(a['trial'])}</option>"
            for a in state.adapters
            if a["kind"] == wanted
        )
        html = self._build_chooser(kind, f"Add a {noun}" if noun[0] != "e" else f"Add an {noun}", options)
        if kind not in state.adding:
            return html
        fields = [
            ("name", "Name", "what the engine calls it: the venue, as a rule"),
            ("path", "Configuration", "package.module:ClientConfig"),
            ("factory", "Factory", "package.module:ClientFactory"),
        ]
        inputs = "".join(
            build_field(
                Field(f"add.{kind}.{key}", label, hint=hint, is_required=True),
                find_value(state.answers, f"add.{kind}.{key}"),
                prefix=self._prefix,
            ).replace("data-action='set'", "data-action='add-text'")
            for key, label, hint in fields
        )
        return (
            f"{html}<div class='wb-trio'>{inputs}</div><div class='wb-actions'><button class='wb-btn' type='button' "
            f"data-action='add-path' data-key='{kind}'>Add it</button><small class='mute'>Any adapter by its import "
            "path; how far it was tried only you know.</small></div>"
        )

    def _build_chooser(self, key: str, words: str, options: str) -> str:
        return (
            f"<div class='wb-adder'><select class='wb-input wb-add' id='{self._prefix}-add-{key}' data-action='add' "
            f"data-key='{key}' aria-label='{escape(words, quote=True)}'><option value='' selected>{escape(words)}…"
            f"</option>{options}<option value='{OTHER}'>By import path…</option></select></div>"
        )

    def _build_strategies(self) -> str:
        state = self._state
        body = ""
        for place, strategy in list_strategies(state.config or {}):
            path = str(strategy.get("strategy_path") or "")
            name = path.rpartition(":")[2] or place
            fields = state.build_strategy_fields(place, strategy)
            body += self._build_part(place, name, path, "", fields, path)
        if not body:
            body = "<div class='wb-empty'>No strategies: the engine watches, and trades only by hand.</div>"
        for name in ("actors", "exec_algorithms"):
            found = find_value(state.config or {}, f"node.{name}")
            if isinstance(found, list) and found:
                body += f"<div class='wb-note'>{len(found)} {name.replace('_', ' ')}: see the JSON.</div>"
        options = "".join(
            f"<option value='{escape(str(s['path']), quote=True)}'>{escape(str(s['name']))} · "
            f"{escape(str(s['path']).rpartition(':')[0])}</option>"
            for s in state.strategies
        )
        body += self._build_chooser("strategies", "Add a strategy", options)
        if "strategies" in state.adding:
            typed = Field("add.strategies.path", "Import path", hint="package.module:Class")
            row = build_field(typed, find_value(state.answers, typed.path), prefix=self._prefix).replace(
                "data-action='set'", "data-action='add-text'"
            )
            body += (
                f"<div class='wb-trio'>{row}</div><div class='wb-actions'><button class='wb-btn' type='button' "
                "data-action='add-path' data-key='strategies'>Add it</button></div>"
            )
        return self._build_card("Strategies", body)

    def _build_risk(self) -> str:
        fields = self._state.build_risk()
        body = ""
        for one in fields:
            if one.name == "on_breach":
                value = find_value(self._state.config or {}, one.path)
                lines = "".join(f"<small><b>{k}</b> {escape(t)}</small>" for k, t in BREACH_ACTIONS.items())
                body += build_select(
                    one,
                    [(key, key) for key in BREACH_ACTIONS],
                    one.write(value),
                    prefix=self._prefix,
                    error=self._errors.get(one.path, ""),
                    note=lines,
                )
            else:
                body += self.build_one(one)
        return (
            f"{self._build_error('risk')}<div class='wb-trio'>{body}</div><div class='wb-note'>The gate enforces "
            "them on every order of the engine, whoever sends it.</div>"
        )

    def _build_policies(self, *places: str) -> str:
        first, *rest = places
        html = self._build_fields(self._label(first))
        return html + "".join(self._build_fold(place, place) for place in rest)

    def _label(self, place: str) -> list[Field]:
        return self._state.build_policy_fields(place)

    def _build_fold(self, key: str, place: str) -> str:
        fields = self._label(place)
        words = _POLICY_TITLES[place]
        config = self._state.config or {}
        said = [
            f"{one.label.lower()} {one.write(find_value(config, one.path)) or 'any'}" for one in fields[:3]
        ]
        summary = f"{words}: {', '.join(said)}" if said else words
        return self._build_details(key, summary, fields, lambda: self._build_fields(fields))

    def _build_node(self) -> str:
        state = self._state
        tick = Field(
            "redis",
            "Keep nautilus's cache in Redis",
            "bool",
            help="Orders and positions survive a kill of the engine.",
        )
        html = build_check(tick, state.has_database, prefix=self._prefix).replace(
            "data-action='set'", "data-action='redis'"
        )
        if state.has_database:
            html += self._build_fields(state.build_policy_fields("node.cache.database"))
        else:
            html += "<div class='wb-note'>Without it the journal gives the sandbox's account back after a crash.</div>"
        fields = build_node_fields(state.name)
        return html + self._build_details(
            "node", "State, reconciliation and deadlines", fields, lambda: self._build_fields(fields)
        )


def _say(one: Field, value: Any) -> str:
    label, _, unit = one.label.partition(", ")
    text = one.write(value)
    return f"{label[:1].lower()}{label[1:]} {f'{text} {unit}'.strip() if text else 'any'}"


def build_trial(thing: Mapping[str, Any] | None) -> str:
    """Return the badge that says how far a preset or an adapter was tried."""
    if thing is None:
        return "<span class='wb-badge bad' title='Nobody here has tried it'>UNTESTED</span>"
    kind, label = _TRIALS.get(str(thing.get("trial")), ("bad", "UNTESTED"))
    return f"<span class='wb-badge {kind}' title='{escape(str(thing.get('tried') or ''), quote=True)}'>{label}</span>"
