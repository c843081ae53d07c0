"""How large the orders of the run are that a form makes: the strategy's own sizing, or one size computed before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.ui.fields import Field
from workbench.ui.forms import build_fields
from workbench.ui.places import MISSING, find_value, set_value
from workbench.ui.run_form import STRATEGY
from workbench.ui.sizing import SizeChoice, build_sizing_fields, find_sizes, find_sizing_name, set_sizing

if TYPE_CHECKING:
    from workbench.ui.configuration_state import ConfigurationState

__all__ = ["RunSizing"]


class RunSizing:
    """
    The sizing of the run in a form.

    Parameters
    ----------
    state : ConfigurationState
        What the form knows.

    Attributes
    ----------
    choice : SizeChoice
        How the one size of a strategy that knows no sizing is chosen.

    """

    def __init__(self, state: ConfigurationState) -> None:
        self._state = state
        self.choice = SizeChoice()

    @property
    def place(self) -> str:
        """The place of the strategy's own sizing, which it asks at every opening order; empty without one."""
        name, _ = self._find_own()
        return f"{STRATEGY}.config.{name}" if name else ""

    def _find_own(self) -> tuple[str, bool]:
        description = self._state.description
        if description is None or not self._state.is_described:
            return "", False
        return find_sizing_name(description["schema"])

    @property
    def unit(self) -> str:
        """What the quantities of the first instrument count; empty where that is not said."""
        return str(((self._state.first or {}).get("instrument") or {}).get("base_currency") or "")

    def add_unit(self, one: Field) -> Field:
        """Say of a parameter what it counts, where it is a size."""
        is_size = one.name in ("trade_size", "quantity", "order_qty")
        return replace(one, unit=self.unit) if is_size and self.unit else one

    @property
    def default(self) -> Any:
        """What the strategy takes where its configuration names no sizing; `MISSING` if it has to."""
        fields = build_fields((self._state.description or {})["schema"], f"{STRATEGY}.config", depth=0)
        return next((one.default for one in fields if one.path == self.place), MISSING)

    def build_fields(self) -> list[Field]:
        """Return the fields of the strategy's own sizing; without one, those of a size that is computed once."""
        state, (name, is_nullable) = self._state, self._find_own()
        first = state.first or {}
        instrument = first.get("instrument") or {}
        venue = state.venues[0][1] if state.venues else {}
        facts: dict[str, Any] = {
            "unit": self.unit,
            "currency": str(venue.get("base_currency") or instrument.get("quote_currency") or ""),
            "bar_spec": str(first.get("bar_spec") or ""),
            "is_always_open": str(instrument.get("kind")).startswith("Crypto"),
        }
        if not name:
            place = self.choice.place
            return build_sizing_fields(place, self.choice.document[place], **facts)
        given = find_value(state.config, self.place)
        return build_sizing_fields(self.place, given, default=self.default, is_nullable=is_nullable, **facts)

    def find_targets(self) -> list[Field]:
        """Return the parameters that say how large the orders are, where the strategy knows no sizing."""
        return [] if self.place else find_sizes(self._state.build_parameters())

    def find_target(self) -> Field | None:
        """Return the one of them that takes the size."""
        return self.choice.find_target(self.find_targets())

    @property
    def is_computed(self) -> bool:
        """Whether one size is to be computed before the run."""
        return self.choice.is_computed and bool(self.find_targets())

    def set_part(self, name: str, value: Any) -> None:
        """Set a part of the strategy's own sizing."""
        if name == "method":
            self._state.touched -= {f"{self.place}.amount", f"{self.place}.periods_per_year"}
        set_sizing(self._state.config, self.place, name, value, default=self.default)

    def set_text(self, path: str, given: Any) -> bool:
        """Take what was filled in for a size that is computed once; it is not in the configuration."""
        place, _, name = path.rpartition(".")
        one = next((f for f in self.build_fields() if f.path == path), None)
        if one is None or self.place or not isinstance(given, str):
            return False
        value = one.read(given)
        if find_value(self.choice.document, path) == value:
            return False
        if name == "method":
            self._state.touched -= {f"{place}.amount", f"{place}.periods_per_year"}
        set_sizing(self.choice.document, place, name, MISSING if value is None else value)
        self.choice.forget()
        return True

    def take(self, answer: dict[str, Any], target: Field) -> bool:
        """Take the quantity that was computed into the configuration; return whether that changes it."""
        state, choice = self._state, self.choice
        choice.answer, choice.refusals, choice.is_asking = answer, {}, False
        value = target.read(str(answer["quantity"])) if answer["quantity"] is not None else MISSING
        if value is MISSING or find_value(state.config, target.path) == value:
            return False
        state.remember("size")
        state.touched.add(target.path)
        set_value(state.config, target.path, value)
        state.forget_refusals(target.path)
        return True
