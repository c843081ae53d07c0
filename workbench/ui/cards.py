"""A card: the frame that every component of a report stands in."""

from __future__ import annotations

from html import escape

__all__ = ["build_card"]


def build_card(title: str, body: str, *, right: str = "", state: str = "") -> str:
    """
    Return a card.

    The title is a ``div`` with the role of a heading: a real one would get an anchor in JupyterLab and stand in its
    table of contents among the headings of the notebook.

    Parameters
    ----------
    title : str
        Text.
    body : str
        HTML.
    right : str, optional
        Text at the right of the title: units, or how much is shown.
    state : str, optional
        HTML after the title.

    """
    aside = f"<span class='r'>{escape(right)}</span>" if right else ""
    head = f"<div class='wb-head' role='heading' aria-level='3'>{escape(title)}{state}{aside}</div>"
    return f"<div class='wb-card'>{head}{body}</div>"
