"""A field of a form as HTML: a label that is bound to its input, what it takes, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from workbench.ui.fields import Field
from workbench.ui.places import MISSING

__all__ = ["build_check", "build_field", "build_select", "name_id"]

type Option = tuple[str, str]
"""What is sent, and what is shown."""

_MOST_HELP = 64
_APART = re.compile(r"[.\s]")  # An id with a space in it would be two
_PLAIN_WORDS = frozenset(("the", "a", "an", "of", "for", "strategy", "if", "should", "be", "default"))


def name_id(prefix: str, path: str) -> str:
    """Return the id of the input of a field; `prefix` tells the components of a page apart."""
    return escape(f"{prefix}-{_APART.sub('-', path)}", quote=True)


def _name_own(field: Field, prefix: str) -> str:
    return name_id(prefix, field.slot or field.path)


def build_field(field: Field, value: Any, *, prefix: str, error: str = "", is_wide: bool = False) -> str:
    """
    Return a field as HTML.

    Parameters
    ----------
    field : Field
        What it is.
    value : Any
        What the configuration says now; `MISSING` if nothing.
    prefix : str
        Of the ids.
    error : str, optional
        What is wrong, in words.
    is_wide : bool
        Whether it has the whole width.

    """
    if field.kind == "bool" and not field.is_nullable and (value is MISSING or isinstance(value, bool)):
        checked = field.default is True if value is MISSING else value
        return build_check(field, checked, prefix=prefix, error=error)
    if field.kind == "bool" or field.kind == "choice":
        choices = field.choices or ((True, "yes"), (False, "no"))
        options = [(label, label) for _, label in choices]
        if field.is_nullable:
            options.insert(0, ("", "none"))
        elif field.is_required or value is MISSING:
            options = options if field.write(value) else [("", "choose…"), *options]
        return build_select(field, options, field.write(value), prefix=prefix, error=error)
    text = escape(field.write(value), quote=True)
    mode = {"int": "numeric", "float": "decimal", "decimal": "decimal"}.get(field.kind, "")
    extra = f" inputmode='{mode}'" if mode else ""
    hint = "none" if field.is_nullable else "needed" if field.is_required else ""
    extra += f" placeholder='{hint}'" if hint else ""
    body = (
        f"<input class='wb-input' type='text' {_attributes(field, prefix, error)} value='{text}' data-live{extra} "
        "autocomplete='off' spellcheck='false'>"
    )
    return _wrap(field, body, prefix, error, is_wide=is_wide)


def build_select(
    field: Field,
    options: Sequence[Option] | Sequence[tuple[str, Sequence[Option]]],
    chosen: str,
    *,
    prefix: str,
    error: str = "",
    action: str = "set",
    note: str = "",
) -> str:
    """
    Return a choice; a value that is none of the options is one more.

    Parameters
    ----------
    field : Field
        What it is.
    options : Sequence
        Of (sent, shown), or of (group, options).
    chosen : str
        What is chosen now.
    prefix : str
        Of the ids.
    error : str, optional
        What is wrong.
    action : str
        The action's name.
    note : str, optional
        HTML below.

    """
    known: set[str] = set()
    parts = []
    for sent, shown in options:
        if isinstance(shown, str):
            known.add(sent)
            parts.append(_build_option(sent, shown, chosen))
        else:
            known.update(one for one, _ in shown)
            inside = "".join(_build_option(one, text, chosen) for one, text in shown)
            parts.append(f"<optgroup label='{escape(sent, quote=True)}'>{inside}</optgroup>")
    if chosen not in known:
        parts.insert(0, _build_option(chosen, chosen or "choose…", chosen))
    body = f"<select class='wb-input' {_attributes(field, prefix, error, action)}>{''.join(parts)}</select>{note}"
    return _wrap(field, body, prefix, error)


def _build_option(sent: str, shown: str, chosen: str) -> str:
    mark = " selected" if sent == chosen else ""
    return f"<option value='{escape(sent, quote=True)}'{mark}>{escape(shown)}</option>"


def build_check(field: Field, checked: bool, *, prefix: str, error: str = "") -> str:
    """Return a box that is ticked or not."""
    mark = " checked" if checked else ""
    title = f" title='{escape(field.help, quote=True)}'" if field.help else ""
    return (
        f"<div class='wb-field wb-tick'><label{title}><input type='checkbox' "
        f"{_attributes(field, prefix, error, has_hint=False)}{mark}><span>{escape(field.label)}</span></label>"
        f"{_build_error(field, prefix, error)}</div>"
    )


def _attributes(field: Field, prefix: str, error: str, action: str = "set", *, has_hint: bool = True) -> str:
    own = _name_own(field, prefix)
    described = [f"{own}-error"] if error else []
    if has_hint and not error and _build_hint(field):
        described.append(f"{own}-hint")
    parts = [f"id='{own}'", f"data-action='{action}'", f"data-key='{escape(field.path, quote=True)}'"]
    if error:
        parts.append("aria-invalid='true'")
    if described:
        parts.append(f"aria-describedby='{' '.join(described)}'")
    if field.is_required:
        parts.append("aria-required='true'")
    return " ".join(parts)


def _wrap(field: Field, body: str, prefix: str, error: str, *, is_wide: bool = False) -> str:
    own = _name_own(field, prefix)
    hint = "" if error else _build_hint(field)
    title = f" title='{escape(field.help, quote=True)}'" if field.help else ""
    wide = " wide" if is_wide else ""
    small = f"<small id='{own}-hint'>{escape(hint)}</small>" if hint else ""
    return (
        f"<div class='wb-field{wide}'><label for='{own}'{title}>{escape(field.label)}</label>{body}"
        f"{_build_error(field, prefix, error)}{small}</div>"
    )


def _build_error(field: Field, prefix: str, error: str) -> str:
    own = _name_own(field, prefix)
    return f"<div class='wb-error' id='{own}-error'>{escape(error)}</div>" if error else ""


def _build_hint(field: Field) -> str:
    """Return what stands below a field: unit and bounds, or its help where that says more than its name."""
    parts = [part for part in (field.unit, field.bounds) if part]
    if field.hint or parts:
        return field.hint or ", ".join(parts)
    words = {word.strip(".,()").lower() for word in field.help.split()}
    says_more = words - {word.lower() for word in field.label.split()} - _PLAIN_WORDS
    return field.help.removesuffix(".") if says_more and len(field.help) <= _MOST_HELP else ""
