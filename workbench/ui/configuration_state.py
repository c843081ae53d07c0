"""What a form for a run knows: the configuration, what the server said of it, and what is wrong where."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import WorkbenchError
from workbench.ui.fields import Field
from workbench.ui.forms import build_fields
from workbench.ui.picks import find_sibling, has_pair, pick_of
from workbench.ui.places import MISSING, find_value, remove_value, set_value
from workbench.ui.risk_limits import build_limit_fields, find_gate, set_limit
from workbench.ui.run_form import (
    STRATEGY,
    Pick,
    add_pick,
    build_config,
    choose_fee_model,
    choose_fill_model,
    choose_latency_model,
    find_picks,
    follow_data,
    remove_pick,
    set_account_type,
    set_balances,
)
from workbench.ui.run_sizing import RunSizing
from workbench.ui.venue_fields import (
    MODEL_CHOICES,
    build_account_fields,
    build_fee_fields,
    build_fill_fields,
    build_latency_fields,
)

__all__ = ["ConfigurationState"]

_MOST_UNDO = 50
_CHOOSERS = {
    "fill_model": choose_fill_model,
    "fee_model": choose_fee_model,
    "latency_model": choose_latency_model,
}


@dataclass
class ConfigurationState:
    """
    What the form shows.

    Attributes
    ----------
    config : dict
        The configuration, as it stands: what cannot be read is in it as it was typed.
    name : str
        The name of the run, for people.
    strategies, datasets : list of dict, optional
        What there is to choose from; ``None`` while it is not known.
    description : dict, optional
        Of the strategy: its schema, help and words.
    coverage : dict, optional
        Of the first data.
    preview : dict, optional
        What the run would read, take and need.
    refusals : Sequence of WorkbenchError
        What the server says is wrong.
    problem, notice : str
        What went wrong with the form itself; what was done.
    lost : str
        Why the server does not answer.
    is_checking, is_submitting : bool
        What goes on.
    typed_strategy : str, optional
        What is typed where another strategy is to be named; ``None`` where one is chosen from the list.
    is_strict : bool
        Whether empty fields are errors that nobody has touched yet.
    parted_gate : dict, optional
        The risk gate whose last limit was removed.
    sizing : RunSizing
        How large the orders are.
    touched, opened : set of str
        The fields that somebody has changed; the parts of the form that are open.
    draft, draft_error : str
        The JSON that is being edited, ``None`` when it is not; and what is wrong with it.

    """

    config: dict[str, Any] = field(default_factory=build_config)
    name: str = ""
    strategies: list[dict[str, Any]] | None = None
    datasets: list[dict[str, Any]] | None = None
    description: dict[str, Any] | None = None
    coverage: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    refusals: Sequence[WorkbenchError] = ()
    problem: str = ""
    notice: str = ""
    lost: str = ""
    is_checking: bool = False
    is_submitting: bool = False
    typed_strategy: str | None = None
    draft: str | None = None
    draft_error: str = ""
    is_strict: bool = False
    parted_gate: dict[str, Any] | None = None
    touched: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    sizing: RunSizing = field(init=False)
    _undo: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizing = RunSizing(self)

    # ---- what there is

    @property
    def strategy_path(self) -> str:
        """The strategy that runs; empty without one."""
        path = find_value(self.config, f"{STRATEGY}.strategy_path")
        return path if isinstance(path, str) else ""

    @property
    def is_described(self) -> bool:
        """Whether it is known what the strategy takes."""
        return (
            bool(self.strategy_path) and (self.description or {}).get("strategy_path") == self.strategy_path
        )

    @property
    def venues(self) -> list[tuple[str, dict[str, Any]]]:
        """The venues, each with its place."""
        venues = self.config.get("venues")
        found = enumerate(venues) if isinstance(venues, list) else ()
        return [(f"venues.{i}", venue) for i, venue in found if isinstance(venue, dict)]

    @property
    def known(self) -> dict[Pick, dict[str, Any]]:
        """The data that the server has, by what a configuration calls them."""
        return {pick_of(d): d for d in self.datasets or []}

    @property
    def picks(self) -> list[Pick]:
        """The data that the run reads."""
        return find_picks(self.config)

    @property
    def first(self) -> dict[str, Any] | None:
        """What is known of the first data."""
        picks = self.picks
        return self.known.get(picks[0]) if picks else None

    def build_parameters(self) -> list[Field]:
        """Return the fields of the strategy's parameters."""
        if self.description is None or not self.is_described:
            return []
        fields = build_fields(
            self.description["schema"], f"{STRATEGY}.config", help_texts=self.description.get("help") or {}
        )
        own = self.sizing.place
        if own:
            fields = [one for one in fields if one.path != own and not one.path.startswith(f"{own}.")]
        return [self.sizing.add_unit(one) for one in fields]

    def build_range(self) -> list[Field]:
        """Return the fields of the range of time."""
        return [
            Field("start", "From", "time", is_nullable=True, default=None),
            Field("end", "To", "time", is_nullable=True, default=None),
        ]

    def build_venue_fields(self, place: str, venue: Mapping[str, Any]) -> dict[str, list[Field]]:
        """Return the fields of a venue by section."""
        return {
            "account": build_account_fields(place),
            "fill_model": build_fill_fields(place, venue),
            "fee_model": build_fee_fields(place, venue),
            "latency_model": build_latency_fields(place, venue),
        }

    def build_limits(self) -> list[Field]:
        """Return the fields of the risk gate."""
        units = {}
        for one in filter(None, map(self.known.get, self.picks)):
            instrument = one.get("instrument") or {}
            is_pair = instrument.get("kind") == "CurrencyPair"  # Others may count contracts
            units[str(one["instrument_id"])] = str(instrument["base_currency"]) if is_pair else "units"
        return build_limit_fields(self.config, units)

    def build_all(self) -> list[Field]:
        """Return all fields."""
        fields = [*self.build_parameters(), *self.build_range(), *self.build_limits()]
        fields += self.sizing.build_fields() if self.sizing.place else ()
        for place, venue in self.venues:
            for section in self.build_venue_fields(place, venue).values():
                fields += section
        return fields

    # ---- what is wrong

    def find_empty(self) -> list[Field]:
        """Return the fields that have to be filled in and have not been touched yet."""
        if self.is_strict:
            return []
        places = [(one, self.config) for one in self.build_all()]
        if self.sizing.is_computed:
            places += [(one, self.sizing.choice.document) for one in self.sizing.build_fields()]
        return [
            one
            for one, document in places
            if one.is_required
            and one.default is MISSING
            and one.path not in self.touched
            and find_value(document, one.path) in (MISSING, "")
        ]

    def find_errors(self) -> dict[str, str]:
        """
        Return what is wrong, by place: what can be told here, then what the server said.

        Places are the paths of fields, ``strategy``, ``data``, ``parameters`` (a rule between them), ``limits`` and the
        models, such as ``venues.0.fill_model``; what fits nowhere is under an empty place, a line for each.
        """
        fields = self.build_all()
        errors = {}
        for one in fields:
            value = find_value(self.config, one.path)
            if value is MISSING and one.default is not MISSING:
                continue
            if words := one.check(value):
                errors[one.path] = words
        if self.sizing.is_computed:
            errors |= self.sizing.choice.find_errors(self.sizing.build_fields())
        paths = {one.path for one in fields}
        for refusal in self.refusals:
            place = self._find_place(refusal.field, paths)
            words = _begin(str(refusal))
            if any(path.startswith(f"{place}.") for path in errors):
                continue  # It says again what a field inside has said already
            if place in ("", "data"):
                errors[place] = "\n".join(filter(None, (errors.get(place, ""), words)))
            else:
                errors.setdefault(place, words)
        for empty in self.find_empty():
            errors.pop(empty.path, None)
        if len(errors) > 1 and "" in self.sizing.choice.refusals:
            errors.pop(self.sizing.choice.place, None)  # It may say again what is wrong elsewhere
        return errors

    def _find_place(self, place: str, paths: set[str]) -> str:
        parents = place.split(".")
        for count in range(len(parents), 0, -1):
            if (path := ".".join(parents[:count])) in paths:
                return path
        if place in (f"{STRATEGY}.config", f"{STRATEGY}.config_path") and self.description is not None:
            return "parameters"
        if place.startswith(f"{STRATEGY}.") and not place.startswith(f"{STRATEGY}.config."):
            return "strategy"
        if parents[0] == "data":
            return "data"
        if self.sizing.place and place == self.sizing.place:
            return place
        if ".".join(parents[:3]) == find_gate(self.config):
            return "limits"
        if parents[0] == "venues" and len(parents) > 2 and parents[2] in MODEL_CHOICES:
            return ".".join(parents[:3])
        return ""

    # ---- changes

    def remember(self, what: str = "") -> None:
        """Keep the configuration for `undo`; what is typed into one field counts as one change."""
        if what and self._undo and self._undo[-1][0] == what:
            return
        self._undo = [*self._undo[1 - _MOST_UNDO :], (what, copy.deepcopy(self.config))]

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._undo)

    def undo(self) -> None:
        """Go back to the configuration before the last change."""
        if self._undo:
            _, self.config = self._undo.pop()
            self.refusals = ()
            self.sizing.choice.reset()

    def write_json(self) -> str:
        """Return the configuration as JSON for people."""
        return json.dumps(self.config, indent=2, ensure_ascii=False)

    def load(self, config: Mapping[str, Any]) -> None:
        """Show another configuration; everything that is wrong in it is shown."""
        self.remember()
        self.config = json.loads(json.dumps(config))
        self.is_strict = True
        self.draft, self.draft_error = None, ""
        self.refusals, self.preview, self.notice, self.parted_gate = (), None, "", None
        self.sizing.choice.reset()

    def set_text(self, path: str, given: Any) -> bool:
        """Take what was typed into a field, or chosen; return whether that changes the configuration."""
        parent, _, name = path.rpartition(".")
        self.touched.add(path)
        is_venue = parent.startswith("venues.") and parent.count(".") == 1
        if is_venue and name in _CHOOSERS:
            return self._choose_model(parent, name, str(given))
        if parent == self.sizing.choice.place:
            return self.sizing.set_text(path, given)
        one = next((f for f in self.build_all() if f.path == path), None)
        if one is None:
            return False
        value = one.read(given) if isinstance(given, str) else given
        if value is None and one.default is MISSING and not one.is_required:
            value = MISSING
        old = find_value(self.config, path)
        if value is old or (value == old and type(value) is type(old)):
            return False
        self.remember(path)
        venue = find_value(self.config, parent)
        if is_venue and name == "account_type":
            set_account_type(venue, value, is_currency_pair=has_pair(map(self.known.get, self.picks), venue))
        elif is_venue and name == "starting_balances" and value is not MISSING:
            set_balances(venue, value)
        elif path.startswith(gate := f"{find_gate(self.config)}.config."):
            self.parted_gate = set_limit(self.config, path.removeprefix(gate), value, self.parted_gate)
        elif self.sizing.place and parent == self.sizing.place:
            self.sizing.set_part(name, value)
        elif value is MISSING:
            remove_value(self.config, path)
        else:
            set_value(self.config, path, value)
        target = self.sizing.find_target()
        if target is not None and target.path == path:
            self.sizing.choice.reset()  # Typed by hand, it is not the computed one any more
        self.forget_refusals(path)
        return True

    def _choose_model(self, place: str, name: str, choice: str) -> bool:
        venue = find_value(self.config, place)
        if not isinstance(venue, dict):
            return False
        before = venue.get(name)
        model = _CHOOSERS[name](choice, before)
        if model == before:
            return False
        self.remember()
        venue[name] = model
        self.forget_refusals(f"{place}.{name}")
        return True

    def forget_refusals(self, path: str) -> None:
        """Forget what the server said of a place, and of rules between places: it has changed."""
        parameters = f"{STRATEGY}.config"
        self.refusals = [
            r
            for r in self.refusals
            if not (r.field == path or r.field.startswith(f"{path}.") or path.startswith(f"{r.field}."))
            and r.field != parameters
        ]

    def choose_data(self, dataset: Mapping[str, Any]) -> None:
        """
        Read other data first; what else was read of the old instrument is left out.

        Bars of one side bring the other with them: without it no order can fill.
        """
        before, known = self.picks, self.known
        old = known.get(before[0], {}).get("instrument_id") if before else None
        rest = [p for p in before[1:] if known.get(p, {}).get("instrument_id") != old]
        for pick in before:
            remove_pick(self.config, pick)
        first = pick_of(dataset)
        sibling = find_sibling([first], known)
        for pick in (first, *([pick_of(sibling)] if sibling else []), *rest):
            add_pick(self.config, pick)
        self.follow(before)

    def follow(self, before: Sequence[Pick] = ()) -> None:
        """Bring venues and the strategy's instrument in line with the data."""
        names = [one.name for one in self.build_parameters()]
        follow_data(self.config, self.known, before=before, names=names)


def _begin(words: str) -> str:
    """Return words with a capital at their beginning, but for a name in code."""
    is_code = any(mark in words.partition(" ")[0] for mark in "_.")
    return words if is_code else f"{words[:1].upper()}{words[1:]}"
