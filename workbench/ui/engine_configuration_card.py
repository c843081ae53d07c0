"""The form for an engine's configuration as HTML: its head, the form, and beside it what is saved, checked and kept."""

from __future__ import annotations

from html import escape

from workbench.ui.engine_commands import EngineCommands
from workbench.ui.engine_configuration_presets import PresetCards
from workbench.ui.engine_configuration_sections import EngineSections
from workbench.ui.engine_configuration_side import EngineSide
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.formats import format_time

__all__ = ["EngineCard"]


class EngineCard:
    """
    What one rendering of the form needs.

    Parameters
    ----------
    state : EngineConfigurationState
        What it shows.
    commands : EngineCommands
        What is being done, and asked.
    prefix : str
        Of the ids: it tells the forms of a page apart.
    is_checking : bool
        Whether the server looks at it.
    running : int
        The version that a running engine runs; 0 where none runs.
    can_trade : bool
        Whether the reader may change anything.

    """

    def __init__(
        self,
        state: EngineConfigurationState,
        commands: EngineCommands,
        *,
        prefix: str,
        is_checking: bool = False,
        running: int = 0,
        can_trade: bool = True,
    ) -> None:
        self._state = state
        self._commands = commands
        self._prefix = prefix
        self._is_checking = is_checking
        self._running = running
        self._can_trade = can_trade
        self._errors = state.find_errors()
        self._off = "" if can_trade else " disabled title='Your role may look, and not trade'"

    def build_html(self) -> str:
        """Return the form."""
        state = self._state
        if not state.is_loaded:
            wait = "<div class='wb-empty' role='status'>Asking the server what there is…</div>"
            body = "" if state.lost else wait
            return f"<div class='wb-econf'><div class='wb-card'>{self._build_title()}{body}</div></div>"
        if state.draft is not None:
            main = f"<div class='wb-card'>{self._build_json()}</div>"
        elif state.is_choosing or state.config is None:
            main = PresetCards(state, prefix=self._prefix, off=self._off).build_html()
        else:
            main = EngineSections(state, self._errors, prefix=self._prefix).build_html()
        aside = "" if state.config is None else f"<div class='wb-econf-side'>{self._build_aside()}</div>"
        alone = " is-alone" if state.config is None else ""
        return (
            f"<div class='wb-econf wb-config' data-lm-suppress-shortcuts='true'><div class='wb-card wb-econf-top'>"
            f"{self._build_title()}{self._build_bars()}</div><div class='wb-econf-body{alone}'>"
            f"<div class='wb-stack'>{main}</div>{aside}</div></div>"
        )

    # ---- the head

    def _build_title(self) -> str:
        state = self._state
        if state.base is None:
            words = "not saved yet" if state.config is not None else "no version yet"
        else:
            at = format_time(state.base.at)
            words = f"version {state.base.version}, by {state.base.by}, {at} UTC"
        if self._running and self._running != state.base_version:
            words += f" · the engine runs version {self._running}"
        mark = (
            f" <span class='wb-edits' role='status'>{_count_edits(state)}</span>" if state.is_edited else ""
        )
        links = ""
        if state.is_loaded and state.config is not None:
            undo = "<button class='wb-link' type='button' data-action='undo'>Undo</button>"
            pressed = "true" if state.draft is not None else "false"
            discard = " data-confirm='Discard what was typed'" if _is_typed(state) else ""
            links = (
                f"{undo if state.can_undo and state.draft is None else ''}"
                "<button class='wb-link' type='button' data-action='presets' "
                f"aria-pressed='{str(state.is_choosing).lower()}'>Presets</button>"
                f"<button class='wb-link' type='button' data-action='json' aria-pressed='{pressed}'{discard}>JSON"
                "</button>"
                f"<label class='wb-link wb-file'>Load<input type='file' id='{self._prefix}-file' data-action='load' "
                "accept='.json,application/json' aria-label='Load a configuration from a file'></label>"
                "<button class='wb-link' type='button' data-action='export' title='As a file'>Export</button>"
            )
        live = ""
        if state.config is not None:
            is_live = state.environment == "LIVE"
            live = f"<span class='wb-badge {'live' if is_live else 'sandbox'}'>{state.environment}</span> "
        return (
            "<div class='wb-head' role='heading' aria-level='2'><span>Configuration of "
            f"{escape(state.name)} {live}<small class='mute'>{escape(words)}</small>{mark}</span>"
            f"<span class='r'>{links}</span></div>"
        )

    def _build_bars(self) -> str:
        state = self._state
        parts = []
        if state.lost:
            parts.append(
                f"<div class='wb-problem' role='alert'>The server does not answer. {escape(state.lost)} What stands "
                "here is kept. <button class='wb-btn' type='button' data-action='retry'>Try again</button></div>"
            )
        words = [state.problem, *(self._errors.get("", "").split("\n") if state.draft is None else [])]
        lines = "".join(f"<div>{escape(line)}</div>" for line in words if line)
        if lines:
            parts.append(f"<div class='wb-problem' role='alert'>{lines}</div>")
        parts += [
            f"<div class='wb-problem' role='alert'>{escape(str(error))} <button class='wb-link' type='button' "
            f"data-action='forget' data-key='{escape(key, quote=True)}'>Dismiss</button></div>"
            for key, error in self._commands.errors.items()
        ]
        return "".join(parts)

    # ---- JSON

    def _build_json(self) -> str:
        state = self._state
        own = f"{self._prefix}-json"
        error = f"<div class='wb-error' id='{own}-error' role='alert'>{escape(state.draft_error)}</div>"
        invalid = f" aria-invalid='true' aria-describedby='{own}-error'" if state.draft_error else ""
        text = state.draft or ""
        discard = " data-confirm='Discard what was typed'" if _is_typed(state) else ""
        return (
            f"<div class='wb-form'><div class='wb-field'><label for='{own}'>EngineConfig, to read, edit or paste; "
            f"secrets are references</label><textarea class='wb-input wb-json' id='{own}' rows='28' spellcheck='false' "
            f"data-action='json-edit'{invalid}>\n{escape(text)}</textarea>{error if state.draft_error else ''}</div>"
            "<div class='wb-actions'><button class='wb-btn p' type='button' data-action='json-apply'>Apply</button>"
            f"<button class='wb-btn' type='button' data-copy='{escape(text, quote=True)}'>Copy</button>"
            f"<button class='wb-btn' type='button' data-action='json-close'{discard}>Back</button></div></div>"
        )

    def _build_aside(self) -> str:
        return EngineSide(
            self._state,
            self._errors,
            prefix=self._prefix,
            commands=self._commands,
            is_checking=self._is_checking,
            running=self._running,
            off=self._off,
        ).build_html()


def _count_edits(state: EngineConfigurationState) -> str:
    count = len(state.edits)
    if state.base is None:
        return "unsaved"
    return f"{count:,} unsaved edit{'' if count == 1 else 's'}"


def _is_typed(state: EngineConfigurationState) -> bool:
    return state.draft is not None and state.draft != state.write_json()
