"""What the docstrings of a strategy and its configuration say, for whoever fills in a form."""

from __future__ import annotations

import inspect
import re

__all__ = ["build_help", "build_summary"]

_SECTIONS = ("Parameters", "Attributes")
_RULE = re.compile(r"-{3,}\s*")


def build_help(config_class: type) -> dict[str, str]:
    """
    Return what the NumPy docstrings of a class and its bases say about each field, in one line each.

    A class's own text comes before that of its bases. Fields about which nobody says anything are left out.
    """
    fields = getattr(config_class, "__struct_fields__", ())
    found: dict[str, str] = {}
    for cls in config_class.__mro__:
        for name, text in _read_sections(inspect.cleandoc(cls.__doc__ or "")).items():
            if name in fields and text:
                found.setdefault(name, text)
    return {name: found[name] for name in fields if name in found}


def build_summary(cls: type) -> str:
    """Return the first paragraph of the docstring of `cls` itself, in one line."""
    doc = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    return " ".join(doc.partition("\n\n")[0].split())


def _read_sections(doc: str) -> dict[str, str]:
    lines = doc.splitlines()
    found: dict[str, list[str]] = {}
    is_inside, names = False, list[str]()
    for i, line in enumerate(lines):
        below = lines[i + 1] if i + 1 < len(lines) else ""
        if line and not line[0].isspace() and _RULE.fullmatch(below):
            is_inside, names = line.strip() in _SECTIONS, []
        elif not is_inside or _RULE.fullmatch(line):
            continue
        elif line and not line[0].isspace():  # ``one, other : type``
            names = [n.strip() for n in line.partition(" :")[0].split(",")]
            found |= {n: [] for n in names}
        else:
            for name in names:
                found[name].append(line.strip())
    return {name: " ".join(" ".join(text).split()) for name, text in found.items()}
