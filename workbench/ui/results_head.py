"""The head of a run's page: what it is, how it stands, its few numbers, the tabs and what can be taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from workbench.errors import WorkbenchError
from workbench.ui.cards import build_card
from workbench.ui.run_view import RunView
from workbench.ui.view import View

__all__ = ["TABS", "build_error", "build_head", "build_loading"]

TABS: Mapping[str, str] = {
    "overview": "Overview",
    "trades": "Prices and trades",
    "metrics": "Metrics and risk",
    "costs": "Costs",
    "breakdown": "Breakdown",
    "benchmark": "Benchmark",
    "ledgers": "Orders and fills",
    "facts": "Configuration",
}
_FORMATS = ("csv", "parquet", "json")


def build_head(
    run: RunView,
    *,
    headline: View | None,
    state: str,
    tab: str,
    tables: Sequence[str] = (),
    notice: str = "",
    has_compare: bool = False,
    has_reload: bool = True,
) -> str:
    """
    Return the head as a card.

    Parameters
    ----------
    run : RunView
        The run.
    headline : View, optional
        Its few numbers; none while there are none.
    state : str
        HTML of how it stands; empty for a run that completed.
    tab : str
        The tab that is open, one of `TABS`.
    tables : sequence of str
        What can be exported; without any there is no menu.
    notice : str
        What was done last, or is being done.
    has_compare, has_reload : bool
        Whether there is somewhere to compare it (action ``compare``), or to load it from again (``reload``).

    """
    run_id = run.run_id
    title = (
        f"<span class='wb-name'>{escape(run.name)}</span> "
        f"<button class='wb-link id' type='button' title='Copy the id' data-copy='{escape(run_id, quote=True)}'>"
        f"{escape(run_id)}</button>"
    )
    tools = ""
    if has_compare:
        tools += _button("compare", run_id, "Compare")
    if tables:
        tools += f"{_build_menu(tables)}{_button('export', 'report:html', 'Report')}"
    if has_reload:
        tools += _button("reload", "", "Reload")
    notes = (
        f"<div class='wb-note' role='status' id='wb-results-notice'>{escape(notice)}</div>" if notice else ""
    )
    body = "" if headline is None else headline.build_html()
    return (
        f"{state}<div class='wb-card wb-results'><div class='wb-head' role='heading' aria-level='3'>{title}"
        f"<span class='r wb-acts'>{tools}</span></div>{body}{notes}{_build_tabs(tab)}</div>"
    )


def build_loading(what: str) -> str:
    """Return a card that says what is being loaded."""
    return f"<div class='wb-card' aria-busy='true'><div class='wb-empty' role='status'>{escape(what)}</div></div>"


def build_error(title: str, error: Exception, *, action: str = "reload", key: str = "") -> str:
    """Return a card with an error as a whole, and a button to try again."""
    lines = [
        f"<p class='bad'>{escape(getattr(error, 'message', '') or str(error) or type(error).__name__)}</p>"
    ]
    if isinstance(error, WorkbenchError):
        if error.expected:
            lines.append(f"<p>Expected: {escape(error.expected)}</p>")
        if error.advice:
            lines.append(f"<p>{escape(error.advice)}</p>")
    return build_card(title, f"<div role='alert'>{''.join(lines)}</div>{_button(action, key, 'Try again')}")


def _button(action: str, key: str, label: str) -> str:
    kind = "wb-btn" if label == "Try again" else "wb-link"
    return (
        f"<button class='{kind}' type='button' id='wb-results-{action}-{escape(key, quote=True)}' "
        f"data-action='{action}' data-key='{escape(key, quote=True)}'>{label}</button>"
    )


def _build_tabs(tab: str) -> str:
    buttons = "".join(
        f"<button class='wb-tab' type='button' role='tab' id='wb-tab-{name}' data-action='tab' data-key='{name}' "
        f"aria-selected='{'true' if name == tab else 'false'}'>{escape(label)}</button>"
        for name, label in TABS.items()
    )
    return f"<div class='wb-tabs' role='tablist' aria-label='Parts of the results'>{buttons}</div>"


def _build_menu(tables: Sequence[str]) -> str:
    rows = "".join(
        f"<div><span>{escape(name.capitalize())}</span>{''.join(_build_choice(name, form) for form in _FORMATS)}</div>"
        for name in tables
    )
    rows += f"<div><span>Metrics</span>{_build_choice('metrics', 'json')}</div>"
    rows += f"<div><span>Configuration</span>{_build_choice('config', 'json')}</div>"
    rows += f"<div><span>Everything</span>{_build_choice('all', 'zip')}</div>"
    rows += f"<div><span>Report</span>{_build_choice('report', 'html')}</div>"
    return (
        "<details class='wb-menu' id='wb-results-export'><summary class='wb-link'>Export</summary>"
        f"<div class='wb-menu-body'>{rows}</div></details>"
    )


def _build_choice(what: str, form: str) -> str:
    label = {"parquet": "Parquet"}.get(form, form.upper())
    return (
        f"<button class='wb-btn' type='button' data-action='export' data-key='{what}:{form}' "
        f"aria-label='{what} as {label}'>{label}</button>"
    )
