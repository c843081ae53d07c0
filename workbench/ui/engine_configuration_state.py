"""What a form for an engine's configuration knows: the edits, what they began with, and what is wrong where."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.engine_records import CheckOutcome, ConfigCheck, ConfigVersion
from workbench.errors import ConfigError, WorkbenchError
from workbench.secret_names import is_reference, is_secret_text
from workbench.ui.engine_configuration_edits import Edit, find_edits, merge_edits, take_out_secrets
from workbench.ui.engine_configuration_fields import (
    POLICIES,
    build_general_fields,
    build_node_fields,
    build_part_fields,
    build_preset_fields,
    build_risk_fields,
    is_secret_field,
)
from workbench.ui.engine_configuration_parts import CLIENTS, list_clients, list_strategies, set_limit
from workbench.ui.fields import Field
from workbench.ui.places import MISSING, find_value, remove_value, set_value

__all__ = ["EngineConfigurationState"]

_MOST_UNDO = 50
_PASTED = (
    "What was typed here looks like the secret itself: it was not kept, and is not shown. Put it into the environment "
    "of the engine or the keyring, and name it here: env:NAME"
)


@dataclass
class EngineConfigurationState:
    """
    What the form shows.

    Attributes
    ----------
    name : str
        The engine.
    config : dict, optional
        The configuration as it stands, with what cannot be read as it was typed; ``None`` before there is one.
    base : ConfigVersion, optional
        The version that the edits began with; ``None`` where there is none yet.
    versions : list of ConfigVersion
        All of them, the last one first.
    presets, adapters, strategies : list of dict
        What there is to choose from.
    parts : dict of str to dict
        What is known of classes, by their import paths; an error where nothing can be.
    refusals : Sequence of WorkbenchError
        What the server says is wrong.
    checks : list of ConfigCheck, optional
        What the last check found; `checked` is what it looked at.
    conflict : ConfigVersion, optional
        A later version, by somebody else.
    preset : str
        The preset that is being filled in; `answers` are its parameters.
    is_choosing : bool
        Whether the presets are shown.
    comment : str
        Why, for the version.
    problem, notice, lost : str
        What went wrong with the form, what was done, and why the server does not answer.
    opened, touched : set of str
        The parts of the form that are open; the fields that somebody has changed.
    draft, draft_error : str, optional
        The JSON that is being edited, ``None`` when it is not; and what is wrong with it.
    diff : tuple, optional
        Two versions that are compared, and their differences once they are known.

    """

    name: str
    config: dict[str, Any] | None = None
    base: ConfigVersion | None = None
    versions: list[ConfigVersion] = field(default_factory=list)
    presets: list[dict[str, Any]] = field(default_factory=list)
    adapters: list[dict[str, Any]] = field(default_factory=list)
    strategies: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[str, dict[str, Any] | WorkbenchError] = field(default_factory=dict)
    refusals: Sequence[WorkbenchError] = ()
    checks: list[ConfigCheck] | None = None
    checked: dict[str, Any] | None = None
    conflict: ConfigVersion | None = None
    preset: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    is_choosing: bool = False
    is_loaded: bool = False
    comment: str = ""
    problem: str = ""
    notice: str = ""
    lost: str = ""
    draft: str | None = None
    draft_error: str = ""
    diff: tuple[int, int, list[Edit] | None] | None = None
    opened: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    is_strict: bool = False
    pasted: dict[str, int] = field(default_factory=dict)
    adding: dict[str, str] = field(default_factory=dict)
    _undo: list[tuple[str, dict[str, Any] | None]] = field(default_factory=list)

    # ---- what there is

    @property
    def base_version(self) -> int:
        """The number of the version that the edits began with; 0 without one."""
        return 0 if self.base is None else self.base.version

    @property
    def saved(self) -> dict[str, Any]:
        """The configuration that the edits began with."""
        return {} if self.base is None else self.base.config

    @property
    def environment(self) -> str:
        """The environment; LIVE unless it is certainly SANDBOX."""
        return "SANDBOX" if (self.config or {}).get("environment", "SANDBOX") == "SANDBOX" else "LIVE"

    @property
    def edits(self) -> list[Edit]:
        """What is different from the version that the edits began with."""
        return [] if self.config is None else find_edits(self.saved, self.config)

    @property
    def is_edited(self) -> bool:
        """Whether there is something to save."""
        return self.config is not None and (self.base is None or bool(self.edits))

    @property
    def is_checked(self) -> bool:
        """Whether the last check looked at what stands here now."""
        return self.checks is not None and self.checked == self.config

    def list_needed(self) -> dict[str, str]:
        """Return the import paths whose schemas the form needs and does not have, each with its kind."""
        needed = dict.fromkeys(POLICIES.values(), "client")
        for kind in CLIENTS:
            needed |= {
                str(c.get("path") or ""): "client" for _, _, c in list_clients(self.config or {}, kind)
            }
        needed |= {
            str(s.get("strategy_path") or ""): "strategy" for _, s in list_strategies(self.config or {})
        }
        return {path: kind for path, kind in needed.items() if path and path not in self.parts}

    def find_part(self, path: Any) -> dict[str, Any] | None:
        """Return what is known of a class."""
        found = self.parts.get(path) if isinstance(path, str) else None
        return found if isinstance(found, dict) else None

    @property
    def has_database(self) -> bool:
        """Whether the cache is kept in a database."""
        return isinstance(find_value(self.config or {}, "node.cache.database"), dict)

    # ---- the fields

    def build_client_fields(self, place: str, client: Mapping[str, Any]) -> list[Field]:
        """Return the fields of a client."""
        part = self.find_part(client.get("path"))
        return [] if part is None else build_part_fields(part, f"{place}.config")

    def build_strategy_fields(self, place: str, strategy: Mapping[str, Any]) -> list[Field]:
        """Return the fields of a strategy."""
        part = self.find_part(strategy.get("strategy_path"))
        return [] if part is None else build_part_fields(part, f"{place}.config")

    def build_policy_fields(self, place: str) -> list[Field]:
        """Return the fields of a part that every engine has."""
        part = self.find_part(POLICIES[place])
        fields = [] if part is None else build_part_fields(part, place)
        return [one for one in fields if one.path != "node.cache.database.type"]

    def build_risk(self) -> list[Field]:
        """Return the limits."""
        config = self.config or {}
        return build_risk_fields(config.get("risk"), str(config.get("currency") or ""))

    def build_answers(self) -> list[Field]:
        """Return the fields of the preset that is being filled in."""
        chosen = next((one for one in self.presets if one["name"] == self.preset), None)
        return [] if chosen is None else build_preset_fields(chosen["parameters"])

    def build_all(self) -> list[Field]:
        """Return all fields of the configuration."""
        fields = [*build_general_fields(), *self.build_risk(), *build_node_fields(self.name)]
        for kind in CLIENTS:
            for place, _, client in list_clients(self.config or {}, kind):
                fields += self.build_client_fields(place, client)
        for place, strategy in list_strategies(self.config or {}):
            fields += self.build_strategy_fields(place, strategy)
        for place in POLICIES:
            if place != "node.cache.database" or self.has_database:
                fields += self.build_policy_fields(place)
        return fields

    # ---- what is wrong

    def find_errors(self) -> dict[str, str]:
        """
        Return what is wrong, by place: what can be told here, then what the server said.

        Places are the paths of fields, of clients (``node.data_clients.X``) and strategies (``node.strategies.0``), and
        ``risk``; what fits nowhere is under an empty place, a line for each.
        """
        if self.config is None:
            return {}
        fields = self.build_all()
        errors = {}
        for one in fields:
            value = find_value(self.config, one.path)
            if value is MISSING and (one.default is not MISSING or not self._is_due(one)):
                continue
            if words := one.check(value):
                errors[one.path] = words
        paths = {one.path for one in fields}
        for place in self.pasted:
            if place in paths:
                errors[place] = _PASTED
            else:
                errors[""] = "\n".join(filter(None, (errors.get("", ""), f"{place}: {_PASTED}")))
        for refusal in self.refusals:
            place = self._find_place(refusal.field, paths)
            words = str(refusal)
            if place:
                errors.setdefault(place, words)
            else:
                where = f"{refusal.field}: " if refusal.field and refusal.field not in words else ""
                errors[""] = "\n".join(filter(None, (errors.get("", ""), f"{where}{words}")))
        return errors

    def _is_due(self, one: Field) -> bool:
        return self.is_strict or one.path in self.touched

    def _find_place(self, place: str, paths: set[str]) -> str:
        steps = place.split(".")
        owners = {p for kind in CLIENTS for p, _, _ in list_clients(self.config or {}, kind)}
        owners |= {p for p, _ in list_strategies(self.config or {})} | {"risk"}
        for count in range(len(steps), 0, -1):
            if (path := ".".join(steps[:count])) in paths or path in owners:
                return path
        return ""

    # ---- changes

    def remember(self, what: str = "") -> None:
        """Keep the configuration for `undo`; what is typed into one field counts as one change."""
        self.notice = ""
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
            self.pasted.clear()

    def begin(self, version: ConfigVersion | None) -> None:
        """Show a version as it is, without edits."""
        self.base = version
        self.config = None if version is None else copy.deepcopy(version.config)
        self.refusals, self.conflict, self.comment, self.is_strict = (), None, "", False
        self._undo.clear()
        self.touched.clear()
        self.pasted.clear()

    def load(self, config: Mapping[str, Any], *, comment: str = "") -> None:
        """Show another configuration as edits; a secret in the clear is taken out of it, and told at its field."""
        self.remember()
        found, places = take_out_secrets(json.loads(json.dumps(config)))
        self.config = found
        self.pasted = dict.fromkeys(places, 1)
        self.draft, self.draft_error, self.refusals, self.is_strict = None, "", (), True
        self.is_choosing, self.preset = False, ""
        self.comment = comment or self.comment

    def write_json(self) -> str:
        """Return the configuration as JSON for people."""
        return json.dumps(self.config or {}, indent=2, ensure_ascii=False)

    def take_saved(self, version: ConfigVersion) -> None:
        """Note that the edits are a version now; what was changed meanwhile stays an edit."""
        self.base, self.conflict, self.refusals, self.comment = version, None, (), ""
        self.versions = [version, *(one for one in self.versions if one.version != version.version)]
        self.is_strict = False

    def take_refusal(self, error: WorkbenchError) -> None:
        """Take what the server says is wrong."""
        self.refusals, self.is_strict = error.errors or (error,), True

    def take_checks(self, checks: list[ConfigCheck], checked: dict[str, Any]) -> None:
        """Take what a check has found; what is wrong is shown at its field too."""
        self.checks, self.checked = checks, checked
        if checked == self.config:
            self.refusals = [
                ConfigError(one.message, advice=one.advice, field=one.field)
                for one in checks
                if one.outcome is CheckOutcome.WRONG
            ]

    def take_theirs(self, theirs: ConfigVersion) -> list[str]:
        """Put the edits onto a later version; return the places that both have changed, in which the edits win."""
        self.remember()
        self.config, clashes = merge_edits(self.saved, self.config, theirs.config)
        self.base, self.conflict = theirs, None
        return clashes

    def set_text(self, path: str, given: Any) -> bool:
        """Take what was typed into a field, or chosen; return whether there is something new to show."""
        if path.startswith("preset."):
            one = next((f for f in self.build_answers() if f.path == path), None)
            if one is not None:
                self.answers[one.name] = "" if given is None else str(given)
                self.refusals = [r for r in self.refusals if r.field != one.name]
            return one is not None
        one = next((f for f in self.build_all() if f.path == path), None)
        if one is None or self.config is None:
            return False
        self.touched.add(path)
        if isinstance(given, str) and given.strip() and _is_pasted(one, given.strip()):
            # The number gives its input another id: what was typed must not stay on the screen.
            self.pasted[path] = self.pasted.get(path, 0) + 1
            return True
        was_pasted = self.pasted.pop(path, None) is not None
        value = one.read(given) if isinstance(given, str) else given
        if (value is None and one.default is MISSING and not one.is_required) or path.startswith("risk."):
            value = MISSING if value is None else value
        old = find_value(self.config, path)
        if value is old or (value == old and type(value) is type(old)):
            return was_pasted
        self.remember(path)
        if path.startswith("risk."):
            set_limit(self.config, path, value)
        elif value is MISSING:
            remove_value(self.config, path)
        else:
            set_value(self.config, path, value)
        self._forget_refusals(path)
        return True

    def _forget_refusals(self, path: str) -> None:
        self.refusals = [
            r
            for r in self.refusals
            if r.field != path and not r.field.startswith(f"{path}.") and not path.startswith(f"{r.field}.")
        ]

    def change(self, do: Callable[[dict[str, Any]], str | None]) -> None:
        """Add a part or take one out: `do` changes the configuration, and returns a place that is to be open."""
        if self.config is not None:
            self.remember()
            place = do(self.config)
            self.refusals = ()  # Their places may be those of others now
            paths = {one.path for one in self.build_all()}
            self.pasted = {path: count for path, count in self.pasted.items() if path in paths}
            if place:
                self.opened.add(place)


def _is_pasted(one: Field, text: str) -> bool:
    return is_secret_text(text) or (is_secret_field(one) and not is_reference(text))
