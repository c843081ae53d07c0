"""The parts of the form for a run: strategy, data, range, parameters, venues, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.fields import Field
from workbench.ui.formats import format_time
from workbench.ui.forms import is_housekeeping
from workbench.ui.inputs import Option, build_field, build_select
from workbench.ui.picks import find_sibling, pick_of
from workbench.ui.places import MISSING, find_value
from workbench.ui.risk_limits import BREACH_ACTIONS, describe_limits
from workbench.ui.run_form import Pick, find_fee_model, find_fill_model, find_latency_model
from workbench.ui.timeline import PRESETS, build_timeline
from workbench.ui.venue_fields import MODEL_CHOICES, MODEL_LABELS, describe_model

__all__ = ["OTHER_STRATEGY", "Sections", "describe_dataset"]

OTHER_STRATEGY = "…"
_ORIGINS = {"workspace": "In this workspace", "captured": "From notebooks", "nautilus": "Nautilus's examples"}
_FINDERS = {
    "fill_model": find_fill_model,
    "fee_model": find_fee_model,
    "latency_model": find_latency_model,
}


class Sections:
    """
    The parts of one rendering of the form.

    Parameters
    ----------
    state : ConfigurationState
        What it shows.
    errors : Mapping of str to str
        What is wrong, by place.
    prefix : str
        Of the ids: it tells the forms of a page apart.

    """

    def __init__(self, state: ConfigurationState, errors: Mapping[str, str], *, prefix: str) -> None:
        self._state = state
        self._errors = errors
        self._prefix = prefix

    # ---- strategy and data

    def build_strategy(self) -> str:
        """Return the part about the strategy."""
        state = self._state
        path = state.strategy_path
        error = self._errors.get("strategy", "")
        groups: dict[str, list[Option]] = {}
        counts = Counter(str(one["name"]) for one in state.strategies or [])
        for one in state.strategies or []:
            label = _ORIGINS.get(str(one.get("origin")), "Others")
            groups.setdefault(label, []).append((str(one["path"]), _name_strategy(one, counts)))
        options = [(label, groups[label]) for label in (*_ORIGINS.values(), "Others") if label in groups]
        own: list[Any] = (
            [] if any(path == o[0] for _, g in options for o in g) or not path else [(path, _last(path))]
        )
        typed = state.typed_strategy
        chosen = path if typed is None else OTHER_STRATEGY
        last: list[Any] = [(OTHER_STRATEGY, "Import path or file…")]
        doc = str((state.description or {}).get("doc") or "") if state.is_described else ""
        where = path.rpartition(":")[0]
        note = (
            f"<small class='wb-path' title='{escape(path, quote=True)}'>{escape(where)}</small>"
            if where
            else ""
        )
        note += f"<small>{escape(doc)}</small>" if doc else ""
        field = Field("strategy", "Strategy", "choice")
        html = build_select(
            field,
            [*own, *options, *last],
            chosen,
            prefix=self._prefix,
            error=error if typed is None else "",
            action="strategy",
            note=note if typed is None else "",
        )
        if typed is None:
            return html
        other = Field(
            "strategy-path", "Import path or file", hint="package.module:Class, or path/to/file.py:Class"
        )
        row = build_field(other, typed, prefix=self._prefix, error=error).replace(" data-live", "")
        return html + row

    def build_data(self) -> str:
        """Return the part about the data."""
        state = self._state
        picks, known = state.picks, state.known
        first = known.get(picks[0]) if picks else None
        options = self._list_datasets([])
        unknown = f"{_last(picks[0][1])} {picks[0][2]}" if picks else ""
        chosen = unknown if first is None else str(first["id"])
        note = ""
        if first is not None:
            span = f"{format_time(first['start'])[:10]} to {format_time(first['end'])[:10]}"
            note = f"<small>{int(first['rows']):,} rows, {span}</small>"
        elif picks:
            note = f"<small class='warn'>not in a catalog of the server: {escape(picks[0][0])}</small>"
        html = build_select(
            Field("data", "Instrument and bars", "choice"),
            options,
            chosen,
            prefix=self._prefix,
            error=self._errors.get("data", ""),
            action="pick",
            note=note,
        )
        return html + self._build_more_data(picks, known)

    def _list_datasets(self, without: Sequence[Pick]) -> list[Any]:
        groups: dict[str, list[Option]] = {}
        for one in self._state.datasets or []:
            if pick_of(one) not in without:
                groups.setdefault(str(one["catalog"]), []).append((str(one["id"]), describe_dataset(one)))
        return list(groups.items()) if len(groups) > 1 else next(iter(groups.values()), [])

    def _build_more_data(self, picks: Sequence[Pick], known: Mapping[Pick, Mapping[str, Any]]) -> str:
        """Return the other data of the run, each to be left out, and a way to add some."""
        if not picks:
            return ""
        chips = []
        for i, pick in enumerate(picks[1:], 1):
            text = describe_dataset(known[pick]) if pick in known else pick[2]
            chips.append(
                f"<li id='{self._prefix}-pick-{escape(pick[2], quote=True)}'>{escape(text)} "
                f"<button class='wb-link' data-action='unpick' data-key='{i}' "
                f"aria-label='Leave {escape(text, quote=True)} out'>leave out</button></li>"
            )
        sibling = find_sibling(picks, known)
        if sibling is not None:
            text = describe_dataset(sibling)
            chips.append(
                f"<li id='{self._prefix}-sibling' class='warn'>No {escape(_side(sibling))} prices: "
                "no order can fill. "
                f"<button class='wb-link' data-action='add' data-key='{escape(str(sibling['id']), quote=True)}'>"
                f"Add {escape(text)}</button></li>"
            )
        rest = self._list_datasets(picks)
        adder = ""
        if rest:
            own = f"{self._prefix}-add"
            body = "".join(
                f"<option value='{escape(sent, quote=True)}'>{escape(shown)}</option>"
                for sent, shown in _flatten(rest)
            )
            adder = (
                f"<li><select class='wb-input wb-add' id='{own}' data-action='add' data-key='' "
                f"aria-label='Add more data'><option value='' selected>Add more data…</option>{body}</select></li>"
            )
        return f"<ul class='wb-picks'>{''.join(chips)}{adder}</ul>"

    def build_range(self) -> str:
        """Return the part about the range."""
        state = self._state
        if not state.picks:
            return ""
        line = ""
        if state.coverage is not None:
            line = build_timeline(
                state.coverage,
                start=state.config.get("start"),
                end=state.config.get("end"),
                holdout=(state.preview or {}).get("holdout"),
                prefix=self._prefix,
            )
        elif state.first is not None:
            line = "<div class='wb-timeline wb-note'>Reading what there is…</div>"
        presets = "".join(
            f"<button class='wb-link' data-action='preset' data-key='{key}'>{label}</button>"
            for key, (label, _) in PRESETS.items()
        )
        placeholder = {"start": "start of the data", "end": "end of the data"}
        fields = "".join(
            self._build_one(one).replace("placeholder='none'", f"placeholder='{placeholder[one.path]}'")
            for one in state.build_range()
        )
        return (
            "<fieldset class='wb-section'><legend>Date range, UTC</legend>"
            f"{line}<div class='wb-pair'>{fields}</div>"
            + (
                f"<div class='wb-presets' role='group' aria-label='Ranges'>{presets}</div>"
                if state.coverage
                else ""
            )
            + "</fieldset>"
        )

    # ---- parameters

    def _build_one(self, field: Field) -> str:
        value = find_value(self._state.config, field.path)
        is_wide = field.kind in ("json", "list") or field.name.endswith(("bar_type", "bar_types"))
        return build_field(
            field, value, prefix=self._prefix, error=self._errors.get(field.path, ""), is_wide=is_wide
        )

    def build_parameters(self) -> str:
        """Return the part about the parameters."""
        state = self._state
        fields = state.build_parameters()
        error = self._errors.get("parameters", "")
        rule = f"<div class='wb-error wide' role='alert'>{escape(error)}</div>" if error else ""
        if not fields and not state.is_described:
            wait = "<div class='wb-note'>Reading its parameters…</div>"
            is_waited = state.strategy_path and not self._errors.get("strategy") and not state.lost
            return rule + (wait if is_waited else "")
        size = state.sizing.find_target()
        fields = [one for one in fields if one != size]
        first = [one for one in fields if self._is_first(one)]
        rest = [one for one in fields if one not in first]
        changed = [
            one
            for one in rest
            if not self._follows_data(one)
            and find_value(state.config, one.path) not in (MISSING, one.default)
        ]
        html = f"<div class='wb-pair'>{''.join(map(self._build_one, first))}{rule}</div>"
        if rest:
            words = f"{len(rest)} more parameters"
            if changed:
                words += f", {len(changed)} set"
            html += self._build_details("more", words, rest, "".join(map(self._build_one, rest)))
        others = find_value(state.config, "engine.strategies")
        if isinstance(others, list) and len(others) > 1:
            html += f"<div class='wb-note'>{len(others) - 1} more of its strategies: see the JSON.</div>"
        return html

    def _follows_data(self, one: Field) -> bool:
        """Return whether a parameter says only which data were chosen."""
        first = self._state.first or {}
        value = find_value(self._state.config, one.path)
        key = {"instrument_id": "instrument_id", "bar_type": "identifier"}.get(one.name)
        return key is not None and value == first.get(key)

    def _is_first(self, one: Field) -> bool:
        """Return whether a parameter is one that people set, rather than one that they leave as it is."""
        if self._follows_data(one):
            return False
        if one.is_required:
            return True
        is_plain = one.kind in ("int", "float", "decimal", "choice", "text") and not one.is_nullable
        return is_plain and not is_housekeeping(one.name)

    def _build_details(
        self, key: str, summary: str, fields: Sequence[Field], body: str, places: Sequence[str] = ()
    ) -> str:
        """Return a part that is folded away; a wrong field inside opens it, and mending it does not close it."""
        wrong = sum(p in self._errors for p in (*(one.path for one in fields), *places))
        if wrong:
            self._state.opened.add(key)
        is_open = key in self._state.opened
        own = f"{self._prefix}-fold-{key}"
        count = f" <span class='bad'>{wrong} wrong</span>" if wrong else ""
        button = (
            f"<button class='wb-link wb-summary' id='{own}' data-action='fold' data-key='{key}' "
            f"aria-expanded='{str(is_open).lower()}'>{escape(summary)}{count}</button>"
        )
        inside = f"<div class='wb-pair' role='group' aria-labelledby='{own}'>{body}</div>" if is_open else ""
        return f"<div class='wb-fold'>{button}{inside}</div>"

    # ---- venues

    def build_venues(self) -> str:
        """Return the part about the venues."""
        venues = self._state.venues
        html = []
        for place, venue in venues:
            sections = self._state.build_venue_fields(place, venue)
            account = sections["account"]
            if len(venues) > 1:
                html.append(f"<div class='wb-sub'>Venue {escape(str(venue.get('name')))}</div>")
            html.append(f"<div class='wb-pair wb-money'>{''.join(map(self._build_one, account[:2]))}</div>")
            base = venue.get("base_currency") or "several currencies"
            words = f"Account: {venue.get('account_type')}, {venue.get('oms_type')}, {base}"
            html.append(
                self._build_details(
                    f"{place}-account", words, account[2:], "".join(map(self._build_one, account[2:]))
                )
            )
            html.append(self._build_models(place, venue, sections))
        return "".join(html)

    def build_limits(self) -> str:
        """Return the part about the risk limits."""
        fields = self._state.build_limits()
        error = self._errors.get("limits", "")
        body = f"<div class='wb-error wide' role='alert'>{escape(error)}</div>" if error else ""
        for one in fields:
            if one.name == "on_breach":
                body += f"<div class='wide'>{self._build_breach(one)}</div>"
            else:
                body += self._build_one(one).replace("placeholder='none'", "placeholder='no limit'")
        words = f"Risk limits: {describe_limits(self._state.config, fields) or 'none'}"
        return (
            f"{self._build_details('limits', words, fields, body, ['limits'])}"
            "<div class='wb-note'>The risk gate enforces the limits on every order, the same as in the live engine to "
            "come.</div>"
        )

    def _build_breach(self, one: Field) -> str:
        value = find_value(self._state.config, one.path)
        lines = "".join(f"<small><b>{key}</b> {escape(text)}</small>" for key, text in BREACH_ACTIONS.items())
        return build_select(
            one,
            [(key, key) for key in BREACH_ACTIONS],
            one.write(value),
            prefix=self._prefix,
            error=self._errors.get(one.path, ""),
            note=lines,
        )

    def _build_models(
        self, place: str, venue: Mapping[str, Any], sections: Mapping[str, Sequence[Field]]
    ) -> str:
        body: list[str] = []
        fields: list[Field] = []
        words: list[str] = []
        for name, finder in _FINDERS.items():
            choice = finder(venue)
            own = f"{place}.{name}"
            choices = MODEL_CHOICES[name]
            options = [
                (key, label) for key, (label, _) in choices.items() if key != "custom" or choice == key
            ]
            advice = choices[choice][1]
            tone = " class='warn'" if name == "fill_model" and choice == "nautilus" else ""
            body.append(
                "<div class='wide'>"
                + build_select(
                    Field(own, MODEL_LABELS[name], "choice"),
                    options,
                    choice,
                    prefix=self._prefix,
                    error=self._errors.get(own, ""),
                    note=f"<small{tone}>{escape(advice)}</small>" if advice else "",
                )
                + "</div>"
            )
            body += [self._build_one(one) for one in sections[name]]
            fields += sections[name]
            words.append(describe_model(name, choice, venue))
        places = [f"{place}.{name}" for name in _FINDERS]
        return self._build_details(f"{place}-models", "; ".join(words), fields, "".join(body), places)


def describe_dataset(dataset: Mapping[str, Any]) -> str:
    """Return what a dataset is called in a list."""
    spec = str(dataset.get("bar_spec") or "") or str(dataset["data_type"])
    name = f"{dataset['instrument_id']} {spec}"
    return (
        name
        if str(dataset["identifier"]).endswith(("-EXTERNAL", dataset["instrument_id"]))
        else f"{name} internal"
    )


def _side(dataset: Mapping[str, Any]) -> str:
    return str(dataset.get("bar_spec") or "").rpartition("-")[2]


def _name_strategy(strategy: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """Return the name of a strategy; where another has it too, with its module."""
    name = str(strategy["name"])
    module = str(strategy["path"]).rpartition(":")[0].rpartition(".")[2]
    return name if counts[name] < 2 else f"{name} ({module})"


def _flatten(options: Sequence[Any]) -> list[Option]:
    flat: list[Option] = []
    for sent, shown in options:
        flat += [(sent, shown)] if isinstance(shown, str) else shown
    return flat


def _last(path: str) -> str:
    return path.rpartition(":")[2] or path
