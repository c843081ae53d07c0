"""What stands beside the form for an engine's configuration: the edits and their save, the check, the versions."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from workbench.engine_records import CheckOutcome, ConfigCheck
from workbench.ui.engine_commands import EngineCommands
from workbench.ui.engine_configuration_edits import Edit, write_value
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.engine_question import build_question
from workbench.ui.fields import Field
from workbench.ui.formats import format_time
from workbench.ui.inputs import build_field

__all__ = ["EngineSide", "build_edits"]

_MOST_EDITS = 40
_MOST_VERSIONS = 12
_OUTCOMES = {
    CheckOutcome.WRONG: ("bad", "wrong"),
    CheckOutcome.MISSING: ("warn", "missing"),
    CheckOutcome.UNKNOWN: ("mute", "not known yet"),
    CheckOutcome.OK: ("ok", "fine"),
}


class EngineSide:
    """
    What one rendering of it needs.

    Parameters
    ----------
    state : EngineConfigurationState
        What it shows.
    errors : Mapping of str to str
        What is wrong, by place.
    prefix : str
        Of the ids.
    commands : EngineCommands
        What is being done, and asked.
    is_checking : bool
        Whether the server looks at it.
    running : int
        The version that a running engine runs; 0 where none runs.
    off : str
        The attributes of a button that the reader may not press; nothing for one who may.

    """

    def __init__(
        self,
        state: EngineConfigurationState,
        errors: Mapping[str, str],
        *,
        prefix: str,
        commands: EngineCommands,
        is_checking: bool = False,
        running: int = 0,
        off: str = "",
    ) -> None:
        self._state = state
        self._errors = errors
        self._prefix = prefix
        self._commands = commands
        self._is_checking = is_checking
        self._running = running
        self._off = off

    def build_html(self) -> str:
        """Return the cards."""
        return f"{self._build_save()}{self._build_checks()}{self._build_versions()}"

    def _build_save(self) -> str:
        state = self._state
        wrong = sum(1 for place in self._errors if place) + (1 if "" in self._errors else 0)
        busy = self._commands.busy.get("save", "")
        if wrong:
            noun = "place needs" if wrong == 1 else "places need"
            said = f"<span class='bad' role='status'>{wrong} {noun} attention</span>"
        elif not state.is_edited:
            said = "<span class='mute' role='status'>nothing to save</span>"
        else:
            said = "<span class='mute' role='status'>the next start uses it</span>"
        off = " disabled" if busy or not state.is_edited else ""
        off = self._off or off
        number = (state.versions[0].version if state.versions else 0) + 1
        comment = (
            build_field(
                Field("comment", "Why", hint="for those who look at it later", is_nullable=True),
                state.comment,
                prefix=self._prefix,
            )
            .replace("data-action='set'", "data-action='comment'")
            .replace("placeholder='none'", "")
        )
        discard = ""
        if state.is_edited and state.base is not None:
            discard = (
                "<button class='wb-btn' type='button' data-action='discard' data-confirm='Discard all edits'>Discard"
                "</button>"
            )
        edits = "" if state.base is None else build_edits(state.edits)
        return (
            f"<section class='wb-card' aria-label='Save'><div class='wb-head' role='heading' aria-level='3'>"
            f"{'Edits' if state.base is not None else 'First version'}</div>{edits}{comment}<div class='wb-actions'>"
            f"<button class='wb-btn p' type='button' id='{self._prefix}-save' data-action='save' "
            f"data-shortcut='ctrl+enter' aria-keyshortcuts='Control+Enter'{off}>"
            f"{escape(busy) or f'Save version {number}'}</button><button class='wb-btn' type='button' "
            f"id='{self._prefix}-check' data-action='check'{' disabled' if self._is_checking else self._off}>"
            f"{'Checking…' if self._is_checking else 'Check'}</button>{discard}</div>{said}"
            f"{self._build_bars()}</section>"
        )

    def _build_bars(self) -> str:
        """Return what has become of a save, here: the button is always in sight."""
        state = self._state
        parts = []
        if state.conflict is not None:
            theirs = state.conflict
            parts.append(
                f"<div class='wb-lost' role='alert'><span><b>{escape(theirs.by)} has saved version {theirs.version} "
                f"meanwhile</b>{escape(': ' + theirs.comment if theirs.comment else '')}. Your edits are kept, and "
                "nothing was overwritten.</span><span class='wb-ask-acts'><button class='wb-btn' type='button' "
                f"data-action='compare' data-key='{state.base_version}-{theirs.version}'>What changed</button>"
                "<button class='wb-btn p' type='button' "
                "data-action='merge'>Put my edits onto it</button><button class='wb-btn' type='button' "
                "data-action='take-theirs' data-confirm='Discard my edits'>Take theirs</button></span></div>"
            )
        if state.notice:
            restart = ""
            if self._running and self._running != state.base_version:
                confirm = "" if state.environment == "LIVE" else " data-confirm='Restart it now'"
                busy = self._commands.busy.get("restart", "")
                restart = (
                    f" The engine runs version {self._running} until it is started again. <button class='wb-btn' "
                    f"type='button' id='{self._prefix}-restart' data-action='restart'{confirm}"
                    f"{' disabled' if busy else self._off}>{escape(busy) or 'Restart…'}</button>"
                )
            parts.append(f"<div class='wb-note ok' role='status'>{escape(state.notice)}{restart}</div>")
        question = self._commands.find_question()
        if question is not None:
            parts.append(build_question(question, self._commands.typed))
        return "".join(parts)

    def _build_checks(self) -> str:
        state = self._state
        if state.checks is None:
            return ""
        order = list(_OUTCOMES)
        found = sorted((c for c in state.checks), key=lambda c: order.index(c.outcome))
        bad = [c for c in found if c.outcome is not CheckOutcome.OK]
        fine = [c for c in found if c.outcome is CheckOutcome.OK]
        old = "" if state.is_checked else "<small class='warn'>of what stood here before</small>"
        rows = "".join(map(self._build_check, bad))
        if not bad:
            rows = "<li class='ok'>Everything that can be known before a start is as it has to be.</li>"
        is_open = "fine" in state.opened
        more = (
            f"<button class='wb-link wb-summary' type='button' data-action='fold' data-key='fine' "
            f"aria-expanded='{str(is_open).lower()}'>{len(fine)} fine</button>"
        )
        listed = f"<ul class='wb-checks'>{''.join(map(self._build_check, fine))}</ul>" if is_open else ""
        stale = "" if state.is_checked else " stale"
        return (
            f"<section class='wb-card' aria-label='Check'><div class='wb-head' role='heading' aria-level='3'>Check"
            f"<span class='r'>{old}</span></div><ul class='wb-checks{stale}' role='status'>{rows}</ul>{more}{listed}"
            "</section>"
        )

    def _build_check(self, check: ConfigCheck) -> str:
        kind, words = _OUTCOMES[check.outcome]
        where = (
            f"<code class='wb-path' title='{escape(check.field, quote=True)}'>{escape(check.field)}</code>"
        )
        advice = f" <small class='mute'>{escape(check.advice)}</small>" if check.advice else ""
        return f"<li><b class='{kind}'>{words}</b> {escape(check.message)}{advice}{where if check.field else ''}</li>"

    def _build_versions(self) -> str:
        state = self._state
        if not state.versions:
            return ""
        rows = ""
        is_all = "versions" in state.opened
        shown = state.versions if is_all else state.versions[:_MOST_VERSIONS]
        for one in shown:
            marks = " <span class='wb-badge mute'>RUNS</span>" if one.version == self._running else ""
            number = one.version
            acts = (
                f"<button class='wb-link' type='button' data-action='compare' data-key='{max(number - 1, 1)}-{number}' "
                f"aria-label='What version {number} changed'>changed</button>"
                if number > 1
                else ""
            )
            if number != state.base_version:
                acts += (
                    " <button class='wb-link' type='button' data-action='compare' "
                    f"data-key='{number}-{state.base_version}' "
                    f"aria-label='From version {number} to this one'>to this</button>"
                    f" <button class='wb-link' type='button' data-action='restore' data-key='{number}' "
                    f"aria-label='Restore version {number}'>restore</button>"
                )
            comment = (
                escape(one.comment)
                or f"<span class='mute'>{escape(str(one.config.get('environment', '')))}</span>"
            )
            rows += (
                f"<tr><td class='n'>{number}{marks}</td><td>{format_time(one.at)}</td><td>{escape(one.by)}</td></tr>"
                f"<tr class='wb-second'><td></td><td>{comment}</td><td class='wb-acts'>{acts}</td></tr>"
            )
        more = ""
        if len(state.versions) > _MOST_VERSIONS and not is_all:
            more = (
                "<button class='wb-link' type='button' data-action='fold' data-key='versions'>"
                f"all {len(state.versions)}</button>"
            )
        return (
            "<section class='wb-card' aria-label='Versions'><div class='wb-head' role='heading' aria-level='3'>Versions"
            f"</div>{self._build_diff()}<table class='wb-versions'><thead><tr><th class='n'>No.</th><th>UTC</th>"
            f"<th>By</th></tr></thead><tbody>{rows}</tbody></table>{more}</section>"
        )

    def _build_diff(self) -> str:
        state = self._state
        if state.diff is None:
            return ""
        before, after, edits = state.diff
        numbers = [one.version for one in state.versions]

        def choose(key: str, chosen: int) -> str:
            options = "".join(
                f"<option value='{n}'{' selected' if n == chosen else ''}>version {n}</option>"
                for n in numbers
            )
            return (
                f"<select class='wb-input' id='{self._prefix}-{key}' data-action='{key}' aria-label='{key}'>{options}"
                "</select>"
            )

        body = "<div class='wb-note' role='status'>Comparing…</div>" if edits is None else build_edits(edits)
        return (
            f"<div class='wb-diff'><div class='wb-diff-head'>{choose('diff-before', before)} to "
            f"{choose('diff-after', after)}<button class='wb-link' type='button' data-action='compare-close'>Close"
            f"</button></div>{body}</div>"
        )


def build_edits(edits: list[Edit]) -> str:
    """Return what differs: each place with what stood there and what stands there now."""
    if not edits:
        return "<div class='wb-note'>No difference.</div>"
    rows = "".join(
        f"<li><code class='wb-path' title='{escape(e.field, quote=True)}'>{escape(e.field)}</code>"
        f"<span><del>{escape(write_value(e.before))}</del> <ins>{escape(write_value(e.after))}</ins></span></li>"
        for e in edits[:_MOST_EDITS]
    )
    more = f"<li class='mute'>and {len(edits) - _MOST_EDITS:,} more</li>" if len(edits) > _MOST_EDITS else ""
    return f"<ul class='wb-edit-list'>{rows}{more}</ul>"
