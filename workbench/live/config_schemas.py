"""What a form for the configuration of a client is built from; asked for in a child process."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from nautilus_trader.common.config import msgspec_encoding_hook, nautilus_schema_hook, resolve_path

from workbench.errors import ConfigError, NotFoundError
from workbench.jobs.control import Control

__all__ = ["describe_client", "load_class"]


def describe_client(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return what a form for a client's configuration is built from.

    A field whose type no schema has a word for is described as any JSON, instead of failing as a whole.

    Parameters
    ----------
    spec : dict
        ``path``: ``package.module:Class``.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``path`` and ``config_path``, which are the same; ``schema``: a JSON schema; ``help``: a line for each field
        that the docstring tells of; ``doc``: the first paragraph of the docstring.

    Raises
    ------
    NotFoundError
        If there is no such class, or what it needs is not installed.
    ConfigError
        If it is no configuration.

    """
    path = str(spec.get("path", ""))
    kind = load_class(path, "path")
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise ConfigError(f"{path} is no configuration", expected="a class of nautilus's kind", field="path")
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    required = []
    for field in msgspec.structs.fields(kind):
        properties[field.encode_name], found = _describe(field)
        definitions |= found
        if field.required:
            required.append(field.encode_name)
    doc = inspect.cleandoc(kind.__doc__ or "")
    return {
        "path": path,
        "config_path": path,
        "help": _read_help(doc, list(properties)),
        "schema": {
            "title": kind.__name__,
            "type": "object",
            "properties": properties,
            "required": required,
            "$defs": definitions,
        },
        "doc": " ".join(doc.partition("\n\n")[0].split()),
    }


def load_class(path: str, field: str) -> Any:
    """
    Return the class at an import path.

    Raises
    ------
    NotFoundError
        If it cannot be imported; `field` is the place in the configuration that names it.

    """
    try:
        return resolve_path(path)
    except Exception as e:  # noqa: BLE001 - whatever somebody's module raises
        lines = str(e).splitlines() or [type(e).__name__]
        is_package = isinstance(e, ModuleNotFoundError) and e.name is not None
        raise NotFoundError(
            f"{path} cannot be imported: {type(e).__name__}: {lines[0]}",
            expected="package.module:Class of an installed package",
            advice=f"install what provides {e.name}" if is_package else "",  # type: ignore[attr-defined]
            field=field,
        ) from None


def _describe(field: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        found = msgspec.json.schema(field.type, schema_hook=nautilus_schema_hook)
    except (TypeError, ValueError, RuntimeError, NotImplementedError):
        found = {}
    definitions = found.pop("$defs", {})
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is not msgspec.NODEFAULT:
        try:
            found["default"] = msgspec.to_builtins(default, enc_hook=msgspec_encoding_hook)
        except TypeError:
            found["default"] = str(default)
    return found, definitions


def _read_help(doc: str, names: list[str]) -> dict[str, str]:
    """Return the first lines under ``name : type`` of a NumPy docstring."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in doc.splitlines():
        if line[:1].strip():
            current = []
            names_here = line.partition(" :")[0].split(",") if " :" in line else []
            found |= {name.strip(): current for name in names_here}
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(found[name]) for name in names if found.get(name)}
