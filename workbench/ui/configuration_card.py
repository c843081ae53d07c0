"""The form for a run as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from workbench.ui.configuration_sections import Sections
from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.fields import Field
from workbench.ui.formats import format_bytes, format_duration, format_time
from workbench.ui.inputs import build_field
from workbench.ui.sizing_section import SizingSection

__all__ = ["CardForm"]


class CardForm:
    """
    What one rendering of the form needs.

    Parameters
    ----------
    state : ConfigurationState
        What it shows.
    prefix : str
        Of the ids: it tells the forms of a page apart.
    has_sweep : bool
        Whether there is somebody to begin a sweep.

    """

    def __init__(self, state: ConfigurationState, *, prefix: str = "wb-cfg", has_sweep: bool = False) -> None:
        self._state = state
        self._prefix = prefix
        self._has_sweep = has_sweep
        self._errors = state.find_errors()
        is_edited = state.draft is not None and state.draft != state.write_json()
        self._discard = " data-confirm='Discard the edits'" if is_edited else ""

    def build_html(self) -> str:
        """Return the card."""
        state = self._state
        if state.draft is not None:
            body = self._build_json()
        elif state.strategies is None or state.datasets is None:
            body = (
                ""
                if state.lost
                else "<div class='wb-empty' role='status'>Asking the server what there is…</div>"
            )
        elif not state.datasets and not state.picks:
            body = _build_no_data()
        else:
            body = self._build_form()
        return f"<div class='wb-card wb-config'>{self._build_head()}{self._build_lost()}{body}</div>"

    def _build_head(self) -> str:
        state = self._state
        undo = "<button class='wb-link' data-action='undo' title='Undo the last change'>Undo</button>"
        links = (
            f"{undo if state.can_undo and state.draft is None else ''}"
            f"<button class='wb-link{' on' if state.draft is not None else ''}' data-action='json'{self._discard} "
            f"aria-pressed='{'true' if state.draft is not None else 'false'}'>JSON</button>"
            f"<label class='wb-link wb-file'>Load<input type='file' id='{self._prefix}-file' data-action='load' "
            "accept='.json,application/json' aria-label='Load a configuration from a file'></label>"
            "<button class='wb-link' data-action='save' title='Save the configuration as a file'>Save</button>"
        )
        return (
            "<div class='wb-head' role='heading' aria-level='3'>Configuration"
            f"<span class='r'>{links}</span></div>"
        )

    def _build_lost(self) -> str:
        state = self._state
        parts = []
        if state.lost:
            parts.append(
                f"<div class='wb-problem' role='alert'>The server does not answer. {escape(state.lost)} "
                "<button class='wb-btn' data-action='retry'>Try again</button></div>"
            )
        words = (
            [state.problem, *self._errors.get("", "").split("\n")] if state.draft is None else [state.problem]
        )
        lines = "".join(f"<div>{escape(line)}</div>" for line in words if line)
        if lines:
            parts.append(f"<div class='wb-problem' role='alert'>{lines}</div>")
        return "".join(parts)

    def _build_json(self) -> str:
        state = self._state
        own = f"{self._prefix}-json"
        error = f"<div class='wb-error' id='{own}-error' role='alert'>{escape(state.draft_error)}</div>"
        invalid = f" aria-invalid='true' aria-describedby='{own}-error'" if state.draft_error else ""
        text = state.draft or ""
        return (
            f"<div class='wb-form'><div class='wb-field'><label for='{own}'>"
            "BacktestRunConfig, to read, edit or paste</label>"
            f"<textarea class='wb-input wb-json' id='{own}' rows='24' spellcheck='false' data-action='json-edit'"
            f"{invalid}>\n{escape(text)}</textarea>{error if state.draft_error else ''}</div>"
            "<div class='wb-actions'><button class='wb-btn p' data-action='json-apply'>Apply</button>"
            f"<button class='wb-btn' data-copy='{escape(text, quote=True)}'>Copy</button>"
            f"<button class='wb-btn' data-action='json-close'{self._discard}>Back</button></div></div>"
        )

    def _build_form(self) -> str:
        sections = Sections(self._state, self._errors, prefix=self._prefix)
        parts = [
            sections.build_strategy(),
            sections.build_data(),
            sections.build_range(),
            sections.build_parameters(),
            SizingSection(self._state, self._errors, prefix=self._prefix).build_html(),
            sections.build_venues(),
            sections.build_limits(),
            self._build_name(),
            self._build_run(),
        ]
        # Ctrl+Enter is the form's, not the notebook's
        return f"<div class='wb-form' data-lm-suppress-shortcuts='true'>{''.join(parts)}</div>"

    # ---- what happens with it

    def _build_name(self) -> str:
        name = Field("name", "Name", is_nullable=True)
        html = build_field(name, self._state.name, prefix=self._prefix)
        return html.replace("data-action='set'", "data-action='name'").replace(
            "='none'", "='for the list of runs'"
        )

    def _build_run(self) -> str:
        state = self._state
        preview = state.preview or {}
        is_sealed = bool(preview.get("touches_holdout"))
        label = "Run on sealed data" if is_sealed else "Run"
        confirm = " data-confirm='Use it: this is counted'" if is_sealed else ""
        keys = (
            " data-shortcut='ctrl+enter' aria-keyshortcuts='Control+Enter' title='Start the run (Ctrl+Enter)'"
        )
        off = " disabled" if state.is_submitting else ""
        buttons = (
            f"<button class='wb-btn p' id='{self._prefix}-run{'-sealed' if is_sealed else ''}' data-action='run' "
            f"data-key='{'sealed' if is_sealed else ''}'{confirm}{off}{keys}>"
            f"{'Starting…' if state.is_submitting else label}</button>"
        )
        if self._has_sweep:
            buttons += f"<button class='wb-btn' data-action='sweep'{off}>Sweep…</button>"
        return (
            f"{self._build_sealed(preview) if is_sealed else ''}"
            f"<div class='wb-actions'>{buttons}{self._build_cost()}</div>{self._build_outlook()}"
        )

    def _build_sealed(self, preview: Mapping[str, Any]) -> str:
        holdout = preview.get("holdout") or {}
        uses = int(holdout.get("uses") or 0)
        times = "never used yet" if uses == 0 else "used once" if uses == 1 else f"used {uses:,} times"
        return (
            f"<div class='wb-note warn' role='note'>{format_time(holdout.get('start'))} to "
            f"{format_time(holdout.get('end'))} of these data is sealed ({times}). A run that looks at it is counted, "
            "and shown for ever. <button class='wb-link' data-action='before-holdout'>End before it</button></div>"
        )

    def _build_cost(self) -> str:
        state = self._state
        wrong = sum(1 for place in self._errors if place) + (1 if "" in self._errors else 0)
        if wrong:
            noun = "place needs" if wrong == 1 else "places need"
            return f"<span class='bad' role='status'>{wrong} {noun} attention</span>"
        missing = [one.label for one in state.find_empty()]
        if not state.strategy_path:
            missing.insert(0, "a strategy")
        if missing:
            return f"<span class='mute' role='status'>still needed: {escape(', '.join(missing))}</span>"
        preview = state.preview
        if preview is None:
            return f"<span class='mute' role='status'>{'checking…' if state.is_checking else ''}</span>"
        parts = []
        if preview.get("predicted_secs"):
            parts.append(f"about {format_duration(float(preview['predicted_secs']))}")
        if preview.get("predicted_rss_bytes"):
            parts.append(format_bytes(int(preview["predicted_rss_bytes"])))
        stale = " stale" if state.is_checking else ""
        title = escape(str(preview.get("basis") or ""), quote=True)
        return f"<span class='mute{stale}' role='status' title='{title}'>{escape(', '.join(parts))}</span>"

    def _build_outlook(self) -> str:
        """Return what the run would read, which trial it is, and what is odd about it."""
        state = self._state
        lines = []
        preview = state.preview
        if preview is not None and not self._errors:
            trial = int(preview.get("trials") or 0) + 1
            rows = f"{int(preview.get('rows') or 0):,} rows"
            lines.append(f"<div class='wb-note'>{rows}, trial {trial:,} of this strategy on these data</div>")
            memory, needed = preview.get("memory_bytes"), preview.get("predicted_rss_bytes")
            if memory and needed and needed > memory:
                lines.append(
                    f"<div class='wb-note warn'>It needs {format_bytes(int(needed))}; runs here have "
                    f"{format_bytes(int(memory))}.</div>"
                )
            lines += [
                f"<div class='wb-note warn'>{escape(str(words)[:1].upper() + str(words)[1:])}</div>"
                for words in preview.get("warnings") or []
            ]
        if state.notice:
            lines.append(f"<div class='wb-note ok' role='status'>{escape(state.notice)}</div>")
        return "".join(lines)


def _build_no_data() -> str:
    command = (
        "workbench data import prices.csv --type bars --instrument GBP/USD.SIM --kind fx_pair "
        "--bar-type 1-MINUTE-BID --stamp open"
    )
    return (
        "<div class='wb-empty'>There are no data yet.<br>Import some in a terminal, then "
        "<button class='wb-link' data-action='retry'>look again</button>.<br><br>"
        f"<code class='wb-code'>{escape(command)}</code> "
        f"<button class='wb-link' data-copy='{escape(command, quote=True)}'>copy</button><br>"
        "<small>or <code>workbench demo</code> for a catalog of real samples</small></div>"
    )
