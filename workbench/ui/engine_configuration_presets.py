"""The presets of an engine's configuration as HTML: each with how far it was tried, one of them to be filled in."""

from __future__ import annotations

from html import escape

from workbench.ui.engine_configuration_sections import build_trial
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.inputs import build_field
from workbench.ui.places import MISSING

__all__ = ["PresetCards"]


class PresetCards:
    """
    What one rendering of the presets needs.

    Parameters
    ----------
    state : EngineConfigurationState
        What it shows.
    prefix : str
        Of the ids.
    off : str
        The attributes of a button that the reader may not press; nothing for one who may.

    """

    def __init__(self, state: EngineConfigurationState, *, prefix: str, off: str = "") -> None:
        self._state = state
        self._prefix = prefix
        self._off = off

    def build_html(self) -> str:
        """Return what a configuration can begin with."""
        state = self._state
        cards = "".join(self._build_preset(one) for one in state.presets)
        first = (
            f"The engine {escape(state.name)} has no configuration yet. Begin with a preset, or "
            if state.config is None
            else "Begin anew with a preset; it replaces what stands here until it is saved. Or "
        )
        back = (
            ""
            if state.config is None
            else " <button class='wb-link' type='button' data-action='presets'>go back to it</button>."
        )
        load = (
            f"<label class='wb-link wb-file'>load one from a file<input type='file' id='{self._prefix}-file0' "
            "data-action='load' accept='.json,application/json' aria-label='Load a configuration from a file'></label>"
        )
        return (
            f"<div class='wb-note'>{first}{load if state.config is None else ''}{back}</div>"
            f"<div class='wb-presets-grid'>{cards}</div>"
        )

    def _build_preset(self, preset: dict[str, object]) -> str:
        state = self._state
        name, title = str(preset["name"]), str(preset["title"])
        environment = str(preset["environment"])
        is_chosen = name == state.preset
        badge = (
            f"<span class='wb-badge {'live' if environment == 'LIVE' else 'sandbox'}'>{environment}</span>"
        )
        body = ""
        if is_chosen:
            errors = {r.field: str(r) for r in state.refusals}
            fields = "".join(
                build_field(
                    one,
                    state.answers.get(one.name, MISSING),
                    prefix=self._prefix,
                    error=errors.get(one.name, ""),
                )
                for one in state.build_answers()
            )
            body = (
                f"<div class='wb-trio'>{fields}</div><div class='wb-actions'><button class='wb-btn p' type='button' "
                f"id='{self._prefix}-begin' data-action='begin' data-shortcut='ctrl+enter'{self._off}>Begin with it"
                "</button><small class='mute'>Nothing is saved yet.</small></div>"
            )
        else:
            body = (
                f"<div class='wb-actions'><button class='wb-btn' type='button' id='{self._prefix}-preset-{name}' "
                f"data-action='preset' data-key='{name}'>Choose</button></div>"
            )
        return (
            f"<section class='wb-card wb-preset{' is-chosen' if is_chosen else ''}' "
            f"aria-label='{escape(title, quote=True)}'>"
            f"<div class='wb-part-head'><b>{escape(title)}</b>{badge}{build_trial(preset)}</div>"
            f"<p>{escape(str(preset['help']))}</p><small class='mute'>{escape(str(preset['tried']))}</small>{body}"
            "</section>"
        )
